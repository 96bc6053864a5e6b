"""Counts of what products of spikes add, for the cost of a network.

x [I, P, K] are bytes: K channels at P places of I images. q, k and v [I, N, D] are as in
`attention`.
"""

import numpy as np

from hetspike.kernels.compiled import Array, compiled
from hetspike.kernels.vectors import Lanes, equal_lanes, load, spread, store

PAIRS, FOURS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
EIGHTS, BYTES = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)


@compiled
def count_active(x: Array, counts: Array) -> int:
    """Add to counts [2, P] the values above 0 and those above 1; return the largest."""
    images, P, K = x.shape
    largest = np.uint8(0)
    for i in range(images):
        for p in range(P):
            active, others = np.int32(0), np.int32(0)
            for c in range(K):
                active += np.int32(x[i, p, c] > 0)
                others += np.int32(x[i, p, c] > 1)
                largest = max(largest, x[i, p, c])
            counts[0, p] += active
            counts[1, p] += others
    return int(largest)


@compiled
def count_attention(q: Array, k: Array, v: Array, lanes: Lanes) -> tuple[int, float]:
    """Count the additions of (q k^T) v [I, N, D], head by head; return the largest sum too.

    The product of q and k adds 1 for each channel in which both spike. The product of that and v
    adds the score of a token for each spike of v, where the score is not 0.
    """
    images, N, D = v.shape
    width = equal_lanes(lanes)
    flat = v.ravel()
    bits = np.empty((3, N), np.uint64)
    sums = np.empty(width, np.float32)
    additions, largest = 0, np.float32(0)
    for i in range(images):
        for head in range(0, D, width):
            _pack(q[i], head, width, bits[0])
            _pack(k[i], head, width, bits[1])
            _pack(v[i], head, width, bits[2])
            for n in range(N):
                total = spread(np.float32(0), lanes)
                for m in range(N):
                    score = _ones(bits[0, n] & bits[1, m])
                    if score > 0:
                        additions += score + _ones(bits[2, m])
                        largest = max(largest, np.float32(score))
                        total = total + load(flat, (i * N + m) * D + head, lanes) * np.float32(
                            score
                        )
                store(sums, 0, total)
                for c in range(width):
                    largest = max(largest, sums[c])
    return additions, float(largest)


@compiled
def _pack(spikes: Array, head: int, width: int, bits: Array) -> None:
    """Write the spikes [N, D] of a head, up to 64 channels, as the bits of one word a token."""
    for n in range(bits.size):
        word = np.uint64(0)
        for c in range(width):
            word |= np.uint64(spikes[n, head + c]) << np.uint64(c)
        bits[n] = word


@compiled
def _ones(word: np.uint64) -> int:
    """Return the number of bits of a word that are 1."""
    word -= (word >> np.uint64(1)) & PAIRS
    word = (word & FOURS) + ((word >> np.uint64(2)) & FOURS)
    word = (word + (word >> np.uint64(4))) & EIGHTS
    return int((word * BYTES) >> np.uint64(56))

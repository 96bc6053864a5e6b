"""LIF neurons on integers, with tau 2 and a hard reset, on what a layer sums.

    u += ((acc << fraction) + shift - u) >> 1      s = [u >= threshold]      u = (1 - s) u

Sums [T, B, N] are whole numbers of any type; each of N neurons has its own three numbers [N].
"""

import numpy as np

from hetspike.kernels.compiled import Array, compiled


@compiled
def fire(sums: Array, fraction: Array, shift: Array, threshold: Array, spikes: Array) -> None:
    """Write spikes [T, B, N] as bytes."""
    T, B, N = sums.shape
    potential = np.empty(N, np.int64)
    for b in range(B):
        potential[:] = 0
        for t in range(T):
            acc, fired = sums[t, b], spikes[t, b]
            for n in range(N):
                u = potential[n]
                u += ((np.int64(acc[n]) << fraction[n]) + shift[n] - u) >> 1
                s = u >= threshold[n]
                fired[n] = s
                potential[n] = 0 if s else u

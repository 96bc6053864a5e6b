"""Max-pools of spikes, 3x3 with stride 2 and padding 1.

The maximum of spikes is whether one of them is 1. As in PyTorch, its gradient goes to the first
that is, row by row, or to the first there is.
"""

import numpy as np

from hetspike.kernels.compiled import Array, compiled
from hetspike.kernels.vectors import Lanes, equal_lanes, load, spread, store, where

ONES = np.uint64(0x0101010101010101)


@compiled
def pool(spikes: Array, pooled: Array, taps: Array) -> None:
    """Write pooled spikes [I, H/2, W/2, C], and which of the nine each one is, as bytes.

    Eight channels at a time: all are given as words of eight bytes.
    """
    images, H, W, C = spikes.shape
    for i in range(images):
        for oh in range(pooled.shape[1]):
            for ow in range(pooled.shape[2]):
                first = np.uint64((3 if oh == 0 else 0) + (1 if ow == 0 else 0))
                rows = range(max(2 * oh - 1, 0), min(2 * oh + 2, H))
                columns = range(max(2 * ow - 1, 0), min(2 * ow + 2, W))
                for c in range(C):
                    found, tap = np.uint64(0), np.uint64(0)
                    for h in rows:
                        for w in columns:
                            new = spikes[i, h, w, c] & ~found
                            found |= new
                            tap |= new * np.uint64((h - 2 * oh + 1) * 3 + w - 2 * ow + 1)
                    pooled[i, oh, ow, c] = found
                    taps[i, oh, ow, c] = tap | (found ^ ONES) * first


@compiled
def pool_backward(gradient: Array, taps: Array, gx: Array, lanes: Lanes) -> None:
    """Write the gradient of the spikes [I, H, W, C] from that of the pooled [I, H/2, W/2, C].

    A pixel takes from the windows that it lies in, up to four.
    """
    images, H, W, C = gx.shape
    OH, OW = taps.shape[1], taps.shape[2]
    width = equal_lanes(lanes)
    gradient, taps, gx = gradient.ravel(), taps.ravel(), gx.ravel()
    zero = spread(np.float32(0), lanes)
    for i in range(images):
        for h in range(H):
            for w in range(W):
                pixel = ((i * H + h) * W + w) * C
                for c in range(0, C, width):
                    total = zero
                    for oh in range(h // 2, min((h + 1) // 2 + 1, OH)):
                        for ow in range(w // 2, min((w + 1) // 2 + 1, OW)):
                            window = ((i * OH + oh) * OW + ow) * C + c
                            tap = np.float32((h - 2 * oh + 1) * 3 + w - 2 * ow + 1)
                            here = load(taps, window, lanes) == tap
                            total = total + where(here, load(gradient, window, lanes), zero)
                    store(gx, pixel + c, total)

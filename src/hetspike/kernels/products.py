"""Products of weights with values of which most are zero: rows of weights, added.

x [I, H, W, K] are images, channels last; tokens are images of one pixel. The list of x holds,
image row by image row, the positions w K + k of what is not zero; pixel p begins at starts[p].
What a row of a convolution's kernel covers is then one piece of the list:

    y[i, h, w] = sum over kernel rows r, over the list of x[i, h + r] from column w to w + kernel:
                     x[i, h + r, position] * weight[r, position - w K]
"""

import numpy as np

from hetspike.kernels.compiled import Array, compiled
from hetspike.kernels.vectors import Lanes, equal_lanes, load, spread, store


@compiled
def list_active(x: Array, starts: Array, positions: Array) -> None:
    """List what is not zero; `positions` has a place for every value, and one more."""
    images, H, W, K = x.shape
    x = x.ravel()
    n = 0
    for row in range(images * H):
        for w in range(W):
            starts[row * W + w] = n
            first = (row * W + w) * K
            for k in range(K):
                positions[n] = w * K + k
                n += x[first + k] != 0
    starts[images * H * W] = n


@compiled
def convolve(
    x: Array,
    starts: Array,
    positions: Array,
    weight: Array,
    stride: int,
    padding: int,
    y: Array,
    lanes: Lanes,
) -> None:
    """Write y [I, OH, OW, N]; weight is [kernel, kernel * K, N]."""
    _, H, W, K = x.shape
    kernel, row_size, N = weight.shape
    images, OH, OW, _ = y.shape
    x, weight, y = x.ravel(), weight.ravel(), y.ravel()
    m = 0
    for i in range(images):
        for oh in range(OH):
            top = oh * stride - padding
            for ow in range(OW):
                left = ow * stride - padding
                first, last = min(max(left, 0), W), max(min(left + kernel, W), 0)
                for n in range(m, m + N, equal_lanes(lanes)):
                    total = spread(np.float32(0), lanes)
                    for r in range(max(0, -top), min(kernel, H - top)):
                        row = (i * H + top + r) * W
                        base = r * row_size - left * K
                        for j in range(starts[row + first], starts[row + last]):
                            place = (base + positions[j]) * N + n - m
                            value = np.float32(x[row * K + positions[j]])
                            total = total + load(weight, place, lanes) * value
                    store(y, n, total)
                m += N


@compiled
def weight_gradient(
    x: Array,
    starts: Array,
    positions: Array,
    gy: Array,
    stride: int,
    padding: int,
    gradient: Array,
    lanes: Lanes,
) -> None:
    """Add to the gradient [kernel, kernel * K, N] of the weight what comes from that of y."""
    _, H, W, K = x.shape
    kernel, row_size, N = gradient.shape
    images, OH, OW, _ = gy.shape
    x, gradient, gy = x.ravel(), gradient.ravel(), gy.ravel()
    for n in range(0, N, equal_lanes(lanes)):
        m = n
        for i in range(images):
            for oh in range(OH):
                top = oh * stride - padding
                for ow in range(OW):
                    left = ow * stride - padding
                    first, last = min(max(left, 0), W), max(min(left + kernel, W), 0)
                    g = load(gy, m, lanes)
                    m += N
                    for r in range(max(0, -top), min(kernel, H - top)):
                        row = (i * H + top + r) * W
                        base = r * row_size - left * K
                        for j in range(starts[row + first], starts[row + last]):
                            place = (base + positions[j]) * N + n
                            value = np.float32(x[row * K + positions[j]])
                            store(gradient, place, load(gradient, place, lanes) + g * value)

"""Batch norm of channels-last values [M], where channel c is every C-th value from c on.

    x = a y + b      a = gamma / sqrt(variance + eps)      b = beta - a mean

What neurons read is a and b, tiled to a period L of whole vectors: `affine` [2, L].
"""

import numpy as np

from hetspike.kernels.compiled import Array, compiled
from hetspike.kernels.vectors import Lanes, equal_lanes, load, spread, store

ROWS = 64  # summed in float32 before they join the sum: bounds the error of rounding


@compiled
def moments(y: Array, channels: int, period: int, lanes: Lanes) -> Array:
    """Return mean and variance of each channel [2, C], in float64."""
    width = equal_lanes(lanes)
    sums = np.empty(2 * period, np.float32)
    zero = spread(np.float32(0), lanes)
    for channel in range(0, period, width):
        total, square = zero, zero
        for start in range(channel, y.size, period * ROWS):
            part_total, part_square = zero, zero
            for n in range(start, min(start + period * ROWS, y.size), period):
                each = load(y, n, lanes)
                part_total = part_total + each
                part_square = part_square + each * each
            total, square = total + part_total, square + part_square
        store(sums, channel, total)
        store(sums, period + channel, square)
    found = fold(sums.reshape(2, period), channels) / (y.size // channels)
    for c in range(channels):
        found[1, c] = max(found[1, c] - found[0, c] ** 2, 0.0)
    return found


@compiled
def fold(sums: Array, channels: int) -> Array:
    """Add what belongs to the same channel: [2, L] -> [2, C], in float64."""
    folded = np.zeros((2, channels))
    for row in range(2):
        for n in range(sums.shape[1]):
            folded[row, n % channels] += sums[row, n]
    return folded


@compiled
def move(running: Array, seen: Array, momentum: float) -> None:
    """Move running statistics [C] towards those of a batch."""
    for c in range(running.size):
        running[c] = (1 - momentum) * running[c] + momentum * seen[c]


@compiled
def affine_of(seen: Array, gamma: Array, beta: Array, epsilon: float, period: int) -> Array:
    """Return a and b [2, L] from mean and variance [2, C]."""
    channels = gamma.size
    affine = np.empty((2, period), np.float32)
    for n in range(period):
        c = n % channels
        a = gamma[c] / np.sqrt(seen[1, c] + epsilon)
        affine[0, n] = a
        affine[1, n] = beta[c] - a * seen[0, c]
    return affine


@compiled
def norm_backward(
    gx: Array,
    y: Array,
    sums: Array,
    seen: Array,
    gamma: Array,
    epsilon: float,
    learns: bool,
    lanes: Lanes,
) -> tuple[Array, Array]:
    """Put the gradient of y in the place of that of x; return those of gamma and beta.

    sums [2, L] are those of gx and of gx y, seen [2, C] mean and variance. With M values of a
    channel:

        g_gamma = sum gx (y - mean) i     g_beta = sum gx     i = 1 / sqrt(variance + eps)
        gy = gamma i (gx - g_beta / M - (y - mean) i g_gamma / M)

    Where the statistics are those of a training that is over, gy = gamma i gx.
    """
    channels, period = gamma.size, sums.shape[1]
    count = y.size // channels
    folded = fold(sums, channels)
    of_gamma, of_beta = np.empty(channels, np.float32), np.empty(channels, np.float32)
    p, q = np.zeros(period, np.float32), np.zeros(period, np.float32)
    r = np.zeros(period, np.float32)
    for c in range(channels):
        inverse = 1 / np.sqrt(seen[1, c] + epsilon)
        g_gamma = inverse * (folded[1, c] - seen[0, c] * folded[0, c])
        of_gamma[c], of_beta[c] = g_gamma, folded[0, c]
        for n in range(c, period, channels):
            p[n] = gamma[c] * inverse
            if learns:
                q[n] = -gamma[c] * inverse**2 * g_gamma / count
                r[n] = gamma[c] * inverse * (seen[0, c] * inverse * g_gamma - folded[0, c]) / count
    for channel in range(0, period, equal_lanes(lanes)):
        a, b, c = load(p, channel, lanes), load(q, channel, lanes), load(r, channel, lanes)
        for n in range(channel, y.size, period):
            store(gx, n, a * load(gx, n, lanes) + b * load(y, n, lanes) + c)
    return of_gamma, of_beta

"""LIF neurons with hard reset, on what batch norm makes of a layer's values, x = a y + b.

    h_t = v_(t-1) + (x_t - v_(t-1)) / tau      s_t = [h_t >= threshold]      v_t = h_t (1 - s_t)

Values [T, N] are channels last, N = B * places * C; a and b are `norms.affine_of`'s.
"""

import numpy as np

from hetspike.kernels.compiled import Array, compiled
from hetspike.kernels.norms import ROWS
from hetspike.kernels.vectors import Lanes, equal_lanes, exp2_minus, load, spread, store, where

LOG2_E = np.float32(np.log2(np.e))
FLAT = np.float32(30)  # 2^-30: what is left of a surrogate there is below 4e-9


@compiled
def fire(
    y: Array, affine: Array, leak: np.float32, threshold: np.float32, spikes: Array, lanes: Lanes
) -> None:
    """Write spikes [T, N] as bytes; leak is 1 / tau."""
    T, N = y.shape
    period = affine.shape[1]
    y, affine, spikes = y.ravel(), affine.ravel(), spikes.ravel()
    zero = spread(np.float32(0), lanes)
    for channel in range(0, period, equal_lanes(lanes)):
        a, b = load(affine, channel, lanes), load(affine, period + channel, lanes)
        for n in range(channel, N, period):
            v = zero
            for t in range(T):
                h = v + (a * load(y, t * N + n, lanes) + b - v) * leak
                s = h >= threshold
                store(spikes, t * N + n, s)
                v = where(s, zero, h)


@compiled
def fire_backward(
    gradient: Array,
    y: Array,
    affine: Array,
    leak: np.float32,
    threshold: np.float32,
    alpha: np.float32,
    gx: Array,
    lanes: Lanes,
) -> Array:
    """Write the gradient of x [T, N]; return its sums over T and N, of gx and of gx y [2, L].

    The surrogate is the derivative of sigmoid(alpha (h - threshold)); the reset passes none:

        dL/dh_t = dL/ds_t alpha e / (1 + e)^2 + dL/dh_(t+1) (1 - 1/tau) (1 - s_t)
        dL/dx_t = dL/dh_t / tau                                 e = exp(-alpha |h_t - threshold|)
    """
    T, N = y.shape
    period, width = affine.shape[1], equal_lanes(lanes)
    y, affine, gradient, gx = y.ravel(), affine.ravel(), gradient.ravel(), gx.ravel()
    kept, steepness, one = np.float32(1) - leak, alpha * LOG2_E, np.float32(1)
    zero = spread(np.float32(0), lanes)
    past = np.empty(T * width, np.float32)
    sums = np.empty(2 * period, np.float32)
    for channel in range(0, period, width):
        a, b = load(affine, channel, lanes), load(affine, period + channel, lanes)
        total, product = zero, zero
        for start in range(channel, N, period * ROWS):
            part_total, part_product = zero, zero
            for n in range(start, min(start + period * ROWS, N), period):
                v = zero
                for t in range(T):
                    h = v + (a * load(y, t * N + n, lanes) + b - v) * leak
                    store(past, t * width, h)
                    v = where(h >= threshold, zero, h)
                later = zero
                for t in range(T - 1, -1, -1):
                    h = load(past, t * width, lanes)
                    e = exp2_minus(min(abs(h - threshold) * steepness, FLAT))
                    slope = e * alpha / ((e + one) * (e + one))
                    gh = load(gradient, t * N + n, lanes) * slope
                    gh = gh + where(h >= threshold, zero, later)
                    later = gh * kept
                    g = gh * leak
                    store(gx, t * N + n, g)
                    part_total = part_total + g
                    part_product = part_product + g * load(y, t * N + n, lanes)
            total, product = total + part_total, product + part_product
        store(sums, channel, total)
        store(sums, period + channel, product)
    return sums.reshape(2, period)

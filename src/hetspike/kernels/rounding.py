"""Weights rounded to levels, with a scale for each output channel: w_q = s Q(w / s)."""

import numpy as np

from hetspike.kernels.compiled import Array, compiled


@compiled
def round_to_levels(weight: Array, scale: Array, levels: Array, thresholds: Array) -> Array:
    """Return w_q [C, N]. A magnitude at a threshold, between two levels, takes the lower one."""
    quantized = np.empty_like(weight)
    magnitude = np.empty(weight.shape[1], weight.dtype)
    for c in range(weight.shape[0]):
        row, rounded, s = weight[c], quantized[c], scale[c]
        for n in range(row.size):
            magnitude[n] = abs(row[n] / s)
            rounded[n] = levels[0]
        for k in range(thresholds.size):
            _raise(magnitude, thresholds[k], levels[k + 1], rounded)
        for n in range(row.size):
            rounded[n] = s * np.copysign(rounded[n], row[n])
    return quantized


@compiled
def _raise(magnitude: Array, threshold: float, level: float, rounded: Array) -> None:
    for n in range(magnitude.size):
        rounded[n] = level if magnitude[n] > threshold else rounded[n]


@compiled
def round_backward(
    gradient: Array, weight: Array, quantized: Array, scale: Array, top: float
) -> tuple[Array, Array]:
    """Return the gradients of weights [C, N] and scales [C]; `top` is the largest level.

    dw = g inside, 0 beyond the top      ds = sum of g (Q(w/s) - w/s inside)
    """
    of_weight, of_scale = np.empty_like(weight), np.empty_like(scale)
    for c in range(weight.shape[0]):
        s, total = scale[c], 0.0
        for n in range(weight.shape[1]):
            g, ratio = gradient[c, n], weight[c, n] / s
            inside = abs(ratio) <= top
            of_weight[c, n] = g if inside else 0
            total += g * (quantized[c, n] / s - (ratio if inside else 0))
        of_scale[c] = total
    return of_weight, of_scale

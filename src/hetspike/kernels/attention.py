"""Attention of spikes: scale * (q k^T) v of each head, which is scale * q (k^T v).

Spikes are 0 or 1, so that the sums are whole numbers and the order of the products changes no bit.
q, k and v [I, N, D] are bytes, a head lies in `width` channels, one vector of them.
"""

import numpy as np

from hetspike.kernels.compiled import Array, compiled
from hetspike.kernels.vectors import Lanes, equal_lanes, load, spread, store

Triple = tuple[Array, Array, Array]  # of q, k and v


@compiled
def attend(qkv: Triple, scale: np.float32, out: Array, lanes: Lanes) -> None:
    """Write scale q (k^T v) [I, N, D], head by head."""
    images, N, D = out.shape
    width = equal_lanes(lanes)
    q, k, v, out = qkv[0].ravel(), qkv[1].ravel(), qkv[2].ravel(), out.ravel()
    met = np.empty(width * width, np.float32)
    for i in range(images):
        for head in range(i * N * D, i * N * D + D, width):
            _outer(k, v, head, N, D, met, lanes)
            for row in range(head, head + N * D, D):
                total = spread(np.float32(0), lanes)
                for c in range(width):
                    total = total + load(met, c * width, lanes) * np.float32(q[row + c])
                store(out, row, total * scale)


@compiled
def _outer(
    rows: Array, columns: Array, head: int, N: int, D: int, product: Array, lanes: Lanes
) -> None:
    """Write rows^T columns [width, width] of a head: rows are spikes."""
    width = equal_lanes(lanes)
    product[:] = 0
    for n in range(head, head + N * D, D):
        column = load(columns, n, lanes)
        for c in range(width):
            product_row = load(product, c * width, lanes)
            store(product, c * width, product_row + column * np.float32(rows[n + c]))


@compiled
def attend_backward(gradient: Array, qkv: Triple, scale: np.float32, lanes: Lanes) -> Triple:
    """Return the gradients of q, k and v [I, N, D] from that of the result.

    With S = k^T v and G = scale * gradient:  gq = G S^T,  gS = q^T G,  gk = v gS^T,  gv = k gS.
    """
    images, N, D = gradient.shape
    width = equal_lanes(lanes)
    found = np.empty_like(gradient), np.empty_like(gradient), np.empty_like(gradient)
    gq, gk, gv = found[0].ravel(), found[1].ravel(), found[2].ravel()
    q, k, v, gradient = qkv[0].ravel(), qkv[1].ravel(), qkv[2].ravel(), gradient.ravel()
    zero = spread(np.float32(0), lanes)
    turned = np.empty(width * width, np.float32)  # S^T = v^T k
    of_met = np.empty(width * width, np.float32)  # gS / scale
    of_turned = np.empty(width * width, np.float32)
    for i in range(images):
        for head in range(i * N * D, i * N * D + D, width):
            _outer(v, k, head, N, D, turned, lanes)
            _outer(q, gradient, head, N, D, of_met, lanes)
            for a in range(width):
                for b in range(width):
                    of_turned[a * width + b] = of_met[b * width + a]
            for row in range(head, head + N * D, D):
                of_q, of_k, of_v = zero, zero, zero
                for c in range(width):
                    of_q = of_q + load(turned, c * width, lanes) * gradient[row + c]
                    of_k = of_k + load(of_turned, c * width, lanes) * np.float32(v[row + c])
                    of_v = of_v + load(of_met, c * width, lanes) * np.float32(k[row + c])
                store(gq, row, of_q * scale)
                store(gk, row, of_k * scale)
                store(gv, row, of_v * scale)
    return found

"""Attention of spikes: scale * (q k^T) v of each head, which is scale * q (k^T v).

Spikes are 0 or 1, so that the sums are whole numbers and the order of the products changes no bit.
q, k and v [I, N, D] are bytes, a head lies in `width` channels, one vector of them.
"""

import numpy as np

from hetspike.kernels.compiled import compiled
from hetspike.kernels.vectors import equal_lanes, load, spread, store


@compiled
def attend(q, k, v, scale, out, lanes):
    """Write scale q (k^T v) [I, N, D], head by head."""
    I, N, D = q.shape
    width = equal_lanes(lanes)
    q, k, v, out = q.ravel(), k.ravel(), v.ravel(), out.ravel()
    met = np.empty(width * width, np.float32)
    for i in range(I):
        for head in range(i * N * D, i * N * D + D, width):
            _outer(k, v, head, N, D, met, lanes)
            for row in range(head, head + N * D, D):
                total = spread(np.float32(0), lanes)
                for c in range(width):
                    total = total + load(met, c * width, lanes) * np.float32(q[row + c])
                store(out, row, total * np.float32(scale))


@compiled
def _outer(rows, columns, head, N, D, product, lanes):
    """Write rows^T columns [width, width] of a head: rows are spikes."""
    width = equal_lanes(lanes)
    product[:] = 0
    for n in range(head, head + N * D, D):
        column = load(columns, n, lanes)
        for c in range(width):
            product_row = load(product, c * width, lanes)
            store(product, c * width, product_row + column * np.float32(rows[n + c]))


@compiled
def attend_backward(gradient, q, k, v, scale, gq, gk, gv, lanes):
    """Write the gradients of q, k and v [I, N, D] from that of the result.

    With S = k^T v and G = scale * gradient:  gq = G S^T,  gS = q^T G,  gk = v gS^T,  gv = k gS.
    """
    I, N, D = q.shape
    width = equal_lanes(lanes)
    q, k, v, gradient = q.ravel(), k.ravel(), v.ravel(), gradient.ravel()
    gq, gk, gv = gq.ravel(), gk.ravel(), gv.ravel()
    zero = spread(np.float32(0), lanes)
    turned = np.empty(width * width, np.float32)  # S^T = v^T k
    of_met = np.empty(width * width, np.float32)  # gS / scale
    of_turned = np.empty(width * width, np.float32)
    for i in range(I):
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
                store(gq, row, of_q * np.float32(scale))
                store(gk, row, of_k * np.float32(scale))
                store(gv, row, of_v * np.float32(scale))

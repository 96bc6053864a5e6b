"""Search by the increase of the loss for each candidate, from the whole Fisher matrix.

Like `sensitivity`, but with the direction of the quantization error dw:

    loss increase  =  1/2 dw' F dw  =  1/2 mean_i (g_i . dw)^2        dw = Q(w) - w

g_i is the gradient of recording i. F is the empirical Fisher matrix of a layer [Martens 2020, JMLR
21:146, section 11]. Errors of several weights whose effects on the loss cancel do not count here;
the trace or the diagonal of F would count each of them. The N x N matrix F is never computed: each
gradient is projected on the errors of all candidates, so the cost is that of the trace.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hetspike.data.samples import Samples
from hetspike.search.sensitivity import candidate_errors, layer_gradients
from hetspike.search.space import Space
from hetspike.settings import SensitivitySettings


def scores(
    model: nn.Module,
    train: Samples,
    space: Space,
    *,
    settings: SensitivitySettings,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> NDArray[np.float64]:
    """Return the negative increase of the loss [L, K] for each layer and candidate."""
    errors = candidate_errors(model, space)
    increases = torch.zeros(len(space.weights), len(space.candidates))
    for gradients in layer_gradients(model, train, space, settings, seed):
        projected = [error @ gradient for error, gradient in zip(errors, gradients, strict=True)]
        increases += torch.stack(projected).square()
    return -increases.double().numpy()

"""Search by the rise of the loss of each candidate, from the whole Fisher matrix.

As `sensitivity`, but errors are weighed in the directions in which they lie:

    loss rise  =  1/2 dw' F dw  =  1/2 mean_i (g_i . dw)^2        dw = Q(w) - w

g_i is the gradient of recording i, F the empirical Fisher matrix of a layer [Martens 2020, JMLR
21:146, section 11]. Errors of many weights that cancel in the loss count for nothing here, where a
trace or a diagonal counts them all. F itself, N x N, is never formed: each gradient is projected
on the errors of all candidates at once, so the cost is that of the trace.
"""

from collections.abc import Callable

import torch
from torch import nn

from hetspike.data.samples import Samples
from hetspike.quantization.quantizer import Choice
from hetspike.search.sensitivity import candidate_errors, layer_gradients
from hetspike.search.space import Space
from hetspike.settings import SensitivitySettings


def search(
    model: nn.Module,
    train: Samples,
    space: Space,
    *,
    settings: SensitivitySettings,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Choice]:
    """Return the assignment of least total loss rise within the budget."""
    errors = candidate_errors(model, space)
    rises = torch.zeros(len(space.weights), len(space.candidates))
    for gradients in layer_gradients(model, train, space, settings, seed):
        projected = [each @ gradient for each, gradient in zip(errors, gradients, strict=True)]
        rises += torch.stack(projected).square()
    return space.best(-rises.double().numpy())

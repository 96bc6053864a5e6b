"""Search by the increase of the loss for each candidate, from the trace of the Hessian.

A score is the mean trace times the squared error [HAWQ-V2, Dong 2020, arXiv 1911.03852, eq. 9]. An
exact integer programme finds the least total within the budget [HAWQ-V3, Yao 2021, arXiv
2011.10680].

    loss increase  =  1/2 tr(F) / N  |dw|^2        dw = Q(w) - w, N weights

The empirical Fisher matrix F replaces the Hessian. Its trace is the mean squared gradient of a
recording, which takes one backward pass per batch; Hutchinson's estimate takes several per random
vector.
"""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hetspike.data.samples import Samples
from hetspike.errors import UserError, during
from hetspike.inspection.layers import quantizable_layers
from hetspike.quantization.quantizer import Quantizer
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
    squares = torch.stack([errors.square().mean(1) for errors in candidate_errors(model, space)])
    traces = torch.zeros(len(space.weights))
    for gradients in layer_gradients(model, train, space, settings, seed):
        traces += torch.stack([gradient.square().sum() for gradient in gradients])
    return -(traces[:, None] * squares).double().numpy()


def candidate_errors(model: nn.Module, space: Space) -> list[Tensor]:
    """Return for each layer of the space the errors Q(w) - w [K, N] of K candidates, on the CPU."""
    layers = quantizable_layers(model)
    errors = []
    with torch.no_grad():
        for name in space.weights:
            weight = layers[name].weight
            with during(f"layer '{name}'"):
                quantized = [Quantizer(weight, choice)(weight) for choice in space.candidates]
            errors.append(torch.stack([(q - weight).flatten() for q in quantized]).cpu())
    return errors


def layer_gradients(
    model: nn.Module, samples: Samples, space: Space, settings: SensitivitySettings, seed: int
) -> Iterator[list[Tensor]]:
    """Yield for each shuffled batch the gradients [N] of each layer of the space, on the CPU.

    The sum of a batch of B gradients replaces the single gradients. If these are independent and
    have the mean 0, as in a trained network, the second moment of the sum is B times theirs.
    Parameters that do not learn in a training have gradients here as well.

    Raises UserError if the loss does not depend on a layer.
    """
    model = copy.deepcopy(model).eval()  # the neurons of the original would keep the graph
    layers = quantizable_layers(model)
    weights = [layers[name].weight.requires_grad_() for name in space.weights]
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(samples.labels), generator=generator)[: settings.recordings]
    for frames, labels in samples.batches(settings.batch_size, rows):
        with torch.enable_grad():
            loss = cross_entropy(model(frames), labels, reduction="sum")
            connected = loss.requires_grad
            per_layer = torch.autograd.grad(loss, weights, allow_unused=True) if connected else ()
        gradients = [gradient.flatten().cpu() for gradient in per_layer if gradient is not None]
        if len(gradients) < len(weights):
            pairs = zip(space.weights, per_layer, strict=False)
            without = [name for name, gradient in pairs if gradient is None]
            raise UserError(
                f"the loss passes no gradient back to layer '{[*without, *space.weights][0]}': "
                "search by the method random"
            )
        yield gradients

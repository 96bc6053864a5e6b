"""Search by the rise of the loss of each candidate, from the trace of the Hessian.

The mean trace times the squared error [HAWQ-V2, Dong 2020, arXiv 1911.03852, eq. 9], then an exact
integer programme for the least total within the budget [HAWQ-V3, Yao 2021, arXiv 2011.10680]:

    loss rise  =  1/2 tr(F) / N  |dw|^2        dw = Q(w) - w, N weights

The Hessian is taken as the empirical Fisher matrix F, whose trace is the mean squared gradient of
a recording: one backward pass a batch instead of several for each random vector of Hutchinson's.
"""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hetspike.data.samples import Samples
from hetspike.errors import UserError, during
from hetspike.inspection.layers import quantizable_layers
from hetspike.quantization.quantizer import Choice, Quantizer
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
    squares = torch.stack([errors.square().mean(1) for errors in candidate_errors(model, space)])
    traces = torch.zeros(len(space.weights))
    for gradients in layer_gradients(model, train, space, settings, seed):
        traces += torch.stack([gradient.square().sum() for gradient in gradients])
    return space.best(-(traces[:, None] * squares).double().numpy())


def candidate_errors(model: nn.Module, space: Space) -> list[Tensor]:
    """Return Q(w) - w [K, N] of each layer of the space, for each candidate, on the CPU."""
    layers = quantizable_layers(model)
    errors = []
    with torch.no_grad():
        for name in space.weights:
            weight = layers[name].weight
            with during(f"layer '{name}'"):
                quantized = [Quantizer(weight, choice)(weight) for choice in space.candidates]
            errors.append(torch.stack([(each - weight).flatten() for each in quantized]).cpu())
    return errors


def layer_gradients(
    model: nn.Module, samples: Samples, space: Space, settings: SensitivitySettings, seed: int
) -> Iterator[list[Tensor]]:
    """Yield gradients [N] of each layer of the space, on the CPU, by shuffled batches.

    The summed gradient of a batch of B stands for those of its recordings: it has B times their
    second moment where they are independent and vanish on average, as in a trained network.
    Parameters that are frozen in a training have gradients here as well.

    Raises UserError where the loss does not depend on a layer.
    """
    model = copy.deepcopy(model).eval()  # neurons keep their last state, and with it the graph
    layers = quantizable_layers(model)
    weights = [layers[name].weight.requires_grad_() for name in space.weights]
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(samples.labels), generator=generator)[: settings.recordings]
    for frames, labels in samples.batches(settings.batch_size, rows):
        with torch.enable_grad():
            loss = cross_entropy(model(frames), labels, reduction="sum")
            connected = loss.requires_grad
            found = torch.autograd.grad(loss, weights, allow_unused=True) if connected else ()
        gradients = [each.flatten().cpu() for each in found if each is not None]
        if len(gradients) < len(weights):
            apart = [name for name, each in zip(space.weights, found, strict=False) if each is None]
            raise UserError(
                f"the loss passes no gradient back to layer '{[*apart, *space.weights][0]}': "
                "search by the method random"
            )
        yield gradients

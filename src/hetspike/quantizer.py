"""Weights on a scheme's levels: {layer: (scheme, bits)} turns a float model into a quantized one.

A quantizer is a parametrization of a layer's weight (torch.nn.utils.parametrize), so it works on
any module with convolutions and linear layers, ours or not, and the layer itself stays as it is.

    w_q = s * Q(w / s)     Q rounds to the scheme's levels, one learned scale s per output channel

Q passes its gradient straight through inside the range and none outside, which gives the scale
the gradient of LSQ [Esser 2020, eq. 3] for every set of levels: dw_q/ds = Q(w/s) - w/s inside,
and the outermost level outside.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn
from torch.nn.utils import parametrize

from hetspike.errors import UserError
from hetspike.levels import SCHEMES

SMALLEST_SCALE = 1e-8
Synapses = nn.Conv1d | nn.Conv2d | nn.Linear


class Choice(NamedTuple):
    """How one layer stores its weights."""

    scheme: str
    bits: int


def choices(widths: Mapping[str, Iterable[int]]) -> tuple[Choice, ...]:
    """Each scheme at each of its widths, in the order of a configuration."""
    return tuple(Choice(scheme, bits) for scheme, each in widths.items() for bits in each)


Assignment = Mapping[str, Choice]  # layers that are not named stay in float


class RoundToLevel(torch.autograd.Function):
    """Nearest level of a ratio w/s; straight-through up to the largest level, clipped beyond."""

    @staticmethod
    def forward(ctx: Any, ratio: Tensor, levels: Tensor, thresholds: Tensor) -> Tensor:
        magnitude = ratio.abs()
        ctx.save_for_backward(magnitude <= levels[-1])
        # copysign, not a product with sign(): a level without zero keeps its size where w is 0
        return levels[torch.bucketize(magnitude, thresholds)].copysign(ratio)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


class ScaleGradient(torch.autograd.Function):
    """Identity whose gradient is multiplied by a factor [LSQ's gradient scale, section 2.2]."""

    @staticmethod
    def forward(ctx: Any, scale: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return scale.view_as(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def least_squares_scale(rows: Tensor, levels: Tensor, thresholds: Tensor) -> Tensor:
    """The scale of least squared error per row of weights: [C, N] -> [C].

    40 fractions of max|w| round the weights to levels; for the levels q of each the best scale is
    <w, q> / <q, q>, and the best of these is taken. For binary it is mean|w| [XNOR-Net, eq. 6].

    Every scheme starts here, so that none is favoured by its start. For PoT the paper's rule is not
    public; for uniform LSQ starts at 2 mean|w| / sqrt(Qp) instead [Esser 2020, section 2.1], far
    from where a QAT of few epochs should end.
    """
    top = rows.abs().amax(1)
    best_scale, best_fit = torch.zeros_like(top), torch.full_like(top, -1.0)
    for fraction in torch.linspace(0.2, 1.2, 40).tolist():
        scale = (fraction * top / levels[-1]).clamp_min(SMALLEST_SCALE)
        rounded = RoundToLevel.apply(rows / scale[:, None], levels, thresholds)
        product = (rows * rounded).sum(1)
        square = rounded.square().sum(1).clamp_min(SMALLEST_SCALE)
        # |w - s q|^2 = |w|^2 - <w, q>^2 / <q, q> at the best s
        fit = product.square() / square
        best_scale = torch.where(fit > best_fit, product / square, best_scale)
        best_fit = torch.maximum(fit, best_fit)
    return best_scale


class Quantizer(nn.Module):
    """One layer's scheme, bits and learned scales; maps weights [C, ...] to quantized ones.

    The scale is learned as its logarithm: it stays positive by construction, and an optimizer
    step changes it by a proportion.

    >>> weight = torch.tensor([[0.5, -0.25, 0.1, 1.0]])
    >>> quantizer = Quantizer(weight, Choice("pot", 3))
    >>> with torch.no_grad():
    ...     quantizer(weight) / quantizer.log_scale.exp()
    tensor([[ 0.5000, -0.2500,  0.0000,  1.0000]])
    """

    levels: Tensor
    thresholds: Tensor

    def __init__(self, weight: Tensor, choice: Choice) -> None:
        super().__init__()
        if choice.scheme not in SCHEMES:
            raise UserError(f"unknown scheme '{choice.scheme}': use one of {', '.join(SCHEMES)}")
        scheme = SCHEMES[choice.scheme]
        if choice.bits not in scheme.widths:
            raise UserError(
                f"{choice.bits} bits: {choice.scheme} takes {scheme.widths[0]} to "
                f"{scheme.widths[-1]} bits a weight"
            )
        self.choice = choice
        magnitudes, thresholds = scheme.levels(choice.bits)
        self.register_buffer("levels", weight.new_tensor(magnitudes), persistent=False)
        self.register_buffer("thresholds", weight.new_tensor(thresholds), persistent=False)
        rows = weight.detach().flatten(1)  # [C, N]
        scale = least_squares_scale(rows, self.levels, self.thresholds)
        self.log_scale = nn.Parameter(scale.clamp_min(SMALLEST_SCALE).log())
        # LSQ's 1 / sqrt(N Qp); Qp is the number of positive levels
        self.gradient_factor = (rows.shape[1] * sum(m > 0 for m in magnitudes)) ** -0.5

    @property
    def scale(self) -> Tensor:
        """What a level of 1 stands for, by channel [C]."""
        return self.log_scale.exp()

    def forward(self, weight: Tensor) -> Tensor:
        scale = ScaleGradient.apply(self.log_scale, self.gradient_factor).exp()
        scale = scale.view(-1, *(1,) * (weight.dim() - 1))
        return scale * RoundToLevel.apply(weight / scale, self.levels, self.thresholds)

    def codes(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Sign (bool, negative) and index of the magnitude of each quantized weight [C, ...]."""
        ratio = weight / self.scale.view(-1, *(1,) * (weight.dim() - 1))
        return ratio.signbit(), torch.bucketize(ratio.abs(), self.thresholds)


def quantizable_layers(model: nn.Module) -> dict[str, Synapses]:
    """Convolutions and linear layers by their name in the model, in the model's order."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, Synapses)}


def boundary_choices(
    model: nn.Module, boundary_layers: Literal["searched", "8-bit", "float"]
) -> dict[str, Choice | None]:
    """First and last layer where they are kept out of a search: at 8 bits, or in float (None)."""
    names = list(quantizable_layers(model))
    match boundary_layers:
        case "searched":
            return {}
        case "8-bit":
            return dict.fromkeys((names[0], names[-1]), Choice("uniform", 8))
        case "float":
            return dict.fromkeys((names[0], names[-1]))


def single_scheme(
    model: nn.Module, choice: Choice, boundary: Mapping[str, Choice | None]
) -> dict[str, Choice]:
    """One choice for every layer, the boundary layers excepted."""
    choices = {name: boundary.get(name, choice) for name in quantizable_layers(model)}
    return {name: each for name, each in choices.items() if each}


def _copy(model: nn.Module) -> nn.Module:
    """A copy, its neurons and the model's at rest: a state with gradients cannot be copied."""
    functional.reset_net(model)
    return copy.deepcopy(model)


def quantize(model: nn.Module, assignment: Assignment) -> nn.Module:
    """A copy of the model whose named layers hold quantized weights, ready for QAT.

    Raises UserError when the assignment names a layer that the model does not have.
    """
    quantized = _copy(model)
    layers = quantizable_layers(quantized)
    for name, choice in assignment.items():
        if name not in layers:
            raise UserError(f"assignment names layer '{name}': the model has {', '.join(layers)}")
        quantizer = Quantizer(layers[name].weight, choice)
        parametrize.register_parametrization(layers[name], "weight", quantizer)
    return quantized


def freeze(model: nn.Module) -> nn.Module:
    """A copy of a quantized model with plain weights that lie on their levels."""
    frozen = _copy(model)
    for layer in quantizable_layers(frozen).values():
        if parametrize.is_parametrized(layer, "weight"):
            # not remove_parametrizations: it strips a class that the copy shares with its original
            weight = layer.weight.detach().clone()
            layer.__class__ = parametrize.type_before_parametrizations(layer)
            del layer.parametrizations
            layer.weight = nn.Parameter(weight)
    return frozen

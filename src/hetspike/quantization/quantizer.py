"""Quantizers: an assignment {layer: (scheme, bits)} makes a float model a quantized one.

A quantizer is a parametrization of a layer's weight (torch.nn.utils.parametrize), so it works on
any module with convolutions and linear layers, ours or not, and the layer itself stays as it is.

    w_q = s * Q(w / s)     Q rounds to the scheme's levels, one learned scale s per output channel

Q passes its gradient straight through inside the range and none outside, which gives the scale
the gradient of LSQ [Esser 2020, eq. 3] for every set of levels: dw_q/ds = Q(w/s) - w/s inside,
and the outermost level outside.
"""

import operator
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from hetspike.errors import UserError, during
from hetspike.inspection.finite import check_numbers
from hetspike.inspection.layers import copied, quantizable_layers
from hetspike.inspection.watch import Watch
from hetspike.quantization.levels import SCHEMES

SMALLEST_SCALE = 1e-8
NO_LEVEL = "no level is near it; train the network again"


class Choice(NamedTuple):
    """How one layer stores its weights."""

    scheme: str
    bits: int


def as_choice(given: Any) -> Choice:
    """Check a pair of scheme and bits. Raises UserError unless there are such levels."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise UserError(f"{given!r} is no choice of levels: give a scheme and bits, ('uniform', 3)")
    name, bits = given
    if not isinstance(name, str) or name not in SCHEMES:
        raise UserError(f"unknown scheme '{name}': use one of {', '.join(SCHEMES)}")
    widths = SCHEMES[name].widths
    try:
        bits = operator.index(bits)  # an integer of numpy is one as well
    except TypeError:
        raise UserError(f"{bits!r} bits: give a whole number") from None
    if bits not in widths:
        raise UserError(f"{bits} bits: {name} takes {widths[0]} to {widths[-1]} bits a weight")
    return Choice(name, bits)


def choices(widths: Mapping[str, Iterable[int]]) -> tuple[Choice, ...]:
    """List each scheme at each of its widths, in the order of a configuration.

    Raises UserError unless there are such levels.
    """
    for scheme, each in widths.items():
        if not isinstance(each, Iterable):
            raise UserError(f"{scheme}: {each!r} is no list of widths: give [{each!r}]")
    return tuple(as_choice((scheme, bits)) for scheme, each in widths.items() for bits in each)


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
    """Return the scale of least squared error per row of weights: [C, N] -> [C].

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
        check_numbers({"its weight": weight}, NO_LEVEL)
        self.choice = as_choice(choice)
        magnitudes, thresholds = SCHEMES[self.choice.scheme].levels(self.choice.bits)
        self.register_buffer("levels", weight.new_tensor(magnitudes), persistent=False)
        self.register_buffer("thresholds", weight.new_tensor(thresholds), persistent=False)
        rows = weight.detach().flatten(1)  # [C, N]
        scale = least_squares_scale(rows, self.levels, self.thresholds)
        self.log_scale = nn.Parameter(scale.clamp_min(SMALLEST_SCALE).log())
        # LSQ's 1 / sqrt(N Qp); Qp is the number of positive levels
        self.gradient_factor = (rows.shape[1] * sum(m > 0 for m in magnitudes)) ** -0.5

    @property
    def scale(self) -> Tensor:
        """Return the value of a level of 1, by channel [C]."""
        return self.log_scale.exp()

    def forward(self, weight: Tensor) -> Tensor:
        scale = ScaleGradient.apply(self.log_scale, self.gradient_factor).exp()
        scale = scale.view(-1, *(1,) * (weight.dim() - 1))
        return scale * RoundToLevel.apply(weight / scale, self.levels, self.thresholds)

    def codes(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return sign (bool, negative) and magnitude's index of each weight [C, ...]."""
        ratio = weight / self.scale.view(-1, *(1,) * (weight.dim() - 1))
        return ratio.signbit(), torch.bucketize(ratio.abs(), self.thresholds)


def boundary_choices(
    model: nn.Module, boundary_layers: Literal["searched", "8-bit", "float"], example: Tensor
) -> dict[str, Choice | None]:
    """Return the choices of first and last layer if no search has them; None is float.

    They are those that run first and last on frames [T, B, C, H, W], wherever they are defined.
    """
    if boundary_layers == "searched":
        return {}
    looked_at = copied(model).eval()
    with torch.no_grad(), Watch(looked_at) as seen:
        looked_at(example)
    layers = quantizable_layers(model)
    ran = {name: each.last for name, each in seen.weighed.items() if name in layers}
    if not ran:
        raise UserError("no convolution or linear layer runs: there is no first or last one")
    choice = Choice("uniform", 8) if boundary_layers == "8-bit" else None
    return dict.fromkeys((next(iter(ran)), max(ran, key=ran.__getitem__)), choice)


def single_scheme(
    model: nn.Module, choice: Choice, boundary: Mapping[str, Choice | None]
) -> dict[str, Choice]:
    """Assign one choice to every layer except the boundary layers."""
    choices = {name: boundary.get(name, choice) for name in quantizable_layers(model)}
    return {name: each for name, each in choices.items() if each}


def _make_plain(module: nn.Module) -> None:
    """Put what parametrizations compute in evaluation mode in their place."""
    lists: Any = module.parametrizations
    lists.eval()  # a spectral norm's estimate goes on in training
    values = {}
    for name, each in lists.items():
        learns = any(original.requires_grad for original in each.parameters(recurse=False))
        values[name] = nn.Parameter(getattr(module, name).detach().clone(), learns)
    # not remove_parametrizations: it strips a class that a copy shares with its original
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in values.items():
        setattr(module, name, value)


def quantize(model: nn.Module, assignment: Assignment) -> nn.Module:
    """Copy a model and quantize the weights of the named layers, ready for QAT.

    A quantizer starts from the weight that the layer answers with, whatever computes it: an
    earlier quantizer, or a weight norm, is gone afterwards. Layers that are not named stay as they
    are.

    Raises UserError when the assignment names a layer that the model does not have, levels that
    there are not, or a layer whose weight is not finite.
    """
    quantized = copied(model)
    layers = quantizable_layers(quantized)
    for name, choice in assignment.items():
        if name not in layers:
            raise UserError(f"assignment names layer '{name}': the model has {', '.join(layers)}")
        if parametrize.is_parametrized(layers[name]):
            _make_plain(layers[name])
        with during(f"layer '{name}'"):
            quantizer = Quantizer(layers[name].weight, choice)
        parametrize.register_parametrization(layers[name], "weight", quantizer)
    return quantized


def freeze(model: nn.Module) -> nn.Module:
    """Copy a model with plain weights: those of quantized layers lie on their levels."""
    frozen = copied(model)
    for module in frozen.modules():
        if parametrize.is_parametrized(module):
            _make_plain(module)
    return frozen

"""Quantizers: modules that quantize the weights of a float model as an assignment states.

A quantizer is a parametrization of a layer's weight (torch.nn.utils.parametrize). So it works with
the convolutions and linear layers of any module, and the layer itself does not change.

    w_q = s * Q(w / s)     Q rounds to a level of the scheme; s is a learned scale per channel

The gradient of Q is 1 within the range of the levels and 0 outside (straight-through). For every
set of levels, the gradient of the scale is then that of LSQ [Esser 2020, eq. 3]: dw_q/ds is
Q(w/s) - w/s within the range and the outermost level outside.
"""

import operator
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils import parametrize

from hetspike.errors import UserError, during
from hetspike.inspection.finite import check_numbers
from hetspike.inspection.layers import copied, quantizable_layers
from hetspike.inspection.watch import Watch
from hetspike.kernels.rounding import round_backward, round_to_levels
from hetspike.quantization.levels import SCHEMES

SMALLEST_SCALE = 1e-8
NO_LEVEL = "no level is near it; train the network again"


class Choice(NamedTuple):
    """The scheme and the number of bits with which one layer stores its weights."""

    scheme: str
    bits: int


def as_choice(pair: Any) -> Choice:
    """Return a pair of scheme and bits as a choice. Raises UserError if there is no such scheme."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise UserError(f"{pair!r} is no choice of levels: give a scheme and bits, ('uniform', 3)")
    name, bits = pair
    if not isinstance(name, str) or name not in SCHEMES:
        raise UserError(f"unknown scheme '{name}': use one of {', '.join(SCHEMES)}")
    widths = SCHEMES[name].widths
    try:
        bits = operator.index(bits)  # also accepts integers of numpy
    except TypeError:
        raise UserError(f"{bits!r} bits: give a whole number") from None
    if bits not in widths:
        raise UserError(f"{bits} bits: {name} takes {widths[0]} to {widths[-1]} bits a weight")
    return Choice(name, bits)


def choices(widths: Mapping[str, Iterable[int]]) -> tuple[Choice, ...]:
    """Return a choice for each scheme and each of its widths, in the order of a configuration.

    Raises UserError if a scheme is unknown or does not have a width.
    """
    for scheme, bits_of_scheme in widths.items():
        if not isinstance(bits_of_scheme, Iterable):
            raise UserError(
                f"{scheme}: {bits_of_scheme!r} is no list of widths: give [{bits_of_scheme!r}]"
            )
    return tuple(as_choice((scheme, b)) for scheme, several in widths.items() for b in several)


Assignment = Mapping[str, Choice]  # layer -> choice; layers without an entry stay in float


class RoundToLevel(torch.autograd.Function):
    """Rounding of a ratio w/s to the nearest level.

    The gradient is passed on for magnitudes up to the largest level, and is 0 beyond.
    """

    @staticmethod
    def forward(ctx: Any, ratio: Tensor, levels: Tensor, thresholds: Tensor) -> Tensor:
        magnitude = ratio.abs()
        ctx.save_for_backward(magnitude <= levels[-1])
        # not a product with sign(), which would be 0 for w = 0 also in schemes without the level 0
        return levels[torch.bucketize(magnitude, thresholds)].copysign(ratio)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


class _Rounded(torch.autograd.Function):
    """The same as `Quantizer.forward`'s last line, in one pass over the weights each way."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, log_scale: Tensor, quantizer: "Quantizer") -> Tensor:
        scale = log_scale.exp()
        levels, thresholds = quantizer.levels.numpy(), quantizer.thresholds.numpy()
        rows = round_to_levels(weight.flatten(1).numpy(), scale.numpy(), levels, thresholds)
        quantized = torch.from_numpy(rows).view(weight.shape)
        ctx.save_for_backward(weight, quantized, scale)
        ctx.top, ctx.factor = levels[-1], quantizer.gradient_factor
        return quantized

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, quantized, scale = ctx.saved_tensors
        given, rows, rounded = (x.flatten(1).numpy() for x in (gradient, weight, quantized))
        found = round_backward(given, rows, rounded, scale.numpy(), ctx.top)
        of_weight, of_scale = map(torch.from_numpy, found)
        return of_weight.view(weight.shape), of_scale * scale * ctx.factor, None


class ScaleGradient(torch.autograd.Function):
    """The identity, with its gradient times a factor [gradient scale of LSQ, section 2.2]."""

    @staticmethod
    def forward(ctx: Any, scale: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return scale.view_as(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def least_squares_scale(rows: Tensor, levels: Tensor, thresholds: Tensor) -> Tensor:
    """Return the scale of least squared error for each row of weights: [C, N] -> [C].

    The weights of a row are rounded to levels q at 40 scales, which are fractions of max|w|. For
    each q the best scale is <w, q> / <q, q>; the one with the least error is returned. For binary
    it is mean|w| [XNOR-Net, eq. 6].

    Every scheme starts from this scale, so that no scheme is favoured by its start. The paper does
    not publish its rule for PoT. For uniform, LSQ starts at 2 mean|w| / sqrt(Qp) [Esser 2020,
    section 2.1], which is far from the scale after a QAT of few epochs.
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
    """The quantizer of one layer, with learned scales: weights [C, ...] -> quantized weights.

    The learned parameter is the logarithm of the scale. So the scale is always positive, and a
    step of the optimizer changes it by a factor.

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
        # 1 / sqrt(N Qp) as in LSQ; Qp is the number of positive levels
        self.gradient_factor = (rows.shape[1] * sum(m > 0 for m in magnitudes)) ** -0.5

    @property
    def scale(self) -> Tensor:
        """Return the scale of each channel [C], which is the weight of the level 1."""
        return self.log_scale.exp()

    def forward(self, weight: Tensor) -> Tensor:
        if weight.device.type == "cpu" and weight.dtype == torch.float32:
            return _Rounded.apply(weight, self.log_scale, self)
        scale = ScaleGradient.apply(self.log_scale, self.gradient_factor).exp()
        scale = scale.view(-1, *(1,) * (weight.dim() - 1))
        return scale * RoundToLevel.apply(weight / scale, self.levels, self.thresholds)

    def codes(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return for each weight [C, ...] whether it is negative, and its magnitude's index."""
        ratio = weight / self.scale.view(-1, *(1,) * (weight.dim() - 1))
        return ratio.signbit(), torch.bucketize(ratio.abs(), self.thresholds)


def boundary_choices(
    model: nn.Module, boundary_layers: Literal["searched", "8-bit", "float"], example: Tensor
) -> dict[str, Choice | None]:
    """Return the choices of the boundary layers that are not searched; None means float.

    The boundary layers are those that run first and last on the example [T, B, C, H, W]. The order
    of their definition does not matter.
    """
    if boundary_layers == "searched":
        return {}
    trial = copied(model).eval()
    with torch.no_grad(), Watch(trial) as seen:
        trial(example)
    layers = quantizable_layers(model)
    last_run = {name: row.last for name, row in seen.weighed.items() if name in layers}
    if not last_run:
        raise UserError("no convolution or linear layer runs: there is no first or last one")
    choice = Choice("uniform", 8) if boundary_layers == "8-bit" else None
    return dict.fromkeys((next(iter(last_run)), max(last_run, key=last_run.__getitem__)), choice)


def single_scheme(
    model: nn.Module, choice: Choice, boundary: Mapping[str, Choice | None]
) -> dict[str, Choice]:
    """Assign one choice to every layer except the boundary layers."""
    choices = {name: boundary.get(name, choice) for name in quantizable_layers(model)}
    return {name: own for name, own in choices.items() if own}


def _make_plain(module: nn.Module) -> None:
    """Replace parametrizations by the tensors that they compute in evaluation mode, in place."""
    lists: Any = module.parametrizations
    lists.eval()  # in training mode a spectral norm would update its estimate
    values = {}
    for name, parametrizations in lists.items():
        originals = parametrizations.parameters(recurse=False)
        learns = any(original.requires_grad for original in originals)
        values[name] = nn.Parameter(getattr(module, name).detach().clone(), learns)
    # remove_parametrizations would change a class that a copy shares with its original
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in values.items():
        setattr(module, name, value)


def quantize(model: nn.Module, assignment: Assignment) -> nn.Module:
    """Copy a model and quantize the weights of the layers in an assignment, ready for QAT.

    A quantizer starts from the weight that the layer uses. If another parametrization computes that
    weight, for example an earlier quantizer or a weight norm, the quantizer replaces it. Layers
    without an entry do not change.

    Raises UserError if the assignment names a layer that the model does not have or a choice that
    does not exist, and if a weight is not finite.
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
    """Copy a model with plain weights: quantizers are replaced by the weights they compute."""
    frozen = copied(model)
    for module in frozen.modules():
        if parametrize.is_parametrized(module):
            _make_plain(module)
    return frozen

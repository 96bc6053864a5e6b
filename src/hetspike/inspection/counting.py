"""Counts of pairs of values that meet in products, and statistics of these values.

Nothing is multiplied: pairs follow from where values are not zero. In a matrix product an input
meets one weight for every output, in a convolution one for every tap of the kernel and output
channel that reaches its place: fewer at a border.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from hetspike.errors import UserError

FINEST = 16  # bits after the point that an input may have


def count(mask: Tensor, met: int | Tensor) -> int:
    """Count the pairs of masked inputs (bool) and the weights that each of them meets.

    met     a number, or one for each place [...] of a mask [B, C, ...]

    >>> two = torch.tensor([[[True, False, False, True]]])
    >>> count(two, 3), count(two, torch.tensor([2, 3, 3, 2]))
    (6, 4)
    """
    if isinstance(met, int):
        return int(mask.count_nonzero()) * met
    return int((mask.sum((0, 1)).cpu() * met).sum())


def count_products(left: Tensor, right: Tensor) -> int:
    """Count pairs in a product [..., M, K] @ [..., K, N] whose two values are masked."""
    return int((left.sum(-2) * right.sum(-1)).sum())


def weights_met(
    inputs: Sequence[int],
    outputs: Sequence[int],
    weight: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    transposed: bool = False,
) -> Tensor:
    """Return how many weights an input of a convolution meets, by its place [...].

    inputs, outputs     sizes of the axes, without those of batch and channels
    weight              shape [C_out, C_in / groups, ...]; transposed, [C_in, C_out / groups, ...]

    >>> one = {"stride": [1], "dilation": [1], "groups": 1}
    >>> weights_met([4], [4], [1, 1, 3], padding=[1], **one).tolist()
    [2, 3, 3, 2]
    """
    channels, taps = weight[1] if transposed else weight[0] // groups, weight[2:]
    axes = zip(inputs, outputs, taps, stride, padding, dilation, strict=True)
    return channels * _taps_met(tuple(axes), transposed)


@lru_cache(maxsize=256)
def _taps_met(axes: tuple[tuple[int, ...], ...], transposed: bool) -> Tensor:
    """Taps of a kernel that meet an input, by its place [...]; axes: the sizes above, an axis."""
    met = torch.ones((), dtype=torch.int64)
    for inputs, outputs, size, stride, padding, dilation in axes:
        # an output's window lies among the inputs; transposed, an input's among the outputs
        windows, within = (inputs, outputs) if transposed else (outputs, inputs)
        starts = torch.arange(windows) * stride - padding
        taps = starts[:, None] + torch.arange(size) * dilation
        inside = (taps >= 0) & (taps < within)
        along = inside.sum(1) if transposed else taps[inside].bincount(minlength=inputs)
        met = met[..., None] * along
    return met


@dataclass
class Seen:
    """What passed a place of the network so far."""

    values: int = 0
    active: int = 0
    not_binary: int = 0
    largest: float = 0.0
    fraction: int = 0  # bits after the point
    outputs: int = 0

    def look(self, x: Tensor, outputs: int) -> None:
        nonzero = int(x.count_nonzero())
        others = nonzero - int((x == 1).count_nonzero())
        self.values += x.numel()
        self.active += nonzero
        self.not_binary += others
        self.outputs += outputs
        if others:
            self.largest = max(self.largest, _largest(x))
            if x.is_floating_point():
                while self.fraction < FINEST and bool((x * 2**self.fraction).frac().any()):
                    self.fraction += 1
        elif nonzero:
            self.largest = max(self.largest, 1.0)

    @property
    def bits(self) -> int:
        """Width of the largest value in fixed point, without a sign."""
        return _width(self.largest * 2**self.fraction)


@dataclass
class Weighed(Seen):
    """Inputs that met weights: those of one module."""

    fan_in: int = 0
    dense: int = 0
    macs: int = 0  # pairs whose input is neither 0 nor 1
    acs: int = 0  # pairs whose input is 1
    made_from: set[str] = field(default_factory=set)  # parameters
    constants: int = 0  # weights that no parameter makes
    last: int = 0  # when it ran last: operations before it that met weights

    def weigh(self, x: Tensor, met: int | Tensor, outputs: int) -> None:
        """Inputs that meet so many weights each, as for `count`."""
        before = self.not_binary
        self.look(x, outputs)
        active = count(x != 0, met)
        macs = count((x != 0) & (x != 1), met) if self.not_binary > before else 0
        self.macs += macs
        self.acs += active - macs


@dataclass
class Multiplied:
    """Products of two activations in one module."""

    macs: int = 0  # pairs of two values that are neither 0 nor 1
    acs: int = 0  # other pairs of two that are not 0
    largest: float = 0.0  # of what came out
    whole: bool = True  # whether all values that are multiplied are integers

    def multiply(
        self, left: Tensor, right: Tensor, out: Tensor, pairs: Callable[[Tensor, Tensor], int]
    ) -> None:
        """A product, in which `pairs` counts those whose two values masks name."""
        active = pairs(left != 0, right != 0)
        others = [(x != 0) & (x != 1) for x in (left, right)]
        macs = pairs(*others) if all(bool(each.any()) for each in others) else 0
        self.macs += macs
        self.acs += active - macs
        self.largest = max(self.largest, _largest(out))
        if macs:
            fractions = (x for x in (left, right) if x.is_floating_point())
            self.whole &= not any(bool(x.frac().any()) for x in fractions)

    @property
    def bits(self) -> int:
        """Width of the largest sum, or product, without a sign."""
        return _width(self.largest)


def _largest(x: Tensor) -> float:
    """Largest magnitude; UserError where values are no finite numbers."""
    if not x.numel():
        return 0.0
    top = float(x.any() if x.dtype is torch.bool else x.abs().max())
    if not math.isfinite(top):
        raise UserError(
            "the network makes values that are no finite numbers: it cannot be measured, train it "
            "again or look for weights that are none"
        )
    return top


def _width(value: float) -> int:
    return math.ceil(value).bit_length()

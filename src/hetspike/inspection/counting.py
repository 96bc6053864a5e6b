"""Counts of the pairs of values that products multiply, and statistics of these values.

The counts follow from the positions of values that are not zero; nothing is multiplied. In a matrix
product, an input is multiplied by one weight per output. In a convolution, an input is multiplied
by one weight per output channel and tap of the kernel that covers its position, which are fewer at
a border.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from hetspike.errors import UserError
from hetspike.kernels import tallies
from hetspike.kernels.vectors import LANES

FINEST = 16  # largest number of bits after the binary point of an input


def count(mask: Tensor, weights: int | Tensor) -> int:
    """Count the pairs of a masked input (bool) and a weight.

    weights  number of weights per input: one number, or one per position [...] of a mask
             [B, C, ...]

    >>> two = torch.tensor([[[True, False, False, True]]])
    >>> count(two, 3), count(two, torch.tensor([2, 3, 3, 2]))
    (6, 4)
    """
    if isinstance(weights, int):
        return int(mask.count_nonzero()) * weights
    return int((mask.sum((0, 1)).cpu() * weights).sum())


def count_products(left: Tensor, right: Tensor) -> int:
    """Count the pairs of two True values in a product [..., M, K] @ [..., K, N] of masks."""
    return int((left.sum(-2) * right.sum(-1)).sum())


def count_bytes(x: Tensor) -> tuple[Tensor, int]:
    """Count the bytes [B, C, ...] above 0 and those above 1, by position; and find the largest.

    >>> count_bytes(torch.tensor([[[0, 1], [3, 1]]], dtype=torch.uint8))
    (tensor([[1, 2],
            [1, 0]]), 3)
    """
    rows = x.movedim(1, -1).contiguous()
    counts = torch.zeros(2, *rows.shape[1:-1], dtype=torch.int64)
    images = rows.view(len(x), counts[0].numel(), x.shape[1]).numpy()
    return counts, tallies.count_active(images, counts.view(2, -1).numpy())


def weights_per_input(
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
    """Return the number of weights of a convolution per input, by the input's position [...].

    inputs, outputs  sizes of the axes, without batch and channels
    weight           shape [C_out, C_in / groups, ...]; transposed: [C_in, C_out / groups, ...]

    >>> one = {"stride": [1], "dilation": [1], "groups": 1}
    >>> weights_per_input([4], [4], [1, 1, 3], padding=[1], **one).tolist()
    [2, 3, 3, 2]
    """
    channels, taps = weight[1] if transposed else weight[0] // groups, weight[2:]
    axes = zip(inputs, outputs, taps, stride, padding, dilation, strict=True)
    return channels * _taps_per_input(tuple(axes), transposed)


@lru_cache(maxsize=256)
def _taps_per_input(axes: tuple[tuple[int, ...], ...], transposed: bool) -> Tensor:
    """Return the number of taps per input by its position [...].

    axes  for each axis: inputs, outputs, size of the kernel, stride, padding, dilation
    """
    counts = torch.ones((), dtype=torch.int64)
    for inputs, outputs, size, stride, padding, dilation in axes:
        # the window of an output is among the inputs; transposed, that of an input among outputs
        windows, within = (inputs, outputs) if transposed else (outputs, inputs)
        starts = torch.arange(windows) * stride - padding
        taps = starts[:, None] + torch.arange(size) * dilation
        inside = (taps >= 0) & (taps < within)
        along = inside.sum(1) if transposed else taps[inside].bincount(minlength=inputs)
        counts = counts[..., None] * along
    return counts


@dataclass
class Seen:
    """Statistics of the values that entered a module so far."""

    values: int = 0
    active: int = 0  # values that are not 0
    not_binary: int = 0  # values that are neither 0 nor 1
    largest: float = 0.0
    fraction: int = 0  # bits after the binary point
    outputs: int = 0

    def look(self, x: Tensor, outputs: int) -> None:
        """Add values and the number of outputs."""
        if _are_bytes(x):
            self.look_at_bytes(x, outputs)
            return
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

    def look_at_bytes(self, x: Tensor, outputs: int) -> Tensor:
        """Do the same for bytes; return their counts by position [2, ...], as `count_bytes`."""
        counts, largest = count_bytes(x)
        active, others = counts.view(2, -1).sum(1).tolist()
        self.values += x.numel()
        self.active += active
        self.not_binary += others
        self.outputs += outputs
        self.largest = max(self.largest, float(largest))
        return counts

    @property
    def bits(self) -> int:
        """Return the width of the largest value in fixed point, without a sign bit."""
        return _width(self.largest * 2**self.fraction)


@dataclass
class Weighed(Seen):
    """Statistics of the inputs of one module and their products with weights."""

    fan_in: int = 0
    dense: int = 0
    macs: int = 0  # pairs whose input is neither 0 nor 1
    acs: int = 0  # pairs whose input is 1
    made_from: set[str] = field(default_factory=set)  # names of the weights' parameters
    constants: int = 0  # weights that are not made from parameters
    last: int = 0  # number of its last run among all products with weights

    def weigh(self, x: Tensor, weights: int | Tensor, outputs: int) -> None:
        """Add inputs, with the number of weights per input as for `count`."""
        if _are_bytes(x):
            active, macs = (self.look_at_bytes(x, outputs) * weights).view(2, -1).sum(1).tolist()
        else:
            before = self.not_binary
            self.look(x, outputs)
            active = count(x != 0, weights)
            macs = count((x != 0) & (x != 1), weights) if self.not_binary > before else 0
        self.macs += macs
        self.acs += active - macs


@dataclass
class Multiplied:
    """Products of two activations in one module."""

    macs: int = 0  # pairs without a 0 or a 1
    acs: int = 0  # pairs without a 0 and with a 1
    largest: float = 0.0  # largest magnitude of the results
    whole: bool = True  # whether the values that MACs multiply are integers

    def multiply(
        self, left: Tensor, right: Tensor, out: Tensor, pairs: Callable[[Tensor, Tensor], int]
    ) -> None:
        """Add a product; `pairs` counts the pairs whose two values are True in two masks."""
        active = pairs(left != 0, right != 0)
        others = [(x != 0) & (x != 1) for x in (left, right)]
        macs = pairs(*others) if all(bool(each.any()) for each in others) else 0
        self.macs += macs
        self.acs += active - macs
        self.largest = max(self.largest, _largest(out))
        if macs:
            fractions = (x for x in (left, right) if x.is_floating_point())
            self.whole &= not any(bool(x.frac().any()) for x in fractions)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> None:
        """Add the products (q k^T) v of spikes [B, C, N], bytes; kernels know their width."""
        lanes = LANES[q.shape[1] // heads]
        q, k, v = (each.movedim(1, -1).contiguous() for each in (q, k, v))
        acs, largest = tallies.count_attention(q.numpy(), k.numpy(), v.numpy(), lanes)
        self.acs += acs
        self.largest = max(self.largest, largest)

    @property
    def bits(self) -> int:
        """Return the width of the largest sum or product, without a sign bit."""
        return _width(self.largest)


def _are_bytes(x: Tensor) -> bool:
    return x.dtype is torch.uint8 and x.device.type == "cpu" and x.dim() > 1


def _largest(x: Tensor) -> float:
    """Return the largest magnitude. Raises UserError for values that are not finite."""
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

"""Spikes as the kernels hold them, and the steps of a network on them, with their gradients.

Spikes are bytes, channels last: a quarter of the memory of float32, and fast to list. Autograd
follows numbers that can have gradients, which bytes are not. So each step also hands on a `trace`:
a tensor of the shape of its spikes that stands for them and holds nothing. Gradients reach a step
in that shape, and a trace's own values are never read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from hetspike.kernels import attention, neurons, pools, products
from hetspike.kernels.reports import OBSERVER
from hetspike.kernels.vectors import LANES

Array = NDArray[Any]


class Neuron(NamedTuple):
    """LIF neurons with a hard reset to 0 and a sigmoid surrogate that the reset does not pass."""

    leak: float  # 1 / tau
    threshold: float
    alpha: float  # slope of the surrogate


class Spikes:
    """Spikes, sums of spikes or frames of events: values [T, B, ..., C], contiguous.

    binary  whether all are 0 or 1, in bytes
    """

    def __init__(self, values: Tensor, trace: Tensor, *, binary: bool) -> None:
        self.values, self.trace, self.binary = values, trace, binary
        if observer := OBSERVER.get():
            observer.see_activation(values)

    @property
    def channels_first(self) -> Tensor:
        """The values as a view [T, B, C, ...]."""
        return self.values.movedim(-1, 2)

    def __add__(self, other: Spikes) -> Spikes:
        values = self.values + other.values
        return Spikes(values, _Sum.apply(self.trace, other.trace), binary=False)

    def flatten(self) -> Spikes:
        """Make tokens [T, B, N, C] of images [T, B, H, W, C]."""
        values, trace = (each.flatten(2, 3) for each in (self.values, self.trace))
        return Spikes(values, trace, binary=self.binary)

    def mean(self) -> Tensor:
        """Return the mean over tokens: [T, B, N, C] -> [T, B, C]."""
        return _Mean.apply(self.trace, self.values)

    def tensor(self) -> Tensor:
        """Return the values as a tensor [T, B, C, ...] that autograd follows."""
        return _Leave.apply(self.trace, self.values)

    @cached_property
    def images(self) -> Array:
        """The values as images [I, H, W, C]."""
        return as_images(self.values)

    @cached_property
    def listed(self) -> tuple[Array, Array]:
        """The list of what is not zero, as `products` has it."""
        starts = np.empty(math.prod(self.images.shape[:3]) + 1, np.int32)
        positions = np.empty(self.images.size + 1, np.int32)
        products.list_active(self.images, starts, positions)
        return starts, positions


def as_images(values: Tensor) -> Array:
    """View [T, B, H, W, C] as images [I, H, W, C]; tokens [T, B, N, C] are images of one pixel."""
    pixels = values.shape[2:4] if values.dim() == 5 else (1, 1)
    return values.numpy().reshape(-1, *pixels, values.shape[-1])


def given(frames: Tensor, *, binary: bool = False) -> Spikes:
    """Return frames [T, B, C, ...], or spikes without gradients, as a layer takes them."""
    values = frames.movedim(2, -1).contiguous()
    return Spikes(values, trace_of(values.shape), binary=binary)


def entered(x: Tensor, like: Spikes | None = None) -> Spikes:
    """Return spikes of a tensor [T, B, C, ...] of spikes, or of what is of the kind of `like`."""
    binary, kind = (like.binary, like.values.dtype) if like else (True, torch.uint8)
    values = x.detach().movedim(2, -1).to(kind).contiguous()
    return Spikes(values, _Enter.apply(x), binary=binary)


def trace_of(shape: Sequence[int]) -> Tensor:
    """Return a trace of that shape."""
    return torch.zeros(()).expand(tuple(shape))


def lanes(channels: int, size: int) -> tuple[int, tuple]:
    """Return the widest vectors whose common period with the channels divides size, and it."""
    for width in sorted(LANES, reverse=True):
        period = math.lcm(width, channels)
        if size % period == 0:
            return period, LANES[width]
    raise AssertionError(f"{channels} channels are no multiple of {min(LANES)}")


def row_lanes(channels: int) -> tuple:
    """Return the widest vectors that divide the channels."""
    return lanes(channels, channels)[1]


class _Enter(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return trace_of(x.movedim(2, -1).shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.movedim(-1, 2)


class _Leave(Function):
    @staticmethod
    def forward(ctx: Any, trace: Tensor, values: Tensor) -> Tensor:
        return values.float().movedim(-1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.movedim(2, -1), None


class _Sum(Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        return trace_of(left.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient


class _Mean(Function):
    @staticmethod
    def forward(ctx: Any, trace: Tensor, values: Tensor) -> Tensor:
        ctx.shape = values.shape
        return values.sum(2, dtype=torch.int32).float() / values.shape[2]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return (gradient / ctx.shape[2]).unsqueeze(2).expand(ctx.shape), None


def pool(x: Spikes) -> Spikes:
    """Max-pool images of spikes, 3x3 with stride 2 and padding 1."""
    trace, values = _Pool.apply(x.trace, x.values)
    return Spikes(values, trace, binary=True)


class _Pool(Function):
    @staticmethod
    def forward(ctx: Any, trace: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        *leading, height, width, channels = values.shape
        pooled = values.new_empty(*leading, (height + 1) // 2, (width + 1) // 2, channels)
        taps = torch.empty_like(pooled)
        arrays = [as_images(each).view(np.uint64) for each in (values, pooled, taps)]
        pools.pool(arrays[0], arrays[1], arrays[2])
        ctx.taps, ctx.shape = taps, values.shape
        return trace_of(pooled.shape), pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: None) -> tuple[Tensor, None]:
        gx = gradient.new_empty(ctx.shape)
        given, taps, found = map(as_images, (gradient.contiguous(), ctx.taps, gx))
        pools.pool_backward(given, taps, found, row_lanes(ctx.shape[-1]))
        return gx, None


class Firing:
    """Neurons at work on values y = x of a step; kept for the way back."""

    def __init__(self, y: Array, affine: Array, neuron: Neuron, wide: tuple) -> None:
        self.y, self.affine, self.neuron, self.wide = y, affine, neuron, wide

    def spikes(self, shape: Sequence[int]) -> Tensor:
        """Return spikes of that shape."""
        spikes = torch.empty(tuple(shape), dtype=torch.uint8)
        leak, threshold, _ = map(np.float32, self.neuron)
        flat = spikes.numpy().reshape(self.y.shape)
        neurons.fire(self.y, self.affine, leak, threshold, flat, self.wide)
        return spikes

    def backward(self, gradient: Tensor) -> tuple[Array, Array]:
        """Return the gradient of x [T, N], and its sums [2, L]."""
        gx = np.empty_like(self.y)
        flat = gradient.contiguous().numpy().reshape(gx.shape)
        leak, threshold, alpha = map(np.float32, self.neuron)
        arrays = flat, self.y, self.affine
        sums = neurons.fire_backward(*arrays, leak, threshold, alpha, gx, self.wide)
        return gx, sums


def attend(q: Spikes, k: Spikes, v: Spikes, heads: int, scale: float, neuron: Neuron) -> Spikes:
    """Return the spikes of scale (q k^T) v [T, B, N, D], head by head."""
    traces, qkv = zip(*((each.trace, each.values) for each in (q, k, v)), strict=True)
    trace, values = _Attend.apply(*traces, qkv, heads, scale, neuron)
    return Spikes(values, trace, binary=True)


class _Attend(Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        values: tuple[Tensor, Tensor, Tensor],
        heads: int,
        scale: float,
        neuron: Neuron,
    ) -> tuple[Tensor, Tensor]:
        ctx.qkv = tuple(each.flatten(0, 1).numpy() for each in values)
        ctx.scale, ctx.lanes = np.float32(scale), LANES[q.shape[-1] // heads]
        y = np.empty(ctx.qkv[0].shape, np.float32)
        attention.attend(ctx.qkv, ctx.scale, y, ctx.lanes)
        y = y.reshape(q.shape[0], -1)
        period, wide = lanes(q.shape[-1], y.shape[1])
        identity = np.stack([np.ones(period, np.float32), np.zeros(period, np.float32)])
        ctx.firing = Firing(y, identity, neuron, wide)
        return trace_of(q.shape), ctx.firing.spikes(q.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: None) -> tuple[Any, ...]:
        gx, _sums = ctx.firing.backward(gradient)
        shape = ctx.qkv[0].shape
        found = attention.attend_backward(gx.reshape(shape), ctx.qkv, ctx.scale, ctx.lanes)
        of_qkv = (torch.from_numpy(each).view(gradient.shape) for each in found)
        return *of_qkv, None, None, None, None

"""Layers of weights on spikes, each with its batch norm and its neurons, and their gradients."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

from hetspike.kernels import norms, products
from hetspike.kernels.spikes import (
    Firing,
    Neuron,
    Spikes,
    as_images,
    lanes,
    row_lanes,
    trace_of,
)

LISTED = 32  # channels of a convolution from which on adding rows beats a dense product


class Norm(NamedTuple):
    """Statistics of a batch norm: the running ones, moved where it learns."""

    mean: Tensor
    variance: Tensor
    batches: Tensor
    momentum: float
    epsilon: float
    learns: bool


def fire(
    x: Spikes,
    weight: Tensor,
    stride: int,
    padding: int,
    gamma: Tensor,
    beta: Tensor,
    norm: Norm,
    neuron: Neuron,
) -> Spikes:
    """Return the spikes of neurons behind a batch norm behind weights.

    weight  [N, K, 1] for tokens, [N, K, kernel, kernel] for images
    """
    synapses = Synapses(x, weight.detach(), stride, padding)
    trace, values = _Fire.apply(x.trace, weight, gamma, beta, synapses, norm, neuron)
    return Spikes(values, trace, binary=True)


class Synapses:
    """The product of weights and spikes, and its two gradients."""

    def __init__(self, x: Spikes, weight: Tensor, stride: int, padding: int) -> None:
        self.x, self.weight, self.stride, self.padding = x, weight, stride, padding
        self.listed = weight.dim() == 3 or weight.shape[0] >= LISTED

    def product(self) -> Tensor:
        """Return y [T, B, ..., N]."""
        shape, channels = self.x.values.shape, self.weight.shape[0]
        if not self.listed:
            dense = self.weight.contiguous(memory_format=torch.channels_last)
            found = conv2d(self._dense_images(), dense, stride=self.stride, padding=self.padding)
            return found.permute(0, 2, 3, 1).contiguous().unflatten(0, shape[:2])
        rows = self.weight.flatten(2).permute(2, 1, 0).contiguous()  # [kernel^2, K, N]
        kernel = math.isqrt(len(rows))
        reach = 2 * self.padding - kernel
        images, *pixels, _ = self.x.images.shape
        size = [(each + reach) // self.stride + 1 for each in pixels]
        y = np.empty((images, *size, channels), np.float32)
        products.convolve(
            self.x.images,
            *self.x.listed,
            rows.view(kernel, -1, channels).numpy(),
            self.stride,
            self.padding,
            y,
            row_lanes(channels),
        )
        return torch.from_numpy(y).view(
            *shape[:2], *(size if len(shape) == 5 else shape[2:-1]), channels
        )

    def weight_gradient(self, gy: Tensor) -> Tensor:
        """Return the gradient of the weight from that of y."""
        if not self.listed:
            return self._dense_gradients(gy, of_weight=True)[1]
        channels, inputs = self.weight.shape[:2]
        kernel = self.weight.shape[-1]
        rows = np.zeros((kernel, kernel * inputs, channels), np.float32)
        products.weight_gradient(
            self.x.images,
            *self.x.listed,
            as_images(gy),
            self.stride,
            self.padding,
            rows,
            row_lanes(channels),
        )
        return (
            torch.from_numpy(rows)
            .view(-1, inputs, channels)
            .permute(2, 1, 0)
            .reshape(self.weight.shape)
        )

    def input_gradient(self, gy: Tensor) -> Tensor:
        """Return the gradient of x from that of y."""
        if self.weight.dim() == 3:
            return gy @ self.weight.squeeze(2)
        padding = self.weight.shape[-1] - 1 - self.padding
        if self.stride > 1 or padding < 0:
            return self._dense_gradients(gy)[0].permute(0, 2, 3, 1).reshape(self.x.values.shape)
        # a convolution with the weights turned around
        turned = self.weight.flip(2, 3).transpose(0, 1)
        turned = turned.contiguous(memory_format=torch.channels_last)
        found = conv2d(gy.flatten(0, 1).permute(0, 3, 1, 2), turned, padding=padding)
        return found.permute(0, 2, 3, 1).contiguous().view(self.x.values.shape)

    def _dense_images(self) -> Tensor:
        return self.x.values.flatten(0, 1).permute(0, 3, 1, 2).float()

    def _dense_gradients(self, gy: Tensor, *, of_weight: bool = False) -> tuple[Tensor, ...]:
        """Return the gradient of the images, or that of the weight."""
        images = gy.flatten(0, 1).permute(0, 3, 1, 2)
        stride, padding, dilation, none = [self.stride] * 2, [self.padding] * 2, [1, 1], [0, 0]
        return torch.ops.aten.convolution_backward(
            *(images, self._dense_images(), self.weight, None, stride, padding, dilation),
            *(False, none, 1, [not of_weight, of_weight, False]),
        )


class _Fire(Function):
    @staticmethod
    def forward(
        ctx: Any,
        trace: Tensor,
        weight: Tensor,
        gamma: Tensor,
        beta: Tensor,
        synapses: Synapses,
        norm: Norm,
        neuron: Neuron,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(weight, gamma)  # so that autograd tells when they were changed
        product = synapses.product()
        y = product.numpy().reshape(len(product), -1)
        period, wide = lanes(gamma.numel(), y.shape[1])
        if norm.learns:
            seen = norms.moments(y.ravel(), gamma.numel(), period, wide)
            count = y.size // gamma.numel()
            norms.move(norm.mean.numpy(), seen[0], norm.momentum)
            norms.move(norm.variance.numpy(), seen[1] * (count / (count - 1)), norm.momentum)
            norm.batches.add_(1)
        else:
            seen = np.stack([norm.mean.numpy(), norm.variance.numpy()]).astype(np.float64)
        affine = norms.affine_of(seen, gamma.numpy(), beta.numpy(), norm.epsilon, period)
        ctx.synapses, ctx.norm, ctx.seen = synapses, norm, seen
        ctx.firing = Firing(y, affine, neuron, wide)
        return trace_of(product.shape), ctx.firing.spikes(product.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: None) -> tuple[Any, ...]:
        _weight, gamma = ctx.saved_tensors
        gx, sums = ctx.firing.backward(gradient)
        of_gamma, of_beta = norms.norm_backward(
            gx.ravel(),
            ctx.firing.y.ravel(),
            sums,
            ctx.seen,
            gamma.numpy(),
            ctx.norm.epsilon,
            ctx.norm.learns,
            ctx.firing.wide,
        )
        gy = torch.from_numpy(gx).view(gradient.shape)
        of_x = ctx.synapses.input_gradient(gy) if ctx.needs_input_grad[0] else None
        of_weight = ctx.synapses.weight_gradient(gy) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, torch.from_numpy(of_gamma), torch.from_numpy(of_beta), *[None] * 3

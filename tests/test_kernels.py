"""Kernels against PyTorch and SpikingJelly, on random arrays and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import neuron, surrogate
from torch import nn
from torch.nn import functional

from hetspike.kernels import attention, layers, neurons, norms, pools, products, spikes
from hetspike.kernels.rounding import round_backward, round_to_levels
from hetspike.kernels.spikes import Neuron, Spikes, trace_of
from hetspike.kernels.vectors import LANES

LIF = Neuron(leak=0.5, threshold=1.0, alpha=4.0)


def random_spikes(*shape: int, density: float = 0.3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(*shape, generator=generator) < density).to(torch.uint8)


def spikingjelly_lif(given: Neuron) -> neuron.LIFNode:
    return neuron.LIFNode(
        tau=1 / given.leak,
        v_threshold=given.threshold,
        surrogate_function=surrogate.Sigmoid(alpha=given.alpha),
        detach_reset=True,
        step_mode="m",
    )


def test_neurons_by_hand() -> None:
    """tau 2, threshold 1: h = x/2 = 0.75; 0.75/2 + 1.5/2 = 1.125 fires; then from 0 again."""
    y = np.repeat(np.float32([[1.5], [1.5], [1.5]]), 8, axis=1)
    affine = np.stack([np.ones(8, np.float32), np.zeros(8, np.float32)])
    fired = np.empty(y.shape, np.uint8)
    neurons.fire(y, affine, np.float32(0.5), np.float32(1), fired, LANES[8])
    np.testing.assert_array_equal(fired[:, 0], [0, 1, 0])
    assert (fired == fired[:, :1]).all()


@pytest.mark.parametrize("lif", [LIF, Neuron(1 / 3, 0.5, 2.0), Neuron(0.8, 1.5, 4.0)])
@pytest.mark.parametrize("lanes", sorted(LANES))
def test_neurons_are_those_of_spikingjelly(lif: Neuron, lanes: int) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5, 4 * 64, generator=generator).mul(2).double().requires_grad_()
    given = torch.randn(x.shape, generator=generator)
    spiked = spikingjelly_lif(lif)(x)  # in float64: its 1 - sigmoid cancels in float32
    spiked.backward(given.double())
    assert x.grad is not None

    affine = np.stack([np.ones(lanes, np.float32), np.zeros(lanes, np.float32)])
    leak, threshold, alpha = map(np.float32, lif)
    fired = np.empty(x.shape, np.uint8)
    y = x.detach().float().numpy()
    neurons.fire(y, affine, leak, threshold, fired, LANES[lanes])
    np.testing.assert_array_equal(fired, spiked.detach().numpy())
    gx = np.empty_like(y)
    arrays = given.numpy(), y, affine
    sums = neurons.fire_backward(*arrays, leak, threshold, alpha, gx, LANES[lanes])
    np.testing.assert_allclose(gx, x.grad.numpy(), rtol=1e-5, atol=1e-7)
    by_lane = gx.reshape(5, -1, lanes).astype(np.float64)
    y = y.reshape(by_lane.shape)
    np.testing.assert_allclose(sums, [by_lane.sum((0, 1)), (by_lane * y).sum((0, 1))], atol=1e-4)


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("channels", [8, 24, 64])
def test_batch_norm_is_pytorchs(channels: int, learns: bool) -> None:
    torch.manual_seed(2)
    norm = nn.BatchNorm1d(channels, momentum=0.3)
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    norm.running_mean.copy_(torch.randn(channels))
    norm.train(learns)
    y = torch.randn(3 * 64, channels).mul(3).add(5).requires_grad_()
    running = norm.running_mean.numpy().copy(), norm.running_var.numpy().copy()
    gamma, beta = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    x = norm(y)
    gx = torch.randn_like(x)
    x.backward(gx)
    assert y.grad is not None and norm.weight.grad is not None and norm.bias.grad is not None

    flat = y.detach().numpy().ravel()
    period, lanes = spikes.lanes(channels, flat.size)
    seen = np.stack(running).astype(np.float64)
    if learns:
        seen = norms.moments(flat, channels, period, lanes)
        norms.move(running[0], seen[0], 0.3)
        norms.move(running[1], seen[1] * 192 / 191, 0.3)
    np.testing.assert_allclose(running[0], norm.running_mean, rtol=1e-5)
    np.testing.assert_allclose(running[1], norm.running_var, rtol=1e-5)
    a, b = norms.affine_of(seen, gamma, beta, norm.eps, period)[:, :channels]
    np.testing.assert_allclose(a * y.detach().numpy() + b, x.detach(), rtol=1e-4, atol=1e-5)
    by_lane = np.stack([gx.numpy(), gx.numpy() * y.detach().numpy()]).reshape(2, -1, period)
    gy = gx.numpy().copy().ravel()
    of_gamma, of_beta = norms.norm_backward(
        gy, flat, by_lane.sum(1, dtype=np.float32), seen, gamma, norm.eps, learns, lanes
    )
    np.testing.assert_allclose(of_gamma, norm.weight.grad, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(of_beta, norm.bias.grad, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gy.reshape(y.shape), y.grad, rtol=1e-4, atol=1e-5)


def test_a_list_by_hand() -> None:
    x = np.uint8([[[[0, 2], [1, 1]], [[0, 0], [0, 3]]]])  # one image of 2 x 2 pixels, K = 2
    starts, positions = np.empty(5, np.int32), np.empty(9, np.int32)
    products.list_active(x, starts, positions)
    np.testing.assert_array_equal(starts, [0, 1, 3, 3, 4])
    np.testing.assert_array_equal(positions[:4], [1, 2, 3, 3])


@settings(max_examples=100)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    inputs=st.integers(1, 9),
    channels=st.sampled_from([8, 16, 24, 64]),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    seed=st.integers(0, 99),
)
def test_convolutions_are_pytorchs(size, inputs, channels, kernel, stride, padding, seed) -> None:
    if min(size) + 2 * padding < kernel:
        return
    x = random_spikes(2, 1, *size, inputs, seed=seed) * 2 + random_spikes(2, 1, *size, inputs)
    torch.manual_seed(seed)
    weight = torch.randn(channels, inputs, kernel, kernel)
    synapses = layers.Synapses(Spikes(x, trace_of(x.shape), binary=False), weight, stride, padding)
    images = x.flatten(0, 1).permute(0, 3, 1, 2).float().requires_grad_()
    free = weight.clone().requires_grad_()
    wanted = functional.conv2d(images, free, stride=stride, padding=padding)
    gy = torch.randn(wanted.shape)
    wanted.backward(gy)
    assert images.grad is not None
    given = gy.permute(0, 2, 3, 1).contiguous().unflatten(0, (2, 1))
    for synapses.listed in (True, False):
        found = synapses.product().flatten(0, 1).permute(0, 3, 1, 2)
        torch.testing.assert_close(found, wanted.detach(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(synapses.weight_gradient(given), free.grad, rtol=1e-4, atol=1e-4)
    of_x = synapses.input_gradient(given).flatten(0, 1).permute(0, 3, 1, 2)
    torch.testing.assert_close(of_x, images.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (1, 2), (8, 3)])
def test_pools_are_pytorchs(size: tuple[int, int]) -> None:
    values = random_spikes(3, 2, *size, 16)
    x = values.flatten(0, 1).permute(0, 3, 1, 2).float().requires_grad_()
    wanted = functional.max_pool2d(x, 3, stride=2, padding=1)
    given = torch.randn(wanted.shape)
    wanted.backward(given)
    assert x.grad is not None
    pooled = np.empty(wanted.permute(0, 2, 3, 1).shape, np.uint8)
    taps = np.empty_like(pooled)
    images = spikes.as_images(values)
    pools.pool(*(each.view(np.uint64) for each in (images, pooled, taps)))
    np.testing.assert_array_equal(pooled, wanted.detach().permute(0, 2, 3, 1))
    gx = np.empty(images.shape, np.float32)
    pools.pool_backward(given.permute(0, 2, 3, 1).contiguous().numpy(), taps, gx, LANES[16])
    np.testing.assert_allclose(gx, x.grad.permute(0, 2, 3, 1), rtol=1e-6)


@pytest.mark.parametrize(("tokens", "heads", "width"), [(16, 4, 16), (9, 2, 8), (5, 1, 32)])
def test_attention_is_that_of_matrices(tokens: int, heads: int, width: int) -> None:
    shape = 3, tokens, heads * width
    qkv = tuple(random_spikes(*shape, seed=seed) for seed in range(3))
    given = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    free = [each.float().requires_grad_() for each in qkv]
    q, k, v = (each.unflatten(2, (heads, width)).transpose(1, 2) for each in free)
    wanted = ((q @ k.transpose(-2, -1)) @ v * 0.25).transpose(1, 2).flatten(2)
    wanted.backward(given)
    arrays = tuple(each.numpy() for each in qkv)
    out = np.empty(shape, np.float32)
    attention.attend(arrays, np.float32(0.25), out, LANES[width])
    np.testing.assert_array_equal(out, wanted.detach())  # whole numbers and a power of two
    found = attention.attend_backward(given.numpy(), arrays, np.float32(0.25), LANES[width])
    for gradient, each in zip(found, free, strict=True):
        np.testing.assert_allclose(gradient, each.grad, rtol=1e-4, atol=1e-5)


@settings(max_examples=100)
@given(
    channels=st.integers(1, 4),
    inputs=st.integers(1, 40),
    levels=st.sampled_from([[1.0], [0.0, 1.0], [0.0, 0.25, 0.5, 1.0], [0.0, *range(1, 128)]]),
    seed=st.integers(0, 99),
)
def test_rounding_is_the_nearest_level(channels, inputs, levels, seed) -> None:
    random = np.random.default_rng(seed)
    weight = random.normal(0, 1, (channels, inputs)).astype(np.float32)
    scale = random.uniform(0.2, 1, channels).astype(np.float32)
    magnitudes = np.float32(levels)
    thresholds = (magnitudes[1:] + magnitudes[:-1]) / 2
    rounded = round_to_levels(weight, scale, magnitudes, thresholds)
    ratio = np.abs(weight) / scale[:, None]
    nearest = magnitudes[np.abs(ratio[..., None] - magnitudes).argmin(-1)]
    np.testing.assert_array_equal(rounded, scale[:, None] * np.copysign(nearest, weight))

    given = random.normal(size=weight.shape).astype(np.float32)
    of_weight, of_scale = round_backward(given, weight, rounded, scale, magnitudes[-1])
    inside = ratio <= magnitudes[-1]
    np.testing.assert_array_equal(of_weight, np.where(inside, given, 0))
    error = np.copysign(1, weight) * (nearest - np.where(inside, ratio, 0))
    np.testing.assert_allclose(of_scale, (given * error).sum(1), rtol=1e-3, atol=1e-4)

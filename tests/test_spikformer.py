"""The network's size against the paper's, its neuron against the recurrence, its dynamics."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm, conv2d, linear, max_pool2d

from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer, SpikingSelfAttention, layer_names, lif


def test_paper_size_has_18_quantizable_layers_and_2552896_weights():
    layers = quantizable_layers(Spikformer(10))
    assert len(layers) == 18
    assert sum(layer.weight.numel() for layer in layers.values()) == 2_552_896


def test_paper_size_takes_374_million_dense_macs_a_time_step():
    macs = 0

    def count(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal macs
        positions = output.numel() // layer.weight.shape[0]  # T = B = 1
        macs += layer.weight.numel() * positions

    model = Spikformer(10).eval()
    for layer in quantizable_layers(model).values():
        layer.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 1, 2, 128, 128))
    assert macs / 1e6 == pytest.approx(374.3, abs=0.05)


@pytest.mark.parametrize(
    ("pools", "tokens"), [((True,) * 4, 4), ((True, True, True, False), 16), ((False,) * 4, 1024)]
)
def test_pools_decide_the_number_of_tokens(pools, tokens):
    model = Spikformer(3, width=16, depth=1, heads=2, pools=pools).eval()
    assert model.patch(torch.zeros(2, 1, 2, 32, 32)).shape == (2, 1, 16, tokens)


def test_a_pool_takes_the_largest_of_three_by_three():
    pool = Spikformer(3, width=16, depth=1, heads=2).patch.stages[1]
    x = torch.zeros(1, 1, 2, 8, 8)
    x[0, 0, 0, 4, 4] = x[0, 0, 1, 5, 1] = 1  # windows lie around even places, odd ones in two
    assert pool(x)[0, 0].nonzero().tolist() == [
        [0, 2, 2],
        [1, 2, 0],
        [1, 2, 1],
        [1, 3, 0],
        [1, 3, 1],
    ]


def test_depth_adds_six_layers_a_block():
    counts = [len(quantizable_layers(Spikformer(3, width=16, depth=d, heads=2))) for d in (1, 3)]
    assert counts == [4 + 1 + 6 + 1, 4 + 1 + 18 + 1]


def test_neuron_by_hand():
    # v += (x - v)/2: 0.8; 1.15 spikes and resets to 0; 0.9; (0.9 + 1.1)/2 = 1.0 spikes
    spikes = lif()(torch.tensor([1.6, 1.5, 1.8, 1.1]).view(4, 1))
    assert spikes.flatten().tolist() == [0, 1, 0, 1]


def test_gradient_of_the_neuron_by_hand():
    """Of the second spike: the surrogate has alpha 4, and the reset passes no gradient."""
    inputs = torch.tensor([1.6, 1.5], requires_grad=True)
    lif()(inputs.view(2, 1))[1].sum().backward()
    # potentials 0.8, which does not spike, and (0.8 + 1.5)/2 = 1.15; half of an input arrives in
    # its own step, a quarter in the next
    sigmoid = 1 / (1 + math.exp(-4 * 0.15))
    slope = 4 * sigmoid * (1 - sigmoid)
    assert inputs.grad.tolist() == pytest.approx([slope / 4, slope / 2])


def test_attention_equals_a_loop_over_heads_and_tokens(monkeypatch):
    torch.manual_seed(0)
    attention = SpikingSelfAttention(8, 2).eval()
    q, k, v = ((torch.rand(1, 1, 8, 3) < 0.5).float() for _ in range(3))
    for name, spikes in zip("qkv", (q, k, v), strict=True):
        monkeypatch.setattr(getattr(attention, name), "forward", lambda x, out=spikes: out)
    seen = []
    attention.attention_lif.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    attention(torch.zeros(1, 1, 8, 3))
    expected = torch.zeros(8, 3)
    for head in (slice(0, 4), slice(4, 8)):
        for i in range(3):
            for j in range(3):
                weight = (q[0, 0, head, i] * k[0, 0, head, j]).sum()
                expected[head, i] += 0.25 * weight * v[0, 0, head, j]
    assert torch.allclose(seen[0][0, 0], expected)


def plain_lif(x: torch.Tensor, threshold: float = 1.0) -> torch.Tensor:
    potential, spikes = torch.zeros_like(x[0]), []
    for each in x:
        potential = (potential + each) / 2
        spikes.append((potential >= threshold).float())
        potential = potential * (1 - spikes[-1])
    return torch.stack(spikes)


def plain_logits(model: Spikformer, frames: torch.Tensor, heads: int) -> torch.Tensor:
    """The network's logits in loops and functions of torch; its modules only hold the numbers."""

    def fired(part: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
        weight, norm = part[0].weight, part[1]
        moments = norm.running_mean, norm.running_var, norm.weight, norm.bias
        if weight.dim() == 4:
            sums = [conv2d(each, weight, padding=1) for each in x]
        else:
            sums = [torch.einsum("oc,bcn->bon", weight[:, :, 0], each) for each in x]
        return plain_lif(torch.stack([batch_norm(each, *moments) for each in sums]))

    x = frames
    for stage in model.patch.stages:
        pools = not isinstance(stage, nn.Sequential)
        x = torch.stack([max_pool2d(each, 3, 2, 1) for each in x]) if pools else fired(stage, x)
    x = (x + fired(model.patch.position, x)).flatten(3)
    for block in model.blocks:
        q, k, v = (
            fired(part, x).unflatten(2, (heads, -1))
            for part in (block.attention.q, block.attention.k, block.attention.v)
        )
        met = 0.25 * torch.einsum("tbhci,tbhcj,tbhdj->tbhdi", q, k, v).flatten(2, 3)
        x = x + fired(block.attention.projection, plain_lif(met, threshold=0.5))
        x = x + fired(block.fc2, fired(block.fc1, x))
    return linear(x.mean((0, 3)), model.head.weight, model.head.bias)


def test_network_equals_plain_functions():
    torch.manual_seed(0)
    pools = (True, False, True, False)
    model = Spikformer(3, width=16, depth=2, heads=2, mlp_ratio=2, pools=pools).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.1, 0.4)
            nn.init.normal_(module.running_mean, std=0.5)
            nn.init.normal_(module.bias, mean=0.5)
    frames = torch.poisson(torch.full((4, 2, 2, 16, 16), 0.7))
    blocks = []
    model.blocks.register_forward_hook(lambda _, x, y: blocks.append((x[0], y)))
    logits = model(frames)
    ((before, after),) = blocks
    assert after.max() >= 4 and (after != before).float().mean() > 0.5  # it is awake
    assert logits.shape == (2, 3)
    assert torch.allclose(logits, plain_logits(model, frames, 2), atol=1e-5)


def test_short_names_of_layers():
    names = quantizable_layers(Spikformer(3, width=16, depth=2, heads=2, pools=(True,) * 4))
    shown = layer_names([*names])
    block = ["q", "k", "v", "proj", "fc1", "fc2"]
    assert shown == [
        *(("patch", name) for name in ("conv1", "conv2", "conv3", "conv4", "position")),
        *(("block 1", name) for name in block),
        *(("block 2", name) for name in block),
        ("", "head"),
    ]


def test_calls_are_independent():
    torch.manual_seed(0)
    model = Spikformer(3, width=16, depth=1, heads=2, pools=(True,) * 4).eval()
    frames = torch.poisson(torch.full((3, 2, 2, 16, 16), 0.5))
    first = model(frames)
    assert torch.equal(model(frames), first)  # no membrane potential survives a call
    assert torch.allclose(model(frames[:, :1]), first[:1], atol=1e-6)

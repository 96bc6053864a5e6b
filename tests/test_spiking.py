"""Kernels and SpikingJelly's modules compute the same network."""

import copy
import logging

import pytest
import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hetspike.errors import UserError
from hetspike.kernels.spikes import Spikes
from hetspike.networks.spikformer import Spikformer
from hetspike.networks.spiking import Firing, MaxPool2d, attend, spikes_of
from hetspike.quantization.quantizer import Choice, quantize, single_scheme

SIZES = {
    "default": {"width": 64, "heads": 4, "pools": (True, True, True, False)},
    "narrow": {"width": 32, "heads": 1, "depth": 1, "pools": (True, False, True, False)},
    "12 channels, heads of 12": {"width": 96, "heads": 8, "pools": (True, True, True, True)},
    "wide": {"width": 256, "heads": 16, "depth": 1, "pools": (True, True, True, True)},
    "no pool": {"width": 64, "heads": 8, "depth": 1, "pools": (False, False, True, True)},
}


def frames_of(batch: int = 3, size: int = 17, steps: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    density = torch.rand(steps, batch, 2, size, size, generator=generator)
    return torch.poisson(density * 0.6, generator=generator)


def by_modules(model: nn.Module) -> nn.Module:
    """A copy that a hook keeps from the kernels."""
    other = copy.deepcopy(model)
    next(other.children()).register_forward_hook(lambda *_: None)
    return other


def answers_and_gradients(model: nn.Module, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
    logits = model(frames)
    labels = torch.arange(len(logits)) % logits.shape[1]
    model.zero_grad()
    cross_entropy(logits, labels).backward()
    return logits.detach(), [p.grad for p in model.parameters() if p.grad is not None]


def agree(model: nn.Module, frames: Tensor) -> None:
    assert isinstance(spikes_of(model, frames), Spikes), "kernels run"
    other = by_modules(model)
    assert isinstance(spikes_of(other, frames), Tensor), "modules run"
    logits, gradients = answers_and_gradients(model, frames)
    wanted, of_modules = answers_and_gradients(other, frames)
    torch.testing.assert_close(logits, wanted, rtol=1e-5, atol=1e-6)
    assert len(gradients) == len(of_modules) > 0
    for gradient, each in zip(gradients, of_modules, strict=True):
        assert (gradient - each).norm() <= 2e-5 * each.norm() + 1e-6
    for buffer, each in zip(model.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(buffer, each, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_a_network_is_the_same_by_kernels_and_by_modules(size: str, mode: str) -> None:
    torch.manual_seed(0)
    model = Spikformer(5, **SIZES[size])
    frames = frames_of()
    if mode == "evaluation":
        for _ in range(3):
            model(frames)
        model.eval()
    agree(model, frames)


def test_a_trained_network_is_the_same() -> None:
    torch.manual_seed(0)
    model = Spikformer(3, **SIZES["default"])
    frames, labels = frames_of(batch=12), torch.arange(12) % 3
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(20):
        loss = cross_entropy(model(frames), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1, "it has learned them"
    agree(model, frames)
    agree(model.eval(), frames)


@pytest.mark.parametrize("choice", [Choice("pot", 3), Choice("uniform", 8), Choice("uniform", 2)])
def test_a_quantized_network_is_the_same(choice: Choice) -> None:
    torch.manual_seed(0)
    model = Spikformer(5, **SIZES["default"])
    agree(quantize(model, single_scheme(model, choice, {})).train(), frames_of())


def test_a_network_whose_norms_are_folded_is_the_same() -> None:
    torch.manual_seed(0)
    model = Spikformer(5, **SIZES["default"])
    for module in list(model.modules()):
        if isinstance(module, Firing):
            module[1] = nn.Identity()
            module[0].weight.data.mul_(3)
            module[0].bias = nn.Parameter(torch.rand(module[0].out_channels) - 0.3)
    agree(model, frames_of())


def test_layers_that_do_not_learn_have_no_gradient() -> None:
    torch.manual_seed(0)
    model = Spikformer(5, **SIZES["default"])
    still = model.patch.position[0].weight.requires_grad_(False)
    agree(model, frames_of())
    assert still.grad is None


STRANGE = {
    "a bias": lambda: layer.Conv2d(8, 16, 3, padding=1, step_mode="m"),
    "groups": lambda: layer.Conv2d(8, 16, 3, padding=1, bias=False, groups=2, step_mode="m"),
    "9 channels": lambda: layer.Conv2d(8, 9, 3, padding=1, bias=False, step_mode="m"),
    "an oblong": lambda: layer.Conv2d(8, 16, (1, 3), padding=(0, 1), bias=False, step_mode="m"),
    "dilation": lambda: layer.Conv2d(8, 16, 3, padding=2, dilation=2, bias=False, step_mode="m"),
}


@pytest.mark.parametrize("strange", STRANGE)
def test_what_kernels_do_not_know_runs_by_itself(
    strange: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            conv = STRANGE[strange]()
            lif = neuron.LIFNode(detach_reset=True, step_mode="m")
            first = layer.Conv2d(2, 8, 3, padding=1, bias=False, step_mode="m")
            self.first = Firing(first, layer.BatchNorm2d(8, step_mode="m"), copy.deepcopy(lif))
            norm = layer.BatchNorm2d(conv.out_channels, step_mode="m")
            self.second = Firing(conv, norm, lif)
            self.head = nn.LazyLinear(3)

        def forward(self, frames: Tensor) -> Tensor:
            x = self.second(self.first(spikes_of(self, frames)))
            x = x.tensor() if isinstance(x, Spikes) else x
            return self.head(x.mean((0, 3, 4)))

    torch.manual_seed(0)
    model = Net()
    model(frames_of())
    with caplog.at_level(logging.DEBUG, "hetspike"):
        agree(model, frames_of())
    assert any("Conv2d" in line for line in caplog.messages)


@pytest.mark.parametrize("stride", [1, 2])
def test_strides_pools_of_sums_and_other_neurons(stride: int) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList()
            for channels, options in ((2, {}), (16, {"tau": 3.0}), (16, {"v_reset": None})):
                conv = layer.Conv2d(channels, 16, 3, stride, padding=1, bias=False, step_mode="m")
                lif = neuron.LIFNode(detach_reset=True, step_mode="m", **options)
                self.blocks.append(Firing(conv, layer.BatchNorm2d(16, step_mode="m"), lif))
            self.pool = MaxPool2d()
            self.head = nn.Linear(16, 3)

        def forward(self, frames: Tensor) -> Tensor:
            x = self.blocks[0](spikes_of(self, frames))
            x = self.pool(x + x)
            x = self.blocks[2](self.blocks[1](x))
            x = x.tensor() if isinstance(x, Spikes) else x
            return self.head(x.mean((0, 3, 4)))

    torch.manual_seed(0)
    agree(Net(), frames_of())


def test_a_part_that_runs_twice_is_refused() -> None:
    """SpikingJelly's neurons keep their potential between the two, and kernels do not."""
    stage = Firing(
        layer.Conv2d(2, 16, 3, padding=1, bias=False, step_mode="m"),
        layer.BatchNorm2d(16, step_mode="m"),
        neuron.LIFNode(detach_reset=True, step_mode="m"),
    )
    for _ in range(2):
        x = spikes_of(stage, frames_of())
        stage(x)
    with pytest.raises(UserError, match="neurons run twice in one forward: give each place"):
        stage(x)


def test_whoever_looks_on_sees_modules_at_work() -> None:
    model, frames = Spikformer(3, **SIZES["narrow"]), frames_of()
    assert isinstance(spikes_of(model, frames), Spikes)
    assert isinstance(spikes_of(model, frames.double()), Tensor)
    assert isinstance(spikes_of(model, frames.clone().requires_grad_()), Tensor)
    with torch.autocast("cpu", torch.bfloat16):
        assert isinstance(spikes_of(model, frames), Tensor)
    hook = model.blocks[0].fc1[2].register_forward_pre_hook(lambda *_: None)
    assert isinstance(spikes_of(model, frames), Tensor)
    hook.remove()
    hook = nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert isinstance(spikes_of(model, frames), Tensor)
    hook.remove()
    assert isinstance(spikes_of(model, frames), Spikes)


def test_changed_weights_are_told_before_the_way_back() -> None:
    model, frames = Spikformer(3, **SIZES["narrow"]), frames_of()
    loss = model(frames).sum()
    with torch.no_grad():
        model.patch.position[0].weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_attention_of_other_neurons_runs_by_itself() -> None:
    lif = neuron.LIFNode(
        v_threshold=0.5, surrogate_function=surrogate.ATan(), detach_reset=True, step_mode="m"
    )
    spiked = [(torch.rand(2, 3, 16, 5) < 0.4).float() for _ in range(3)]
    from hetspike.kernels import spikes

    wanted = attend(*spiked, 2, 0.25, lif)
    lif.reset()
    found = attend(*(spikes.entered(each) for each in spiked), 2, 0.25, lif)
    assert isinstance(found, Spikes)
    torch.testing.assert_close(found.tensor(), wanted)

"""Networks through NIR and back: the same spikes, weights on their levels, and what is refused."""

from copy import deepcopy
from pathlib import Path

import nir
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import import_from_nir
from torch import Tensor, nn

from hetspike.errors import UserError
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.packed.nir import to_nir
from hetspike.packed.packing import pack, read, unpack
from hetspike.quantization.quantizer import Choice, quantize

POT = Choice("pot", 3)
FRAMES = torch.poisson(torch.full((4, 2, 2, 8, 8), 1.0), torch.Generator().manual_seed(0))


def lif(**about) -> neuron.LIFNode:
    return neuron.LIFNode(step_mode="m", **about)


def convolution(channels_in: int = 2, channels: int = 2, **about) -> layer.Conv2d:
    return layer.Conv2d(channels_in, channels, 3, padding=1, step_mode="m", **about)


def lively(model: nn.Module) -> nn.Module:
    """Norms that make every layer spike, with a gain and a shift of their own."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.constant_(module.running_var, 0.01)
            nn.init.normal_(module.running_mean, std=0.05)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


def packed_and_unpacked(model: nn.Module) -> tuple[bytes, nn.Module]:
    quantized = quantize(model, dict.fromkeys(quantizable_layers(model), POT))
    data = pack(quantized, FRAMES)
    return data, unpack(data, into=model)


def through_a_file(graph: nir.NIRGraph, folder: Path, x: Tensor) -> Tensor:
    """Write, read, and run with SpikingJelly's own importer."""
    nir.write(folder / "network.nir", graph)
    network = import_from_nir(nir.read(folder / "network.nir"), step_mode="m")
    with torch.no_grad():
        return network(x)[0]


@torch.no_grad()
def answers(model: nn.Module, x: Tensor) -> Tensor:
    functional.reset_net(model)
    return model.eval()(x)


def stages() -> nn.Module:
    torch.manual_seed(0)
    return lively(Spikformer(3, width=16, depth=1, heads=2, pools=(False,) * 4).patch.stages)


def classifier() -> nn.Module:
    torch.manual_seed(0)
    return lively(
        nn.Sequential(
            convolution(2, 4, bias=False),
            layer.BatchNorm2d(4, step_mode="m"),
            lif(tau=1.5, decay_input=False),
            layer.AvgPool2d(2, step_mode="m"),
            layer.Flatten(step_mode="m"),
            layer.Linear(64, 5, step_mode="m"),
            lif(v_threshold=0.02),
        )
    )


class Residual(nn.Module):
    """x + LIF(conv(x)) twice, on the way to a layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.last = (
            nn.Sequential(convolution(), lif(v_threshold=0.3)) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.first(x)
        x = x + self.second(x)
        return self.last(x)


@pytest.mark.parametrize("network", [stages, classifier, Residual])
def test_the_same_spikes_after_a_round_trip(network, tmp_path):
    _, model = packed_and_unpacked(network())
    other = torch.poisson(torch.full((6, 3, 2, 8, 8), 0.7))  # more steps and recordings
    spikes = through_a_file(to_nir(model, FRAMES), tmp_path, other)
    assert torch.equal(spikes, answers(model, other))
    assert 0.01 < spikes.mean() < 0.99


def test_weights_are_on_their_levels_after_a_round_trip(tmp_path):
    data, model = packed_and_unpacked(stages())
    nir.write(tmp_path / "network.nir", to_nir(model, FRAMES))
    nodes = nir.read(tmp_path / "network.nir").nodes.values()
    convolutions = [node for node in nodes if isinstance(node, nir.Conv2d)]
    layers = read(data).layers.values()
    assert len(convolutions) == len(layers) == 4
    for node, stored in zip(convolutions, layers, strict=True):
        weight = torch.from_numpy(node.weight)
        assert torch.equal(weight, stored.weight)
        scale = weight.abs().flatten(1).amax(1).view(-1, 1, 1, 1)
        found = {round(ratio, 6) for ratio in (weight / scale).abs().flatten().tolist()}
        assert found == {0, 0.25, 0.5, 1}
        assert torch.equal(torch.from_numpy(node.bias), stored.bias.float())


def test_the_graph_keeps_the_time_of_a_step_by_hand():
    graph = to_nir(nn.Sequential(convolution(), lif(tau=3.0)), FRAMES, dt=1e-3)
    (node,) = (each for each in graph.nodes.values() if isinstance(each, nir.LIF))
    assert node.tau.shape == (2, 8, 8) and node.tau.flat[0] == pytest.approx(3e-3)  # seconds


def test_a_single_step_network_goes_step_by_step(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), neuron.LIFNode(v_threshold=0.2))
    nir.write(tmp_path / "network.nir", to_nir(model, FRAMES[0]))
    network, state = import_from_nir(nir.read(tmp_path / "network.nir")), None
    total = 0.0
    with torch.no_grad():
        for frame in FRAMES:
            spikes, state = network(frame, state)
            assert torch.equal(spikes, model(frame))
            total += spikes.mean().item()
    assert 0.1 < total < 3.9


def test_a_graph_that_answers_otherwise_is_refused():
    # one neuron layer called twice goes on from its first potentials, two nodes of a graph do not
    def twice(net: nn.Module, x: Tensor) -> Tensor:
        return net.last(net.last(x))

    with pytest.raises(UserError, match="read back, does not answer as the network"):
        to_nir(Calls(twice), FRAMES)


def test_exporting_changes_neither_weights_nor_neurons():
    _, model = packed_and_unpacked(classifier())
    wanted = answers(model, FRAMES)
    to_nir(model, FRAMES)
    assert torch.equal(answers(model, FRAMES), wanted)
    assert isinstance(model[1], nn.Identity)


def test_quantizers_are_frozen():
    model = nn.Sequential(convolution(), lif(v_threshold=0.2))
    graph = to_nir(quantize(model, {"0": POT}), FRAMES)
    (node,) = (each for each in graph.nodes.values() if isinstance(each, nir.Conv2d))
    assert torch.equal(
        torch.from_numpy(node.weight), quantize(model, {"0": POT})[0].weight.detach()
    )


class Calls(nn.Module):
    """A layer behind whatever a test wants the forward to do."""

    def __init__(self, does) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.does = does
        self.first, self.last = convolution(), nn.Sequential(convolution(), lif(v_threshold=0.2))
        self.offset = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.does(self, x)


FORWARDS = {
    "mean": lambda net, x: net.last(x).mean(0),
    "matmul": lambda net, x: net.last(x @ x),
    "flatten": lambda net, x: net.last(x).flatten(2),
    # additions that the exporter would leave out
    "add": lambda net, x: net.last(net.first(x) + 1),
    "add ": lambda net, x: net.last(x + x),
    "add  ": lambda net, x: net.last(net.first(x) + net.offset),
}


@pytest.mark.parametrize("what", FORWARDS)
def test_what_a_forward_does_beyond_nir_is_named(what):
    message = rf"cannot express the network's own forward \({what.strip()}\)"
    with pytest.raises(UserError, match=message):
        to_nir(Calls(FORWARDS[what]), FRAMES)
    with pytest.raises(UserError, match=message.replace("the network's own forward", "1")):
        to_nir(nn.Sequential(convolution(), Calls(FORWARDS[what]), lif()), FRAMES)


def test_an_addition_at_the_end_is_refused():
    # its two edges into the output come back as two outputs
    def residual(net: nn.Module, x: Tensor) -> Tensor:
        return x + net.last(x)

    with pytest.raises(UserError, match=r"the network's own forward \(add\)"):
        to_nir(Calls(residual), FRAMES)
    to_nir(nn.Sequential(Calls(residual), convolution()), FRAMES)


@pytest.mark.parametrize(
    ("module", "what"),
    [
        (layer.MaxPool2d(2, step_mode="m"), "MaxPool2d"),
        (layer.BatchNorm2d(2, step_mode="m"), "BatchNorm2d"),
        (lif(v_reset=None), "soft reset"),
        (convolution(groups=2), "groups"),
    ],
)
def test_a_module_beyond_nir_is_named(module, what):
    model = nn.Sequential(nn.Sequential(convolution(), module), lif(), deepcopy(module))
    with pytest.raises(UserError, match=rf"cannot express 0\.1 \({what}\), 2 \({what}\): export a"):
        to_nir(model, FRAMES)


def test_a_spikformer_as_a_whole_is_refused_module_by_module():
    torch.manual_seed(0)
    model = Spikformer(3, width=16, depth=1, heads=2, pools=(True, False, False, False))
    _, model = packed_and_unpacked(lively(model))
    with pytest.raises(UserError) as refusal:
        to_nir(model, FRAMES)
    message = str(refusal.value)
    for part in (
        "patch.stages.1 (MaxPool2d)",
        "patch (flatten)",
        "blocks.0.attention (matmul)",
        "the network's own forward (mean)",
    ):
        assert message.count(part) == 1
    assert "blocks.0 (add)" not in message and "head" not in message and "BatchNorm" not in message


def test_a_forward_that_branches_is_refused_with_its_modules():
    def branches(net: nn.Module, x: Tensor) -> Tensor:
        return net.last(x) if x.sum() > 0 else x

    model = nn.Sequential(Calls(branches), layer.MaxPool2d(2, step_mode="m"))
    with pytest.raises(UserError, match=r"forward of the network, 1 \(MaxPool2d\): .*control flow"):
        to_nir(model, FRAMES)


def test_what_the_exporter_refuses_is_a_line():
    model = nn.Sequential(layer.AvgPool2d(3, ceil_mode=True, step_mode="m"), convolution())
    with pytest.raises(UserError, match=r"NIR cannot express this network: .*AvgPool2d"):
        to_nir(model, FRAMES)

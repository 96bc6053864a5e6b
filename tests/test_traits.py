"""Settings that no state dict carries: what a file says of them, and what differs is refused."""

import pytest
import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import nn

from hetspike.errors import UserError
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.packed.checkpoint import load_trained, trained_bytes
from hetspike.packed.engine import Engine, check_runnable
from hetspike.packed.packing import load_packed, network_of, pack, read, unpack
from hetspike.packed.traits import traits
from hetspike.quantization.quantizer import Choice, quantize

SIZE = {"width": 16, "depth": 1, "heads": 2, "mlp_ratio": 2, "pools": [True, True, True, False]}
NETWORK = {"architecture": "spikformer", **SIZE}
FRAMES = torch.ones(2, 1, 2, 16, 16)


class Scaled(nn.Module):
    """A module with settings of its own, and one that it sets when it runs."""

    def __init__(self, scale: float = 0.5) -> None:
        super().__init__()
        self.scale, self.norm = scale, nn.LayerNorm(3, eps=1e-5)
        self.register_buffer("offset", torch.full((3,), scale), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.batch = len(x)
        return self.scale * self.norm(x) + self.offset


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        neuron.LIFNode(tau=2.0),
        nn.AvgPool2d(2),
        nn.BatchNorm2d(4),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(4 * 9, 3),
        Scaled(),
    )


X = torch.randint(0, 3, (2, 2, 6, 6), generator=torch.Generator().manual_seed(1)).float()


def test_the_header_says_the_settings_by_name():
    found = {
        name: each.settings for each in read(pack(net(), X)).header.traits for name in each.modules
    }
    assert found.keys() == {"0", "1", "2", "3", "5", "6", "7", "7.norm"}
    assert found["1"] == {
        **{"class": "LIFNode", "tau": 2.0, "decay_input": True, "v_threshold": 1.0},
        **{"v_reset": 0.0, "step_mode": "s"},
    }
    assert found["0"]["padding"] == [1, 1] and found["3"] == {"class": "BatchNorm2d", "eps": 1e-5}
    assert found["7"] == {"scale": 0.5, "batch": 2}


def changed(place: int, **attributes) -> nn.Sequential:
    other = net()
    for name, value in attributes.items():
        setattr(other[place], name, value)
    return other


def replaced(place: int, by: nn.Module) -> nn.Sequential:
    other = net()
    other[place] = by
    return other


OTHERS = [
    (changed(1, tau=4.0), "module 1 has the tau 2.0 in the file's network and 4.0 in this one"),
    (changed(1, v_threshold=0.5), "module 1 has the v_threshold 1.0"),
    (changed(1, v_threshold=float("inf")), "module 1 has the v_threshold 1.0 .* and inf in"),
    (changed(1, v_threshold=torch.tensor(0.5)), "module 1 has the v_threshold 1.0"),
    (changed(1, v_reset=None), "module 1 has the v_reset 0.0 .* and None in this"),
    (changed(1, decay_input=False), "module 1 has the decay_input True"),
    (changed(1, step_mode="m"), "module 1 has the step_mode s"),
    (replaced(1, neuron.IFNode()), "module 1 has the class LIFNode .* and IFNode in this"),
    (changed(0, dilation=(2, 2)), r"module 0 has the dilation \[1, 1\]"),
    (changed(0, stride=(2, 2)), "module 0 has the stride"),
    (changed(0, padding_mode="circular"), "module 0 has the padding_mode zeros"),
    (changed(2, ceil_mode=True), "module 2 has the ceil_mode False"),
    (replaced(2, nn.MaxPool2d(2)), "module 2 has the class AvgPool2d"),
    (replaced(2, nn.Identity()), "the file's network has a module 2, which this one lacks"),
    (replaced(4, nn.ReLU()), "this network has a module 4, which the file's lacks"),
    (changed(3, eps=1e-3), "module 3 has the eps 1e-05"),
    (replaced(7, Scaled(0.25)), "module 7 has the scale 0.5"),
]


@pytest.mark.parametrize("place", range(len(OTHERS)))
@pytest.mark.parametrize("assignment", [{}, {"0": Choice("pot", 3), "6": Choice("uniform", 3)}])
def test_a_network_with_other_settings_is_refused_by_the_modules_name(place, assignment, tried):
    into, told = OTHERS[place]
    data = pack(quantize(net(), assignment), X)
    with pytest.raises(UserError, match=f"^{told}"):
        unpack(data, into=into)
    tried("`hetspike.unpack`", "a network with another setting of one module", refused=1)


def test_what_changes_no_answer_may_differ():
    data = pack(net(), X)
    for into in (
        replaced(1, neuron.LIFNode(surrogate_function=surrogate.ATan(alpha=3.0))),
        replaced(4, nn.Identity()),
        replaced(4, layer.Dropout(0.1)),
        changed(1, detach_reset=True),
        changed(3, momentum=0.3),
    ):
        found = unpack(data, into=into).eval()
        with torch.no_grad():
            assert torch.equal(found(X), unpack(data, into=net()).eval()(X))


def test_buffers_that_a_state_leaves_out_are_carried():
    model, into = net(), net()
    model[7].offset.fill_(3.0)
    found = unpack(pack(model, X), into=into)
    assert found[7].offset.tolist() == [3, 3, 3] and into[7].offset.tolist() == [0.5, 0.5, 0.5]


def spikformer(**lif) -> Spikformer:
    torch.manual_seed(0)
    model = Spikformer(3, **SIZE)
    for name, value in lif.items():
        setattr(model.blocks[0].fc1[2], name, value)
    return quantize(model, dict.fromkeys(quantizable_layers(model), Choice("uniform", 3)))


SETTINGS = [{"tau": 4.0}, {"v_reset": None}, {"v_threshold": 0.6}, {"decay_input": False}]


@pytest.mark.parametrize("lif", SETTINGS)
def test_a_spikformer_of_other_neurons_is_neither_packed_nor_written_as_ours(lif):
    told = rf"^module blocks\.0\.fc1\.2 has the {next(iter(lif))} "
    with pytest.raises(UserError, match=told):
        pack(spikformer(**lif), FRAMES, network=NETWORK, classes=3)
    about = {"classes": 3, "network": NETWORK, "assignment": {}}
    with pytest.raises(UserError, match=told):
        trained_bytes(spikformer(**lif), about)
    data = pack(spikformer(**lif), FRAMES)  # into a module it can be unpacked
    assert traits(unpack(data, into=spikformer(**lif))) == read(data).header.traits
    with pytest.raises(UserError, match=told):
        unpack(data, into=spikformer())


@pytest.mark.parametrize("lif", SETTINGS)
def test_files_of_another_spikformer_are_not_read_as_ours(lif, monkeypatch):
    # as a later version might build it
    packed = pack(spikformer(), FRAMES, network=NETWORK, classes=3)
    model = spikformer()
    assignment = dict.fromkeys(quantizable_layers(Spikformer(3, **SIZE)), Choice("uniform", 3))
    trained = trained_bytes(model, {"classes": 3, "network": NETWORK, "assignment": assignment})
    build = Spikformer.__init__

    def changed(self, *arguments, **size) -> None:
        build(self, *arguments, **size)
        for name, value in lif.items():
            setattr(self.blocks[0].fc1[2], name, value)

    load_packed(packed), load_trained(trained), Engine(read(packed))
    monkeypatch.setattr(Spikformer, "__init__", changed)
    told = rf"^module blocks\.0\.fc1\.2 has the {next(iter(lif))} "
    for load in (load_packed, load_trained, lambda data: Engine(read(data))):
        with pytest.raises(UserError, match=told):
            load(trained if load is load_trained else packed)


@pytest.mark.parametrize(
    "lif", [{"tau": 4.0}, {"v_reset": None}, {"v_reset": -1.0}, {"decay_input": False}]
)
def test_neurons_that_integers_do_not_run_exactly_are_refused(lif):
    model = network_of(read(pack(spikformer(), FRAMES, network=NETWORK, classes=3)))
    check_runnable(model)
    for name, value in lif.items():
        setattr(model.blocks[0].fc1[2], name, value)
    with pytest.raises(UserError, match=r"^neuron blocks\.0\.fc1\.2 is none that the engine runs"):
        check_runnable(model)


def test_a_batch_norm_in_float_is_not_run_on_integers():
    with pytest.raises(UserError, match=r"^batch norm patch\.stages\.0\.1 is in float"):
        check_runnable(Spikformer(3, **SIZE))

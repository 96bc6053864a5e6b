"""Trained and packed networks from bytes: what comes back, and what is refused in one line."""

import pytest
import torch
from safetensors.torch import save
from torch import nn

from hetspike.errors import UserError
from hetspike.networks.spikformer import Spikformer
from hetspike.packed.checkpoint import load_trained, skeleton, trained_bytes
from hetspike.packed.header import TrainedHeader, make_header
from hetspike.packed.packing import load_packed, pack
from hetspike.quantization.quantizer import Choice, freeze, quantize

SIZE = {
    "width": 16,
    "depth": 1,
    "heads": 2,
    "mlp_ratio": 2,
    "pools": [True, True, True, False],
}
NETWORK = {"architecture": "spikformer", **SIZE}
ASSIGNMENT = {"patch.stages.2.0": Choice("pot", 4), "head": Choice("binary", 1)}
ABOUT = {"classes": 3, "network": NETWORK, "assignment": ASSIGNMENT}


def trained() -> nn.Module:
    """A quantized network whose scales are no longer where they started."""
    torch.manual_seed(0)
    model = quantize(Spikformer(3, **SIZE), ASSIGNMENT)
    for parameter in model.parameters():  # lively enough for frames to make a difference
        parameter.data.mul_(3) if parameter.dim() > 1 else parameter.data.add_(0.3)
    return model.eval()


def written(model: nn.Module, about: dict) -> bytes:
    """What a training writes."""
    return trained_bytes(model, about)


def answers(model: nn.Module) -> torch.Tensor:
    torch.manual_seed(1)
    with torch.no_grad():
        return model.eval()(torch.poisson(torch.full((4, 2, 2, 16, 16), 1.5)))


def told(load, data) -> str:
    with pytest.raises(UserError) as error:
        load(data)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_trained_network_comes_back():
    model = trained()
    found, about = load_trained(written(model, ABOUT))
    assert about == ABOUT
    assert all(isinstance(each, Choice) for each in about["assignment"].values())
    assert found.state_dict().keys() == model.state_dict().keys()  # quantizers included
    assert torch.equal(answers(found), answers(model))
    assert len(answers(model).unique()) > 3  # the two recordings differ


def test_a_float_network_comes_back():
    torch.manual_seed(0)
    model = Spikformer(3, **SIZE)
    found, about = load_trained(written(model, ABOUT | {"assignment": {}}))
    assert about["assignment"] == {}
    assert torch.equal(found.head.weight, model.head.weight)


def test_a_packed_network_comes_back():
    model = trained()
    data = pack(model, torch.ones(2, 1, 2, 16, 16), classes=3, network=NETWORK, seed=7)
    found, packed = load_packed(data)
    assert packed.assignment == ASSIGNMENT
    assert packed.about["seed"] == 7
    assert isinstance(found, Spikformer)
    assert torch.allclose(answers(found), answers(freeze(model)), rtol=0.05, atol=0.02)


def test_a_skeleton_has_the_size_that_it_is_told():
    told = {"classes": 5, "network": NETWORK | {"depth": 2}, "assignment": {}, "traits": []}
    model = skeleton(make_header(TrainedHeader, **told))
    assert all(each.is_meta for each in model.parameters())  # nothing is allocated
    assert model.head.weight.shape == (5, 16)
    assert len(model.blocks) == 2


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"classes": 3},
    ],
)
def test_a_packed_module_of_another_kind_is_refused(about):
    model = quantize(nn.Sequential(nn.Conv2d(2, 3, 1)), {"0": Choice("uniform", 3)})
    data = pack(model, torch.ones(1, 2, 2, 2), **about)
    assert "does not hold a network that hetspike builds" in told(load_packed, data)


def test_a_trained_network_is_no_packed_one_nor_the_reverse():
    assert "no packed network" in told(load_packed, written(trained(), ABOUT))
    packed = pack(trained(), torch.ones(2, 1, 2, 16, 16), classes=3, network=NETWORK)
    assert "no trained network, but a packed one" in told(load_trained, packed)


@pytest.mark.parametrize("load", [load_trained, load_packed])
def test_files_of_others_are_refused(load):
    assert "not a safetensors file" in told(load, b"PK\3\4" + bytes(60))
    assert "none of hetspike" in told(load, save({"x": torch.ones(3)}))
    whole = written(trained(), ABOUT)
    for length in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        assert "get it again" in told(load, whole[:length])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"network": NETWORK | {"width": 32}}, "not hold the network that its header describes"),
        ({"network": NETWORK | {"depth": 2}}, "has a module blocks.1."),
        ({"assignment": {"head": ("binary", 1)}}, "not hold the network that its header describes"),
        ({"assignment": {"tail": ("pot", 4)}}, "assignment names layer 'tail'"),
        ({"assignment": {"head": ("ternary", 2)}}, "the scheme 'ternary', unknown here"),
        ({"classes": None}, "key 'classes'"),
    ],
)
def test_a_header_that_tells_of_another_network_is_refused(changed, message):
    def load(about: dict) -> None:
        load_trained(written(trained(), about))

    assert message in told(load, ABOUT | changed)

"""Batch norms that can be folded, those that cannot, and networks that are refused for one."""

import copy

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from hetspike.errors import UserError
from hetspike.inspection.layers import quantizable_layers
from hetspike.packed.folding import affine, batch_norms_after, busy, fold, same
from hetspike.packed.packing import pack, read, unpack
from hetspike.quantization.quantizer import Choice, freeze, quantize

BUSY = torch.randint(0, 3, (2, 2, 2, 6, 6), generator=torch.Generator().manual_seed(3)).float()
EXAMPLES = {
    "busy": BUSY,
    "silent": 0 * BUSY,
    "one event": torch.zeros_like(BUSY).index_fill(4, torch.tensor(0), 0),
}
EXAMPLES["one event"][0, 0, 0, 3, 3] = 1


class Net(nn.Module):
    """A convolution, its batch norm, neurons and a classifier; subclasses take a way round."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = layer.Conv2d(2, 4, 3, padding=1, bias=False, step_mode="m")
        self.norm = layer.BatchNorm2d(4, step_mode="m")
        self.norm.weight.data.uniform_(1, 2), self.norm.bias.data.uniform_(0.3, 1)
        self.norm.running_mean.normal_(), self.norm.running_var.uniform_(0.5, 2)
        self.lif, self.head = neuron.LIFNode(step_mode="m"), nn.Linear(4, 3)

    def normed(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))

    def forward(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        return self.head(self.lif(self.normed(x)).mean((3, 4))).mean(0)


class Round(Net):
    def normed(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + 0.5 * y


class RoundInJit(Net):
    def normed(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + _half(y)


@torch.jit.script
def _half(x: Tensor) -> Tensor:
    return 0.5 * x


class RoundByView(Net):
    def normed(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        top = y[:, :, :1]
        return self.norm(y) + top


class InPlace(Net):
    def normed(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y += 1
        return self.norm(y)


class WhenBusy(Net):
    def normed(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + (y if x.sum() > 9 else 0)


class Twice(Net):
    def __init__(self) -> None:
        super().__init__()
        self.other = layer.BatchNorm2d(4, step_mode="m")

    def normed(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + self.other(y)


REFUSED = [Round, RoundInJit, RoundByView, InPlace, WhenBusy, Twice]


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("kind", REFUSED)
def test_a_layer_whose_output_goes_elsewhere_is_refused_for_every_example(kind, name, tried):
    model = quantize(kind(), {"conv": Choice("uniform", 4)}).eval()
    with pytest.raises(UserError, match=r"^the output of layer conv is used by more"):
        pack(model, EXAMPLES[name])
    tried("`hetspike.pack`", "an output that goes round its batch norm", refused=1)


class Reads(Net):
    """As re-parameterized networks do: a border of what the norm makes of zero."""

    def normed(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        norm = self.norm
        border = norm.bias - norm.running_mean * norm.weight / (norm.running_var + norm.eps).sqrt()
        return pad(y - border.view(1, 1, -1, 1, 1), [1] * 4) + border.view(1, 1, -1, 1, 1)


class ReadsLayer(Net):
    def normed(self, x: Tensor) -> Tensor:
        again = conv2d(x.flatten(0, 1), self.conv.weight, padding=1).unflatten(0, x.shape[:2])
        return self.norm(self.conv(x)) + again


class AlsoElsewhere(Net):
    def normed(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.norm(x.repeat(1, 1, 2, 1, 1))


class ByView(Net):
    def normed(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).flip(2))


class Doubling(layer.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x) + x.relu()


class OtherNorm(Net):
    def __init__(self) -> None:
        super().__init__()
        self.norm = Doubling(4, step_mode="m")


KEPT = [Reads, ReadsLayer, AlsoElsewhere, ByView, OtherNorm]


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("kind", KEPT)
def test_a_norm_that_cannot_be_folded_stays_in_float(kind, name, tried):
    model = quantize(kind(), {"conv": Choice("uniform", 8)}).eval()
    data = pack(model, EXAMPLES[name])
    assert read(data).header.folded == []
    with torch.no_grad():
        found, wanted = unpack(data, into=kind()).eval()(BUSY), freeze(model)(BUSY)
    assert torch.allclose(found, wanted, atol=0.05) and wanted.std() > 0.01
    tried("`hetspike.pack`", "a batch norm that cannot be folded", right=1)


class SharedNorm(Net):
    def __init__(self) -> None:
        super().__init__()
        self.second = layer.Conv2d(2, 4, 1, bias=False, step_mode="m")

    def normed(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.norm(self.second(x))


def test_a_norm_of_two_layers_is_folded_into_both():
    assert batch_norms_after(SharedNorm(), BUSY) == {"conv": "norm", "second": "norm"}
    data = pack(SharedNorm(), BUSY)
    with torch.no_grad():
        wanted = SharedNorm().eval()(BUSY)
        assert torch.allclose(unpack(data, into=SharedNorm()).eval()(BUSY), wanted, atol=1e-5)


class ReadsEps(Net):
    def normed(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.norm.eps


def test_code_that_looks_for_a_folded_norm_is_refused_by_its_name():
    with pytest.raises(UserError, match=r"does not run .*code besides them reads norm$"):
        pack(ReadsEps(), BUSY)


class Asks(Net):
    def normed(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        return y if isinstance(self.norm, nn.BatchNorm2d) else 2 * y


def test_code_that_asks_what_a_norm_is_is_refused():
    with pytest.raises(UserError, match="with its batch norms folded the network does not answer"):
        pack(Asks(), 0 * BUSY)


class Pair(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x), x


def test_more_than_logits_is_refused():
    with pytest.raises(UserError, match=r"^the network returns a tuple: pack one that returns"):
        pack(Pair(), BUSY)


class UnderTwoNames(Net):
    """As networks are that keep their modules in a list as well."""

    def __init__(self) -> None:
        super().__init__()
        self.all = nn.Sequential(self.conv, self.norm)

    def normed(self, x: Tensor) -> Tensor:
        return self.all(x)


@pytest.mark.parametrize("assignment", [{}, {"conv": Choice("uniform", 8)}])
def test_modules_with_two_names_are_packed_once(assignment):
    model = quantize(UnderTwoNames(), assignment).eval()
    data = pack(model, BUSY)
    packed = read(data)
    assert packed.header.folded == ["norm"] and not any("all" in name for name in packed.others)
    with torch.no_grad():
        wanted, found = model(BUSY), unpack(data, into=UnderTwoNames()).eval()(BUSY)
    assert torch.allclose(found, wanted, atol=0.02) and wanted.std() > 0.01
    apart = UnderTwoNames()
    apart.all = nn.Sequential(*(copy.deepcopy(each) for each in apart.all))
    with pytest.raises(UserError, match=r"^the packed network is not the one.*all\.0"):
        unpack(data, into=apart)
    with pytest.raises(UserError, match=r"has a layer all\.1, which this network lacks"):
        unpack(pack(apart, BUSY), into=UnderTwoNames())


class Tied(Net):
    """Two layers that share a weight, each with a norm of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.second = layer.Conv2d(2, 4, 3, padding=1, bias=False, step_mode="m")
        self.second.weight = self.conv.weight
        self.other = layer.BatchNorm2d(4, step_mode="m")

    def normed(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.other(self.second(x))


@pytest.mark.parametrize("kept", [None, "second", "conv", "both"])
def test_a_weight_of_two_layers_is_each_layers_own_in_the_file(kept):
    model = Tied()
    names = [each for each in quantizable_layers(model) if kept not in (each, "both")]
    model = quantize(model, dict.fromkeys(names, Choice("uniform", 8))).eval()
    data = pack(model, BUSY)
    assert read(data).header.folded == ["norm", "other"]
    with torch.no_grad():
        wanted, found = model(BUSY), unpack(data, into=Tied()).eval()(BUSY)
    assert torch.allclose(found, wanted, atol=0.02) and wanted.std() > 0.01


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine_norm", [True, False])
def test_a_folded_layer_is_the_layer_and_its_norm(bias, affine_norm):
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 4, 3, bias=bias).double()
    norm = nn.BatchNorm2d(4, affine=affine_norm).double().eval()
    for each in (norm.running_mean, *norm.parameters()):
        nn.init.normal_(each)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    x = torch.randn(3, 2, 5, 5, dtype=torch.float64)
    wanted = norm(conv(x))
    fold(conv, affine(conv, norm))
    assert torch.allclose(conv(x), wanted)


def test_a_norm_that_tracks_nothing_is_not_folded():
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    with pytest.raises(UserError) as raised:
        affine(nn.Conv2d(2, 4, 3), norm)
    message = "a batch norm without running statistics cannot be folded: track them"
    assert str(raised.value) == message


def test_outputs_are_alike_up_to_a_ten_millionth_of_the_largest():
    wanted = torch.tensor([1000.0, 0.0, -10.0], dtype=torch.float64)
    for at in range(3):
        for off, alike in ((5e-5, True), (2e-4, False)):
            found = wanted.clone()
            found[at] += off
            assert same(found, wanted) == alike


def test_a_busy_example_is_the_same_every_time_and_silent_nowhere_for_long():
    once, again = (busy(EXAMPLES["silent"]) for _ in range(2))
    assert torch.equal(once, again) and once.shape == BUSY.shape
    assert set(once.unique().tolist()) == {0, 1, 2, 3} and (once.sum((3, 4)) > 0).all()

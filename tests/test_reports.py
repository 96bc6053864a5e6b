"""Operations are the same whether kernels report them or SpikingJelly's modules are watched."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

from hetspike.cost.kinds import PRODUCTS, SYNAPSES
from hetspike.cost.operations import Operation, predict_and_count
from hetspike.data.samples import Samples
from hetspike.inspection.counting import Multiplied, Seen, Weighed, count_products
from hetspike.inspection.watch import Watch
from hetspike.kernels.reports import OBSERVER, unseen
from hetspike.kernels.spikes import Spikes
from hetspike.networks.spikformer import Spikformer, conv_bn_lif
from hetspike.networks.spiking import Firing, MaxPool2d, attend, spikes_of, tokens
from hetspike.packed.folding import without
from hetspike.quantization.quantizer import Assignment, Choice, single_scheme


def exact(model: nn.Module, *, folded: bool = True) -> nn.Module:
    """Draw short binary fractions for all weights: sums are the same in every order.

    folded  whether every batch norm is gone, and its layer has a bias
    """
    modules = dict(model.named_modules())
    norms = [n for n, each in modules.items() if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d)]
    if folded:
        without(model, norms)
    for module in modules.values():
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            module.weight.data = torch.randint(-16, 24, module.weight.shape) / 32
            if folded:
                module.bias = nn.Parameter(torch.randint(-8, 24, module.weight.shape[:1]) / 32)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eps = 0.0
            module.bias.data = torch.randint(-8, 24, module.bias.shape) / 32
    return model.eval()


def by_modules(model: nn.Module) -> nn.Module:
    """A copy that a hook keeps from the kernels."""
    other = copy.deepcopy(model)
    next(other.children()).register_forward_hook(lambda *_: None)
    return other


def agree(
    model: nn.Module, frames: Tensor, assignment: Assignment | None = None
) -> list[Operation]:
    """Compare the counts and classes of kernels and modules; return the operations."""
    batch = frames.transpose(0, 1).float()
    with Watch(model):
        assert isinstance(spikes_of(model, batch), Spikes), "kernels run"
    with Watch(other := by_modules(model)):
        assert isinstance(spikes_of(other, batch), Tensor), "modules run"
    samples = Samples(frames, torch.zeros(len(frames)))
    found, watched = (predict_and_count(each, samples, assignment or {}) for each in (model, other))
    assert repr(found) == repr(watched)  # nan as nan
    return found[1]


def events(*shape: int, most: int = 3, fraction: int = 1) -> Tensor:
    """Frames [R, T, 2, H, W]: a third of the values is not zero."""
    frames = torch.randint(1, most + 1, shape) * (torch.rand(shape) < 0.3)
    return frames / fraction if fraction > 1 else frames.to(torch.uint8)


@settings(max_examples=40)
@given(
    channels=st.sampled_from([(32, 1), (64, 4), (64, 8), (96, 8), (128, 2)]),  # width and heads
    pools=st.lists(st.booleans(), min_size=4, max_size=4),
    size=st.tuples(st.integers(3, 17), st.integers(3, 17)),
    steps=st.integers(1, 4),
    most=st.sampled_from([1, 3, 255]),
    fraction=st.sampled_from([1, 1, 4]),
    depth=st.integers(1, 2),
    folded=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_a_spikformer(channels, pools, size, steps, most, fraction, depth, folded, seed) -> None:
    torch.manual_seed(seed)
    width, heads = channels
    model = Spikformer(3, width=width, heads=heads, depth=depth, mlp_ratio=1, pools=pools)
    operations = agree(
        exact(model, folded=folded), events(3, steps, 2, *size, most=most, fraction=fraction)
    )
    assert sum(each.acs + each.macs for each in operations) > 0


@pytest.mark.parametrize("choice", [None, Choice("uniform", 4), Choice("pot", 3)])
def test_every_layer_and_sums_of_spikes(choice: Choice | None) -> None:
    torch.manual_seed(0)
    model = exact(Spikformer(5, width=64, heads=4, pools=(True, True, True, False)))
    assignment = single_scheme(model, choice, {}) if choice else {}
    operations = agree(model, events(3, 4, 2, 17, 17), assignment)
    assert all(each.acs + each.macs for each in operations if each.kind in (SYNAPSES, PRODUCTS))
    assert any(each.not_binary for each in operations[1:])
    if choice:
        assert {each[2:4] for each in operations if each.kind == SYNAPSES} == {choice}


class Parts(nn.Module):
    """Parts, with something else before, between or behind them."""

    def __init__(self, does: Callable[..., Tensor | Spikes], **parts: nn.Module) -> None:
        super().__init__()
        self.first, self.does = conv_bn_lif(2, 16), does
        for name, part in parts.items():
            self.add_module(name, part)
        self.last, self.weight = conv_bn_lif(16, 16), nn.Parameter(torch.rand(16, 4))
        exact(self, folded=False)

    def forward(self, frames: Tensor) -> Tensor:
        x = self.last(self.does(self, self.first(spikes_of(self, frames))))
        return plain(x).mean((0, 3, 4)) @ self.weight


def plain(x: Tensor | Spikes) -> Tensor:
    return x.tensor() if isinstance(x, Spikes) else x


def stage(synapses: nn.Module, **options: object) -> Firing:
    lif = neuron.LIFNode(detach_reset=True, step_mode="m", **options)
    return Firing(synapses, layer.BatchNorm2d(16, step_mode="m"), lif)


def conv(*args: int, **options: object) -> nn.Module:
    return layer.Conv2d(16, 16, 3, *args, padding=1, step_mode="m", **options)


def attended(model: Parts, x: Tensor | Spikes) -> Tensor | Spikes:
    first, second = tokens(x), tokens(model.part(x))
    met = attend(first, second, second if model.binary else first + second, 2, 0.25, model.lif)
    return plain(met).unflatten(3, (5, 6))


PARTS = {
    "nothing": (lambda m, x: x, {}),
    "a bias": (lambda m, x: m.part(x), {"part": stage(conv())}),
    "groups": (lambda m, x: m.part(x), {"part": stage(conv(bias=False, groups=4))}),
    "a stride": (lambda m, x: m.part(x), {"part": stage(conv(2, bias=False))}),
    "soft resets": (lambda m, x: m.part(x), {"part": stage(conv(bias=False), v_reset=None)}),
    "a pool of sums": (lambda m, x: m.part(x + x), {"part": MaxPool2d()}),
    "another layer": (lambda m, x: m.part(plain(x)), {"part": conv()}),
    "a product": (lambda m, x: plain(x) * plain(x + x), {}),
    "a softmax": (lambda m, x: plain(x).softmax(2), {}),
    "weights": (lambda m, x: plain(x) * m.weight.sum(1).view(16, 1, 1) @ torch.ones(6, 6), {}),
}


@pytest.mark.filterwarnings("ignore:not counted")
@pytest.mark.parametrize("what", PARTS)
def test_what_a_network_does_between_its_parts(what: str) -> None:
    does, parts = PARTS[what]
    torch.manual_seed(0)
    operations = agree(Parts(does, **copy.deepcopy(parts)).eval(), events(3, 2, 2, 5, 6))
    assert any(each.acs for each in operations[1:])


@pytest.mark.parametrize("binary", [True, False])
def test_attention_of_spikes_and_of_sums(binary: bool) -> None:
    torch.manual_seed(0)
    lif = neuron.LIFNode(v_threshold=0.5, detach_reset=True, step_mode="m")
    model = Parts(attended, part=stage(conv(bias=False)), lif=lif)
    model.binary = binary
    operations = agree(model.eval(), events(3, 2, 2, 5, 6))
    assert [each.acs > 0 for each in operations if each.kind == PRODUCTS] == [True]


def test_modes_and_hooks_of_others_still_see_modules() -> None:
    model, frames = Spikformer(3, width=32, heads=1), events(2, 2, 2, 17, 17).float()
    with Watch(model), Watch(model):
        assert isinstance(spikes_of(model, frames), Tensor), "the outer one sees no kernels"
    with Watch(model):
        hook = model.blocks[0].fc1.register_forward_hook(lambda *_: None)
        assert isinstance(spikes_of(model, frames), Tensor)
        hook.remove()
        assert isinstance(spikes_of(model, frames), Spikes)
    assert OBSERVER.get() is None
    with unseen() as observer:
        assert observer is None


@settings(max_examples=60)
@given(
    shape=st.tuples(*(st.integers(1, size) for size in (4, 9, 5, 3))),
    most=st.sampled_from([0, 1, 2, 255]),
    seed=st.integers(0, 99),
)
def test_bytes_are_counted_as_other_numbers_are(shape, most, seed) -> None:
    torch.manual_seed(seed)
    x = torch.randint(most + 1, shape).to(torch.uint8)
    by_bytes, by_floats = Weighed(), Weighed()
    by_bytes.weigh(x[..., 0, 0], 3, 7), by_floats.weigh(x[..., 0, 0].float(), 3, 7)
    assert by_bytes == by_floats
    for weights in (3, torch.randint(9, shape[2:])):
        by_bytes, by_floats = Weighed(), Weighed()
        for each, values in ((by_bytes, x), (by_floats, x.float())):
            each.weigh(values, weights, 7)
            each.weigh(values.roll(1, 2), weights, 7)
        assert by_bytes == by_floats
    by_bytes, by_floats = Seen(), Seen()
    by_bytes.look(x, 7), by_floats.look(x.float(), 7)
    assert by_bytes == by_floats


@settings(max_examples=60)
@given(
    tokens=st.integers(1, 17),
    width=st.sampled_from([8, 16, 32, 64]),
    heads=st.integers(1, 3),
    rate=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_attention_is_counted_as_its_products_are(tokens, width, heads, rate, seed) -> None:
    torch.manual_seed(seed)
    q, k, v = (torch.rand(2, heads * width, tokens) < rate for _ in range(3))
    found, wanted = Multiplied(), Multiplied()
    found.attend(*(each.byte() for each in (q, k, v)), heads)
    q, k, v = (each.float().unflatten(1, (heads, -1)) for each in (q, k, v))
    scores = q.transpose(-2, -1) @ k
    wanted.multiply(q.transpose(-2, -1), k, scores, count_products)
    scores = scores.transpose(-2, -1)
    wanted.multiply(v, scores, v @ scores, count_products)
    assert found == wanted

"""What networks and recordings must keep to: what breaks it ends in one line before a training."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import small_networks
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import Spiking
from spikingjelly.activation_based import functional, layer
from torch import nn
from torch.nn.utils import parametrizations, weight_norm
from torch.nn.utils.parametrize import is_parametrized

from hetspike.api import choose, measure
from hetspike.data.samples import Samples
from hetspike.errors import UserError
from hetspike.inspection.contract import batch_sizes, check
from hetspike.inspection.effort import Effort
from hetspike.inspection.layers import quantizable_layers
from hetspike.quantization.quantizer import Choice, freeze, quantize
from hetspike.settings import Distillation, DnasSettings, Recipe, SensitivitySettings
from hetspike.training.loop import fit

RECIPE = Recipe(
    epochs=1,
    warmup_epochs=0.5,
    batch_size=4,
    learning_rate=1e-2,
    final_learning_rate=1e-4,
    weight_decay=0,
    label_smoothing=0,
)
GRADIENTS = SensitivitySettings(recordings=4, batch_size=2)


class Net(Spiking):
    """`ends` makes something else of its logits [T, B, classes]."""

    def __init__(self, ends: Callable[[torch.Tensor], Any] = lambda y: y.mean(0)) -> None:
        super().__init__(classes=3)
        self.ends = ends

    def forward(self, x: torch.Tensor) -> Any:
        functional.reset_net(self)
        return self.ends(self.head(self.features(x)))


class Keeping(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x)).mean(0)


class Counting(Net):
    """Its answers depend on how often it was asked; no neuron of SpikingJelly keeps that."""

    asked = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.asked += 1
        return super().forward(x) + self.asked


class Noisy(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.poisson(x))


class Hoarding(Net):
    """Keeps what it computed last, gradients included."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.last = super().forward(x)
        return self.last


class Viewing(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.view(-1, *x.shape[2:]).unflatten(0, x.shape[:2]))


class Summing(nn.Module):
    """A batch norm on [B, C]: of one recording it makes nothing in a training."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.head = nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(x.sum((0, 3, 4))))


def recordings(count: int = 6) -> Samples:
    return small_networks.recordings(count, steps=4, classes=3)


def changed(change: Callable[[Net], Any], net: Callable[[], nn.Module] = Net) -> nn.Module:
    model = net()
    change(model)
    return model


def set_weight(model: Net, value: float) -> None:
    with torch.no_grad():
        model.conv.weight[1, 0, 2, 2] = value


def with_graph() -> nn.Module:
    model = Hoarding()
    model(recordings().batch(torch.arange(2))[0])
    return model


def pruned(model: Net) -> None:
    weight_norm(model.conv)


NETWORKS: dict[str, tuple[Callable[[], Any], str]] = {
    "logits of every step": (lambda: Net(lambda y: y), r"of shape \[4, 2, 3\].* return logits \[B"),
    "one logit vector": (lambda: Net(lambda y: y.mean((0, 1))), r"shape \[3\] for frames \[4, 2,"),
    "logits by class": (lambda: Net(lambda y: y.mean(0).T), r"of shape \[3, 2\]"),
    "classes": (lambda: Net(lambda y: y.mean(0).argmax(1)), r"int64 of shape \[2\]"),
    "whole numbers": (lambda: Net(lambda y: y.mean(0).long()), r"int64 of shape \[2, 3\]"),
    "a dict": (lambda: Net(lambda y: {"logits": y.mean(0)}), "returns a dict: return logits"),
    "a tuple": (lambda: Net(lambda y: (y.mean(0), None)), "returns a tuple: return logits"),
    "nothing": (lambda: Net(lambda y: None), "returns a NoneType"),
    "too few classes": (lambda: Net(lambda y: y.mean(0)[:, :2]), "2 has the label 2.* are 0 to 1"),
    "a root of a negative number": (lambda: Net(lambda y: (y.mean(0) - 9).sqrt()), r"\(nan\)"),
    "frames of one channel": (
        lambda: changed(lambda m: setattr(m, "conv", layer.Conv2d(1, 4, 3, step_mode="m"))),
        r"does not take frames \[4, 2, 2, 4, 4\], .*RuntimeError",
    ),
    "a bug": (lambda: Net(lambda y: y.average(0)), "AttributeError: 'Tensor' object has no attr"),
    "views of what is not contiguous": (Viewing, "does not take frames.*view size is not compat"),
    "potentials kept": (Keeping, "another answer the second time.*reset_net"),
    "a count kept": (Counting, "another answer the second time"),
    "no size yet": (
        lambda: changed(lambda m: setattr(m, "head", nn.LazyLinear(3))),
        "head.weight has no size yet: pass a batch",
    ),
    "no values": (lambda: Net().to("meta"), "conv.weight has no values"),
    "double precision": (lambda: Net().double(), "conv.weight is torch.float64.*float()"),
    "half precision": (lambda: Net().half(), "conv.weight is torch.float16"),
    "one layer in bfloat16": (lambda: changed(lambda m: m.head.bfloat16()), "head.weight is torch"),
    "a weight that is nan": (lambda: changed(lambda m: set_weight(m, torch.nan)), "conv.weight is"),
    "an infinite weight": (lambda: changed(lambda m: set_weight(m, -torch.inf)), r"\(inf\)"),
    "an infinite variance": (
        lambda: changed(lambda m: m.norm.running_var.fill_(torch.inf)),
        "norm.running_var is not finite",
    ),
    "a scale that is nan": (
        lambda: changed(
            lambda m: m.conv.parametrizations.weight[0].log_scale.data.fill_(torch.nan),
            lambda: quantize(Net(), {"conv": Choice("pot", 3)}),
        ),
        "conv.log_scale is not finite",
    ),
    "weights that a hook computes": (lambda: changed(pruned), "a hook computes .* 'conv'"),
    "a graph kept": (with_graph, "cannot be copied: detach what it keeps in last"),
    "something that cannot be copied": (
        lambda: changed(lambda m: setattr(m, "open", open(__file__))),  # noqa: SIM115
        "cannot be copied: TypeError",
    ),
    "a function": (lambda: lambda x: x.mean((0, 2, 3)), "is a function: give a torch.nn.Module"),
}
# of no matter where nothing is learnt, or labels do not count
LEARNING: dict[str, tuple[Callable[[], Any], str]] = {
    "all frozen": (lambda: Net().requires_grad_(False), "no parameter of the network learns"),
    "no gradient": (lambda: Net(lambda y: y.mean(0).detach()), "passes no gradients back"),
}

S = recordings()
SAMPLES: dict[str, tuple[Callable[[], Any], str]] = {
    "too few labels": (lambda: S._replace(labels=S.labels[:3]), "6 recordings and labels of sh"),
    "too many labels": (lambda: S._replace(labels=torch.arange(9) % 3), r"labels of shape \[9\]"),
    "one label": (lambda: S._replace(labels=torch.tensor(1)), r"labels of shape \[\]"),
    "labels in columns": (lambda: S._replace(labels=S.labels[:, None]), r"shape \[6, 1\]"),
    "no recordings": (lambda: Samples(S.frames[:0], S.labels[:0]), "at least one recording"),
    "no time": (lambda: S._replace(frames=S.frames[:, 0]), r"frames of shape \[6, 2, 4, 4\]: give"),
    "no steps": (lambda: S._replace(frames=S.frames[:, :0]), r"shape \[6, 0, 2, 4, 4\]"),
    "frames of numpy": (lambda: S._replace(frames=S.frames.numpy()), "frames are a ndarray"),
    "labels in a list": (lambda: S._replace(labels=[0, 1, 2, 0, 1, 2]), "labels are a list"),
    "complex frames": (lambda: S._replace(frames=S.frames.to(torch.complex64)), "give event co"),
    "a frame that is nan": (
        lambda: S._replace(frames=S.frames.float().index_fill(0, torch.tensor([4]), torch.nan)),
        "the frames of recording 4 are not finite",
    ),
    "an infinite frame": (
        lambda: S._replace(frames=S.frames.half().index_fill(0, torch.tensor([2]), -torch.inf)),
        "the frames of recording 2 are not finite",
    ),
    "no such device": (lambda: S._replace(device="cuda:99"), "no device cuda:99 here"),
    "no device": (lambda: S._replace(device="chip"), "no device chip here"),
}
LABELS: dict[str, tuple[Callable[[], Any], str]] = {
    "a class too many": (lambda: S._replace(labels=S.labels + 1), "recording 2 has the label 3"),
    "a label that is ignored": (lambda: S._replace(labels=S.labels - 100), "has the label -100"),
    "32 bits": (lambda: S._replace(labels=S.labels.int()), r"int32: give whole numbers, labels.l"),
    "8 bits": (lambda: S._replace(labels=S.labels.byte()), "labels are torch.uint8"),
    "fractions": (lambda: S._replace(labels=S.labels.float()), "labels are torch.float32"),
}


def trained(model: nn.Module, train: Samples, validation: Samples = S) -> Any:
    return fit(model, train, validation, RECIPE, seed=0)


def chosen(model: nn.Module, train: Samples) -> Any:
    return choose(model, train, budget=3.0, settings=GRADIENTS)


def measured(model: nn.Module, train: Samples) -> Any:
    return measure(model, train, {})


def refused(work: Callable[..., Any], message: str, *makes: Callable[[], Any]) -> int:
    """1, if this work on what is made here ends in one line with this message."""
    with pytest.raises(UserError, match=message) as error:
        work(*(make() for make in makes))
    assert "\n" not in str(error.value)
    return 1


def test_a_network_that_cannot_be_trained_is_told_at_once(tried):
    count = sum(
        refused(lambda net: trained(net, S), message, make)
        for make, message in [*NETWORKS.values(), *LEARNING.values()]
    )
    tried("fit", "networks that do not keep to the contract", refused=count)


def test_recordings_that_cannot_be_trained_on_are_told_at_once(tried):
    count = 0
    for make, message in [*SAMPLES.values(), *LABELS.values()]:
        count += refused(trained, f"^training rec.*{message}", Net, make)
        count += refused(trained, f"^validation .*{message}", Net, recordings, make)
    tried(
        "fit", "training and validation recordings of wrong shapes, types or labels", refused=count
    )


def test_searches_and_counts_refuse_the_same(tried):
    kept = {"potentials kept", "too few classes"}  # both see to potentials themselves
    for work, also in ((chosen, LABELS), (measured, {})):
        networks = [each for name, each in NETWORKS.items() if name not in kept]
        count = sum(refused(work, message, make, recordings) for make, message in networks)
        samples = [*SAMPLES.values(), *also.values()]
        count += sum(refused(work, message, Net, make) for make, message in samples)
        part = "choose" if work is chosen else "measure"
        tried(part, "networks and recordings that do not keep to the contract", refused=count)
    assert len(measured(Keeping(), S._replace(labels=S.labels.float()))) > 0


def without_gradients() -> None:
    with torch.no_grad():
        trained(Net(), S)


def test_what_a_training_needs_besides():
    refused(without_gradients, "gradients are switched off")
    teacher = Net(lambda y: torch.cat([y, y], 2).mean(0))
    how = {"teacher": teacher, "distillation": Distillation(share=0.5, temperature=2.0)}
    message = "the teacher has 6 classes, the network 3"
    refused(lambda: fit(Net(), S, S, RECIPE, seed=0, **how), message)
    refused(
        lambda: trained(Net(), S, S._replace(device="meta")),
        "validation recordings: they go to meta",
    )


@pytest.mark.parametrize(
    "make",
    [
        Net,
        Noisy,
        lambda: Net().requires_grad_(False).train().head.requires_grad_() and Net(),
        lambda: changed(lambda m: m.conv.requires_grad_(False)),
        lambda: changed(lambda m: parametrizations.weight_norm(m.conv)),
        lambda: changed(lambda m: parametrizations.spectral_norm(m.head)),
        lambda: changed(lambda m: setattr(m, "norm", nn.Identity())),
        lambda: changed(lambda m: m.norm.eval()),
        lambda: changed(lambda m: setattr(m, "aside", nn.Linear(2, 2))),
        lambda: quantize(Net(), {"conv": Choice("uniform", 3)}),
        lambda: Net().to(memory_format=torch.channels_last),
    ],
)
@pytest.mark.parametrize(
    "samples",
    [
        S,
        S._replace(frames=S.frames.half()),
        S._replace(frames=S.frames.double()),
        S._replace(frames=S.frames > 0),
        S._replace(frames=S.frames.transpose(3, 4)),
        S._replace(device=torch.device("cpu")),
        recordings(5),
    ],
)
def test_what_keeps_to_the_contract_is_trained(make, samples):
    (epoch,) = trained(make(), samples)
    assert 0 < epoch.train_loss < 10


def test_checking_moves_nothing():
    model, effort = Net().train(), Effort()
    effort.watch(model)
    model.norm.eval()
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    assert check(model, S) == 3
    assert torch.equal(torch.rand(4), expected)
    assert effort.passes == 0
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert not any(is_parametrized(module) for module in model.modules())


def test_a_batch_of_one_is_told_before_the_training():
    assert batch_sizes(9, 4) == [4, 4, 1]
    refused(
        lambda: trained(Summing(), recordings(9)), "a training on batches of 1.*more than 1 val"
    )
    frozen = changed(lambda m: m.norm.eval(), Summing)
    for model, count in ((frozen, 9), (Summing(), 8), (Net(), 9)):
        assert trained(model, recordings(count))


def dnas(model: nn.Module, count: int, batch: int) -> Any:
    settings = DnasSettings(
        recipe=RECIPE.model_copy(update={"batch_size": batch}),
        logit_learning_rate=0.1,
        temperature=(2.0, 0.5),
        penalty=1.0,
    )
    return choose(model, recordings(count), budget=3.0, method="dnas", settings=settings)


def test_batches_of_one_in_a_search():
    # 9 recordings: halves of 5 and 4, whose first batches of 4 alone are used
    assert dnas(Summing(), 9, 4)
    refused(lambda: dnas(Summing(), 10, 4), "a training on batches of 1")
    refused(lambda: dnas(Summing(), 1, 4), "one recording")
    refused(lambda: dnas(Net(lambda y: y.mean(0).detach()), 8, 4), "passes no gradients back")


def test_a_search_wants_every_layer_to_run():
    idle = changed(lambda m: setattr(m, "aside", nn.Linear(2, 2)))
    refused(lambda: chosen(idle, S), "layer 'aside' never runs: set it to torch.nn.Identity")
    apart = Net(lambda y: y.mean(0).detach())
    refused(lambda: chosen(apart, S), "passes no gradient back to layer 'conv'")


class Attending(Net):
    """`out_proj` is used by the attention, its own forward never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        y = super().features(x)
        return y + self.attention(y, y, y, need_weights=False)[0]


def test_layers_that_others_use_run_and_frozen_ones_are_scored():
    assert "attention.out_proj" in chosen(Attending(), S)
    with torch.no_grad():
        of_all = chosen(Net(), S)
    assert of_all == chosen(Net().requires_grad_(False), S)
    assert set(of_all) == {"conv", "head"}


def test_weights_that_others_compute_can_be_searched_and_quantized():
    for norm in (parametrizations.weight_norm, parametrizations.spectral_norm):
        model = changed(lambda m: norm(m.conv))  # noqa: B023
        frames = S.batch(torch.arange(4))[0]
        model.eval()
        weight = model.conv.weight.detach().clone()
        assert torch.equal(freeze(model).conv.weight, weight)
        quantized = quantize(model.train(), {"conv": Choice("uniform", 8)}).eval()
        assert len(quantized.conv.parametrizations.weight) == 1
        assert torch.allclose(quantized.conv.weight, weight, atol=0.02)
        assert torch.allclose(freeze(quantized)(frames), quantized(frames))
        assert chosen(model, S).keys() == {"conv", "head"}


@given(st.integers(0, 2**16), st.sampled_from([2, 3, 4]))
@settings(max_examples=10, deadline=None)
def test_quantizing_again_starts_from_what_the_network_answers_with(seed, bits):
    model = Net()
    torch.manual_seed(seed)
    nn.init.normal_(model.conv.weight)
    assignment = {"conv": Choice("uniform", bits)}
    once = quantize(model, {"conv": Choice("uniform", 8), "head": Choice("pot", 4)})
    again = quantize(once, assignment)
    assert len(again.conv.parametrizations.weight) == 1
    assert again.conv.parametrizations.weight[0].choice == ("uniform", bits)
    assert torch.equal(again.conv.weight, quantize(freeze(once), assignment).conv.weight)
    assert all(len(row.unique()) < 2**bits for row in again.conv.weight)
    # what is not named keeps its levels, and the first network all of its own
    assert again.head.parametrizations.weight[0].choice == ("pot", 4)
    assert once.conv.parametrizations.weight[0].choice == ("uniform", 8)
    assert list(quantizable_layers(once)) == ["conv", "head"]


def test_a_frozen_layer_stays_frozen_when_it_is_quantized_again():
    model = changed(lambda m: m.conv.requires_grad_(False))
    again = quantize(quantize(model, {"conv": Choice("uniform", 8)}), {"conv": Choice("pot", 3)})
    assert not again.conv.parametrizations.weight.original.requires_grad


def statistics(model: nn.Module) -> list[float]:
    return model.norm.running_mean.tolist()


@pytest.mark.parametrize(
    ("freeze_norm", "moves"),
    [
        (lambda norm: norm, True),
        (lambda norm: norm.eval(), False),
        (lambda norm: norm.requires_grad_(False), False),
        (lambda norm: norm.bias.requires_grad_(False), True),
    ],
)
@pytest.mark.parametrize("method", ["fit", "dnas"])
def test_a_frozen_batch_norm_stays_frozen(freeze_norm, moves, method):
    model = Net()
    freeze_norm(model.norm)
    before, training = statistics(model), model.norm.training
    seen: list[bool] = []
    model.norm.register_forward_pre_hook(lambda norm, _: seen.append(norm.training))
    if method == "fit":
        fit(model, S, S, RECIPE.model_copy(update={"epochs": 2}), seed=0)
        assert (statistics(model) != before) == moves
        assert model.training and model.norm.training == (moves and training)
    else:
        dnas(model, 8, 4)
    assert any(seen) == moves


def test_a_network_that_was_in_evaluation_mode_is_trained_as_a_whole():
    model = Net().eval()
    before = statistics(model)
    trained(model, S)
    assert statistics(model) != before

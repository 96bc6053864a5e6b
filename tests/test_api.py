"""The public names, and what they do against hand-worked numbers and the parts that they join."""

import copy

import pytest
import torch
from projects import ROOT, shipped
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

import hetspike
from hetspike.api import CANDIDATES, DEFAULT_SETTINGS, choose, measure, run
from hetspike.cost import operations
from hetspike.cost.energy import ENERGY_VIEWS
from hetspike.cost.sizes import compression, effective_bits, model_bits
from hetspike.data.samples import Samples
from hetspike.errors import UserError
from hetspike.inspection.inference import logits_of
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.packed.packing import load_packed, pack, unpack
from hetspike.quantization.quantizer import Choice, choices, quantize
from hetspike.search import SEARCHES, search
from hetspike.search.space import Space
from hetspike.settings import Recipe, SensitivitySettings

GRADIENTS = SensitivitySettings(recordings=8, batch_size=2)
RECIPE = Recipe(
    epochs=1,
    warmup_epochs=0,
    batch_size=4,
    learning_rate=1e-3,
    final_learning_rate=1e-4,
    weight_decay=0,
    label_smoothing=0,
)


class Keeping(nn.Sequential):
    """A foreign network whose neurons keep their state from call to call."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(
            layer.Conv2d(2, 3, 1, bias=False, step_mode="m"),
            neuron.LIFNode(step_mode="m"),
            layer.Flatten(step_mode="m"),
            layer.Linear(12, 3, step_mode="m"),
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return super().forward(frames).mean(0)


class Resetting(Keeping):
    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        functional.reset_net(self)
        return super().forward(frames)


def recordings(count: int, size: int = 2) -> Samples:
    generator = torch.Generator().manual_seed(0)
    rates = torch.linspace(0.1, 3, count).view(-1, 1, 1, 1, 1)
    frames = torch.poisson(rates.expand(-1, 3, 2, size, size), generator)
    return Samples(frames.byte(), torch.arange(count) % 3)


def spikformer() -> nn.Module:
    torch.manual_seed(12)  # the classes differ from recording to recording
    model = Spikformer(3, width=16, depth=1, heads=2, pools=(False,) * 4).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.constant_(module.running_var, 0.01)  # so that neurons spike in every layer
    nn.init.zeros_(model.head.bias)  # and decide the class
    return model


def packed() -> bytes:
    layers = quantizable_layers(spikformer())
    network = quantize(spikformer(), dict.fromkeys(layers, Choice("uniform", 3)))
    size = {"width": 16, "depth": 1, "heads": 2, "mlp_ratio": 4, "pools": [False] * 4}
    size["architecture"] = "spikformer"
    return pack(network, recordings(4, 8).frames.transpose(0, 1).float(), network=size, classes=3)


def test_every_public_name_is_there():
    assert all(getattr(hetspike, name) is not None for name in hetspike.__all__)
    assert set(hetspike.__all__) <= set(dir(hetspike))
    assert hetspike.load is load_packed and hetspike.choose is choose
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hetspike.nothing


@pytest.mark.parametrize("name", hetspike.__all__)
def test_no_public_name_is_that_of_a_module(name):
    # importing a module of that name would put it in the function's place
    package = ROOT / "src/hetspike"
    assert not (package / name).exists() and not (package / f"{name}.py").exists()


def test_defaults_are_those_of_the_default_study():
    study = shipped("default")
    assert {scheme: list(widths) for scheme, widths in CANDIDATES.items()} == study["candidates"]
    assert (
        DEFAULT_SETTINGS[SEARCHES["fisher"]].model_dump() == study["searches"]["fisher"]["settings"]
    )


@pytest.mark.parametrize("method", ["random", "sensitivity", "fisher"])
def test_what_is_chosen_is_what_the_search_finds(method):
    model, samples = spikformer(), recordings(6, 8)
    settings = SensitivitySettings(recordings=2, batch_size=1) if method != "random" else None

    def chosen(seed: int) -> dict[str, Choice]:
        return choose(model, samples, budget=4.0, method=method, settings=settings, seed=seed)

    space = Space.of(model, choices(CANDIDATES), {})
    needed = settings or SEARCHES[method]()
    assert chosen(1) == search(method, model, samples, space, 4.0, settings=needed, seed=1)
    assert 3.95 <= space.effective_bits(chosen(1)) <= 4.0
    assert chosen(1) != chosen(2)


def test_dnas_keeps_a_budget_too():
    settings = SEARCHES["dnas"](
        recipe=RECIPE, logit_learning_rate=0.1, temperature=(2.0, 0.5), penalty=1.0
    )
    samples = recordings(8)
    chosen = choose(Keeping(), samples, budget=4.0, method="dnas", settings=settings)
    # 6 and 36 weights
    assert (6 * chosen["0"].bits + 36 * chosen["3"].bits) / 42 <= 4.0


def test_candidates_and_boundary_layers_are_kept_to():
    chosen = choose(
        spikformer(),
        recordings(4, 8),
        budget=4.0,
        candidates={"pot": [4]},
        boundary_layers="float",
    )
    first, *inner, last = quantizable_layers(spikformer())
    assert chosen == dict.fromkeys(inner, Choice("pot", 4))
    assert not {first, last} & chosen.keys()


def test_a_search_sees_every_batch_from_rest():
    samples = recordings(8)
    model = Keeping()
    weights = copy.deepcopy(model.state_dict())
    model(samples.batch(torch.arange(3))[0])  # leaves potentials of another batch size, and a graph
    chosen = choose(model, samples, budget=4.0, settings=GRADIENTS)
    assert chosen == choose(Resetting(), samples, budget=4.0, settings=GRADIENTS)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"method": "magic"},
            "unknown method 'magic': use one of random, sensitivity, fisher, dnas",
        ),
        ({"method": "dnas"}, "'dnas' needs settings of its own: give a hetspike.settings.DnasSett"),
        ({"method": "dnas", "settings": GRADIENTS}, "'dnas' needs settings of its own"),
        ({"budget": 1.0}, "budget 1 is out of reach: the candidates allow 2 to 8"),
        ({"candidates": {"magic": [4]}}, "unknown scheme 'magic'"),
    ],
)
def test_a_search_that_cannot_be_says_why(wrong, message):
    samples = recordings(4)
    with pytest.raises(UserError, match=message):
        choose(Resetting(), samples, **{"budget": 4.0, **wrong})


def test_measure_by_hand():
    # two steps of 2x2 pixels: a count of 2 at the first, of 1 at the second
    frames = torch.zeros(1, 2, 2, 2, 2, dtype=torch.uint8)
    frames[0, 0, 1, 0, 0], frames[0, 1, 0, 1, 1] = 2, 1
    model = Keeping()
    nn.init.zeros_(model[0].weight)  # no neuron spikes
    table = measure(model, Samples(frames, torch.zeros(1)), {"0": Choice("uniform", 3)})
    table = table.set_index("layer")
    assert list(table.index) == ["0", "3", "1"]
    # six weights of 3 bits and three scales of 16; 36 weights and three biases in float
    assert table["stored_bits"].tolist() == [6 * 3 + 3 * 16, (36 + 3) * 32, 0]
    assert table["bits_linear"].tolist() == [18, 36 * 32, 0]
    # two pixels meet three channels each, one of them to be multiplied
    assert table["macs"].tolist() == [3, 0, 0]
    assert table["acs"].tolist() == [3, 0, 0]
    # 4.6 pJ at each of 2 steps x 4 pixels x 6 weights, and no spike after that
    assert table["field"].tolist() == pytest.approx([4.6 * 48, 0, 0])
    assert (table["total"] == table["ops"] + table["memory"]).all()
    assert table["memory"].gt(0).tolist() == [True, False, True]
    assert set(ENERGY_VIEWS) <= set(table.columns)
    assert effective_bits(table) == 3 and compression(table) == pytest.approx(32 / 3)
    assert model_bits(table) == pytest.approx((18 + 48 + 39 * 32) / (6 + 3 + 36 + 3))


def test_measuring_starts_every_batch_at_rest(monkeypatch):
    monkeypatch.setattr(operations, "BATCH", 3)  # 8 recordings: 3, 3 and 2
    assignment, samples = {"0": Choice("pot", 3)}, recordings(8)
    model = Keeping()
    model(samples.batch(torch.arange(4))[0])
    wanted = measure(Resetting(), samples, assignment)
    assert wanted.set_index("layer").loc["1", "active"] > 0  # there are spikes to be told apart
    assert measure(model, samples, assignment).equals(wanted)
    assert measure(model, samples, assignment).equals(wanted)


def test_measuring_freezes_quantizers():
    assignment, samples = {"0": Choice("pot", 3), "3": Choice("uniform", 2)}, recordings(4)
    quantized = quantize(Resetting(), assignment)
    data = pack(quantized, samples.batch(torch.arange(4))[0])
    before = measure(quantized, samples, assignment)
    after = measure(unpack(data, into=Resetting()), samples, assignment)
    assert before["layer"].tolist() == after["layer"].tolist() == ["0", "3", "1"]
    assert before.loc[0, "macs"] == after.loc[0, "macs"] > 0
    # folded, the convolution has a bias beside its scale
    assert (after["stored_bits"] - before["stored_bits"]).tolist() == [3 * 16, 0, 0]


class Gated(nn.Module):
    """Defined from back to front, with a transposed convolution, a softmax and a spare layer."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.spare, self.head = nn.Linear(2, 2), nn.Linear(4, 3)
        self.up, self.stem = nn.ConvTranspose2d(3, 1, 2, stride=2), nn.Conv2d(2, 3, 2, stride=2)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = self.up(self.stem(frames.flatten(0, 1))).flatten(1).softmax(1)
        return self.head(x).unflatten(0, frames.shape[:2]).mean(0)


def test_measure_leaves_nothing_out():
    samples = recordings(4)
    with pytest.warns(UserWarning) as warned:
        table = measure(Gated(), samples, {"stem": Choice("uniform", 3)}).set_index("layer")
    assert [str(each.message) for each in warned] == [
        "layers that never ran: spare",
        "not counted, and missing in every energy: Gated: softmax",
    ]
    assert list(table.index) == ["stem", "up", "head", "spare", "Gated: softmax"]
    up = table.loc["up"]
    # three channels on a kernel of four taps, in three steps, each of them multiplied
    assert (up["weights"], up["numbers"], up["bits"], up["scheme"]) == (12, 1, 32, "float")
    assert (up["dense"], up["macs"], up["acs"]) == (3 * 12, 3 * 12, 0)
    assert up["ops"] == pytest.approx(4.6 * 36) and up["memory"] > 0
    assert (table["stored_bits"] >= 0).all()
    assert table.loc["Gated: softmax", list(ENERGY_VIEWS)].isna().all()
    counted = table.drop("Gated: softmax")[["ops", "memory", "total"]]
    assert (counted.sum() == table[["ops", "memory", "total"]].sum()).all()
    # the stem is the first layer, whatever is defined before it
    assert table.loc["stem", "field"] == pytest.approx(4.6 * table.loc["stem", "dense"])


def test_boundary_layers_are_those_that_run_first_and_last():
    model = Gated()  # defined: spare, head, up, stem
    model.spare, model.stem = nn.Identity(), nn.Sequential(nn.Conv2d(2, 2, 1), model.stem)
    eight, four = Choice("uniform", 8), Choice("uniform", 4)
    for how, ends in (("8-bit", {"stem.0": eight, "head": eight}), ("float", {})):
        # 4, 24 and 12 weights
        budget = (16 * 8 + 24 * 4) / 40 if ends else 4.0
        chosen = choose(
            model,
            recordings(4),
            budget=budget,
            candidates={"uniform": [4]},
            method="random",
            boundary_layers=how,
        )
        assert chosen == ends | {"stem.1": four}


def test_measuring_an_unknown_layer_says_which_there_are():
    with pytest.raises(UserError, match="names layer 'conv1': the model has 0, 3"):
        measure(Keeping(), recordings(2), {"conv1": Choice("pot", 3)})


def test_integers_give_the_classes_and_operations_of_the_simulation():
    samples = recordings(12, 8)
    network, file = load_packed(packed())
    classes, operations = run(packed(), samples.frames)
    # in double precision there is no rounding to disagree on
    exact = Samples64(samples.frames.double(), samples.labels)
    simulated = logits_of(network.double(), exact).argmax(1)
    assert classes.tolist() == simulated.tolist()
    assert len(set(classes.tolist())) > 1
    table = measure(network.float(), samples, file.assignment)
    pairs = table.set_index("layer")[["macs", "acs"]].sum(axis=1)
    for count in operations:
        assert count.additions == pytest.approx(pairs[count.layer], rel=0.02), count.layer
        assert count.additions > 0
    first = operations[0]
    assert first.layer == "patch.stages.0.0"
    assert first.additions == pairs["patch.stages.0.0"]
    assert first.multiplications == table.set_index("layer").loc["patch.stages.0.0", "macs"] > 0


class Samples64(Samples):
    """Batches in double precision."""

    def batch(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.frames[rows].transpose(0, 1), self.labels[rows]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.zeros(2, 3, 1, 8, 8), r"shape \[2, 3, 1, 8, 8\]: the network takes \[R, T, 2, H, W"),
        (torch.zeros(3, 2, 8, 8), r"shape \[3, 2, 8, 8\]"),
        (torch.zeros(0, 3, 2, 8, 8), "at least one recording"),
        (torch.full((1, 3, 2, 8, 8), 0.5), "no event counts: give whole numbers"),
        (torch.full((1, 3, 2, 8, 8), -1), "no event counts"),
        (torch.full((1, 3, 2, 8, 8), torch.nan), "no event counts"),
    ],
)
def test_frames_that_are_no_event_counts_are_refused(frames, message):
    with pytest.raises(UserError, match=message):
        run(packed(), frames)


def test_integers_are_for_our_spikformer_alone():
    samples = recordings(4)
    quantized = quantize(Resetting(), {"0": Choice("pot", 3), "3": Choice("pot", 3)})
    data = pack(quantized, samples.batch(torch.arange(4))[0])
    with pytest.raises(UserError, match="does not hold a network that hetspike builds"):
        run(data, samples.frames)

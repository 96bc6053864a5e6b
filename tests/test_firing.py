"""Firing rates of single neurons: counted, stored, compared, shown."""

import math
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from projects import ROOT
from scipy.stats import wasserstein_distance
from spikingjelly.activation_based import functional, neuron
from test_reports import by_modules, events, exact
from torch import Tensor, nn

from hetspike.atomic import check, sealed
from hetspike.cost.operations import predict_and_count
from hetspike.data.samples import Samples
from hetspike.errors import UserError
from hetspike.inspection.spike_counts import NeuronWatch, SpikeCounts
from hetspike.networks.spikformer import Spikformer
from hetspike.results.figures.firing import firing_rates
from hetspike.results.figures.style import STYLES, rendered
from hetspike.results.firing import (
    FIRING_COLUMNS,
    earth_movers,
    firing_by_network,
    firing_table,
    layers_of,
)
from hetspike.results.present import load

# Counted


class Neurons(nn.Module):
    """Integrate-and-fire neurons that begin anew with each batch."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.fire = neuron.IFNode(**options)

    def forward(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        return self.fire(x)


def counted(model: nn.Module, *batches: Tensor) -> dict[str, SpikeCounts]:
    with torch.no_grad(), NeuronWatch(model.eval()) as seen:
        for each in batches:
            model(each)
    return seen.counts


def test_spikes_of_every_neuron_by_hand():
    first = torch.tensor([[[1.0, 0.5], [0.0, 0.4]], [[1.0, 0.5], [1.0, 0.4]]])  # [T, B, C]
    second = torch.tensor([[[0.0, 0.5]], [[1.0, 0.5]]])
    (found,) = counted(Neurons(step_mode="m"), first, second).values()
    # channel 0 spikes in 2, 1 and 1 steps; 0.5 reaches 1 in the second step, 0.4 does not
    assert (found.spikes.tolist(), found.steps) == ([4.0, 2.0], 6)


def test_a_neuron_is_a_channel_at_a_position():
    x = torch.zeros(3, 2, 2, 1, 2)  # [T, B, C, H, W]
    x[0, 0, 0, 0, 1] = x[1, 1, 0, 0, 1] = x[2, 1, 1, 0, 0] = 1
    (found,) = counted(Neurons(step_mode="m"), x).values()
    assert (found.spikes.tolist(), found.steps) == ([0, 2, 1, 0], 6)


def test_neurons_that_are_called_step_by_step():
    model = neuron.IFNode(step_mode="s")
    found = counted(model, torch.tensor([[1.0, 0.0], [1.0, 0.5]]), torch.tensor([[0.0, 1.0]] * 2))
    assert found["IFNode"].spikes.tolist() == [2, 2] and found["IFNode"].steps == 4


def test_neurons_on_values_of_two_shapes_are_one_line():
    with pytest.raises(UserError, match="the neurons fire run on values of two shapes"):
        counted(Neurons(step_mode="m"), torch.ones(2, 1, 3), torch.ones(2, 1, 4))


@pytest.mark.parametrize("folded", [True, False])
def test_kernels_and_modules_count_the_same_and_what_operations_say(folded):
    torch.manual_seed(0)
    pools = (True, True, False, False)
    model = exact(Spikformer(3, width=64, heads=4, depth=1, pools=pools), folded=folded)
    frames = events(151, 2, 2, 9, 9)  # two batches
    samples = Samples(frames, torch.zeros(len(frames)))
    found = []
    for network in (model, by_modules(model)):
        watch = NeuronWatch(network)
        answers = predict_and_count(network, samples, {}, watch)
        assert repr(answers) == repr(predict_and_count(network, samples, {}))
        found.append(watch.counts)
    by_kernels, watched = found
    assert [*by_kernels] == [*watched] and len(watched) == 12
    rows = {row.layer: row for row in answers[1] if row.kind == "neurons"}
    for name, counts in by_kernels.items():
        assert counts.spikes.tolist() == watched[name].spikes.tolist()
        assert counts.steps == watched[name].steps == 151 * 2
        assert len(counts.spikes) == rows[name].outputs
        assert counts.spikes.sum() == pytest.approx(rows[name].active * 151)
    assert len({*by_kernels["patch.stages.0.2"].spikes}) > 10


# Stored


@pytest.fixture(scope="module")
def stored() -> Iterator[SimpleNamespace]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "workflow/scripts")
        yield __import__("spike_counts")


COUNTS = {
    "conv": SpikeCounts(np.array([0.0, 3.0, 12.0]), 12),
    "file": SpikeCounts(np.array([5.0]), 20),  # the name of an argument of np.savez
}


def test_rates_are_read_as_they_were_counted(stored, tmp_path):
    path = tmp_path / "spikes.npz"
    stored.write_counts(path, COUNTS)
    check(path)
    written = path.read_bytes()
    rates = stored.read_rates(path)
    assert {name: each.tolist() for name, each in rates.items()} == {
        "conv": [0, 0.25, 1],
        "file": [0.25],
    }
    stored.write_counts(path, COUNTS)
    assert path.read_bytes() == written
    stored.write_counts(path, {})
    assert stored.read_rates(path) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        *({"neurons": [3, 2]}, {"steps": [12]}, {"layers": ["conv"]}, {"spikes": [1.0]}),
        *({"layers": 1}, {"neurons": 4}, {"spikes": list("abcd")}),
    ],
)
def test_counts_of_another_form_are_one_line(stored, tmp_path, wrong):
    right = {"layers": ["conv", "fc"], "neurons": [3, 1], "steps": [9, 9], "spikes": [1.0] * 4}
    for content, problem in (
        (right | wrong, "is not what a job writes"),
        ({k: v for k, v in right.items() if k not in wrong}, "is not what a job writes"),
    ):
        with sealed(tmp_path / "a.npz") as part, part.open("wb") as file:
            np.savez(file, **{name: np.array(each) for name, each in content.items()})
        with pytest.raises(UserError, match=problem):
            stored.read_rates(tmp_path / "a.npz")


# Compared

RATES = arrays(np.float64, 12, elements=st.floats(0, 1))


@given(RATES, RATES)
def test_the_distance_is_the_earth_movers_and_no_more_than_the_change(first, second):
    distance = earth_movers(first, second)
    assert distance == pytest.approx(wasserstein_distance(first, second), abs=1e-12)
    assert distance == earth_movers(second, first) == earth_movers(first[::-1], second)
    assert abs(first.mean() - second.mean()) <= distance + 1e-12
    assert distance <= np.abs(first - second).mean() + 1e-12
    assert earth_movers(first, first) == 0


@given(RATES, RATES, RATES)
def test_a_detour_is_no_shorter(first, second, third):
    detour = earth_movers(first, second) + earth_movers(second, third)
    assert earth_movers(first, third) <= detour + 1e-12


def test_a_layer_by_hand():
    rates = {"conv": np.array([0.0, 0.5, 0.25, 0.25]), "fc": np.zeros(2)}
    reference = {"conv": np.array([0.5, 0.0, 0.25, 0.25]), "fc": np.array([0.25, 0.0])}
    conv, fc = layers_of(rates, reference).to_dict("records")
    assert conv == {
        **{"layer": "conv", "neurons": 4, "rate": 25, "dead": 25, "distance": 0, "change": 25},
        # three equal parts between 0, 25, 25 and 50: 5 % is 0.15 parts from the first
        **{"q05": pytest.approx(3.75), "q25": pytest.approx(18.75), "q50": 25},
        **{"q75": pytest.approx(31.25), "q95": pytest.approx(46.25)},
    }
    assert (fc["rate"], fc["dead"], fc["distance"], fc["change"]) == (0, 100, 12.5, 12.5)


NETWORKS = {  # seed, cell -> rates of a layer of two neurons and one of one
    (0, "float-tuned"): ([0.5, 0.0], [0.2]),
    (1, "float-tuned"): ([0.1, 0.1], [0.4]),
    (0, "pot-3"): ([0.0, 0.5], [0.3]),
    (1, "pot-3"): ([0.1, 0.3], [0.4]),
}


def table_of(seeds: list[int]) -> pd.DataFrame:
    def rates_of(dataset: str, seed: int, cell: str) -> dict[str, np.ndarray]:
        both = map(np.array, NETWORKS[seed, cell])
        return dict(zip(("a", "b"), both, strict=True))

    cells = ["float-tuned", "pot-3"]
    return firing_table(rates_of, ["sim-a", "sim-b"], seeds, cells, reference="float-tuned")


def test_a_table_of_networks_by_hand():
    table = table_of([0, 1])
    assert tuple(table) == FIRING_COLUMNS and len(table) == 2 * (2 * 4 + 2)
    first = table[table["dataset"] == "sim-a"].set_index(["cell", "seed", "layer"]).sort_index()
    assert first.loc[("pot-3", 0), ["distance", "change"]].to_numpy().tolist() == [
        [0, 50],
        [pytest.approx(10)] * 2,
    ]
    assert first.loc["float-tuned", ["distance", "change"]].isna().all(axis=None)
    between = first.loc["float-tuned, other seed"].reset_index()
    assert between["against_seed"].tolist() == [1, 1] and between["rate"].isna().all()
    # 0 and 50 against 10 and 10; 20 against 40
    assert between["distance"].tolist() == [pytest.approx(25), pytest.approx(20)]
    rows = firing_by_network(table).set_index(["dataset", "cell"]).loc["sim-b"]
    assert [*rows.index] == ["float-tuned", "pot-3", "float-tuned, other seed"]
    pot = rows.loc["pot-3"]
    # of three neurons: 50 + 30 and 10 + 30 + 40 percent; one of three never spikes, or none
    assert (pot["rate"], pot["rate_low"], pot["rate_high"]) == pytest.approx((80 / 3,) * 3)
    assert (pot["dead"], pot["dead_low"], pot["dead_high"]) == pytest.approx((50 / 3, 0, 100 / 3))
    # of two layers: 0 and 10, 10 and 0
    assert (pot["distance"], pot["distance_low"]) == pytest.approx((5, 5))
    assert (pot["change"], pot["change_low"], pot["change_high"]) == pytest.approx((17.5, 5, 30))
    assert math.isnan(rows.loc["float-tuned", "distance"])


def test_one_seed_is_compared_with_no_other():
    assert set(table_of([0])["cell"]) == {"float-tuned", "pot-3"}


# Shown


def test_presented_firing_tells_the_scale():
    form = load("firing")
    shown = form.shown(table_of([0, 1])).head(3).values.tolist()
    assert shown == [
        ["sim-a", "float-tuned", "21.67 [20.00, 23.33]", "16.67 [0.00, 33.33]", "-", "-"],
        *[["", "pot-3", "26.67", "16.67 [0.00, 33.33]", "5.00", "17.50 [5.00, 30.00]"]],
        ["", "float-tuned, other seed", "-", "-", "22.50", "22.50"],
    ]
    assert "stand-in" in form.caption(table_of([0]))


CELLS = pd.DataFrame(
    [("float-tuned", "float-tuned", None, False), ("pot-3", "pot", 3.0, False)],
    columns=["cell", "method", "setting", "distilled"],
)


@pytest.mark.parametrize("seeds", [[0, 1], [0]])
def test_rates_are_drawn_beside_those_of_the_reference(seeds):
    table = table_of(seeds).query("dataset == 'sim-a'").assign(part="block 1")
    table = table.assign(short_name=table["layer"])
    figure = firing_rates(table, CELLS)
    rates, distances, *_ = figure.axes
    medians = {line.get_color(): line.get_ydata().tolist() for line in rates.lines}
    tuned, pot = (medians[STYLES[each].colour] for each in ("float-tuned", "pot"))
    if len(seeds) == 2:  # 25 and 10, 20 and 40; 25 and 20, 30 and 40
        assert (tuned, pot) == (pytest.approx([17.5, 30]), pytest.approx([22.5, 35]))
        assert distances.lines[0].get_ydata().tolist() == pytest.approx([5, 5])
    told = {text.get_text() for text in figure.legends[0].get_texts()}
    far = len(seeds) == 2
    assert len(distances.collections) == far and ("two seeds of float-tuned" in told) == far
    assert distances.get_xlim() == (0, 2)
    assert rendered(figure, "png") == rendered(firing_rates(table, CELLS), "png")

"""Energy under other assumptions, and at the paper's size, from small networks by hand."""

import math

import pandas as pd
import pytest
import torch
from test_cost_tables import CELLS, REFERENCE, network, study

from hetspike.cost.energy import REFERENCES, energies
from hetspike.cost.kinds import NEURONS, PRODUCTS, SYNAPSES
from hetspike.cost.memory import ASSUMPTIONS, NAMED, Assumptions, accesses
from hetspike.cost.operations import Operation, predict_and_count
from hetspike.data.samples import Samples
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.results import cost_tables as costs
from hetspike.results.paper_size import PAPER_ENERGY_COLUMNS, at_rates, paper_energy_table
from hetspike.results.sensitivity import DATAFLOW_COLUMNS, dataflow_table

PAPER = pd.DataFrame({"dataset": ["d"], "cell": ["pot-4"], "paper_energy": [8.72]})


@pytest.fixture(scope="module")
def measured() -> tuple[pd.DataFrame, pd.DataFrame]:
    return study(*CELLS)


@pytest.fixture(scope="module")
def dataflows(measured) -> pd.DataFrame:
    return dataflow_table(measured[0], PAPER, reference=REFERENCE)


def test_every_network_has_a_row_per_assumption(dataflows):
    assert tuple(dataflows) == DATAFLOW_COLUMNS
    assert list(dataflows["cell"]) == [cell for cell in CELLS for _ in ASSUMPTIONS]
    of_one = dataflows[dataflows["cell"] == "pot-4"]
    rows = of_one[list(Assumptions._fields)].itertuples(index=False, name=None)
    assert [Assumptions(*row) for row in rows] == ASSUMPTIONS
    assert set(of_one["paper_energy"]) == {8.72}
    assert dataflows.loc[dataflows["cell"] != "pot-4", "paper_energy"].isna().all()


def test_the_first_assumption_is_that_of_the_views(measured, dataflows):
    spent = costs.mean_and_range(costs.by_network(*measured, reference=REFERENCE))
    named = (dataflows[list(NAMED._fields)] == pd.Series(NAMED._asdict())).all(axis=1)
    own = dataflows[named].set_index(["dataset", "cell"])
    for view in ("memory", "total"):
        for reference in REFERENCES:
            for end in costs.ENDS:
                measure = f"{costs.measure_of(view, reference)}{end}"
                pd.testing.assert_series_equal(own[measure], spent[measure])


def test_a_ratio_by_hand(dataflows):
    assumed = ASSUMPTIONS[13]
    rows = dataflows.set_index(["cell", *Assumptions._fields]).sort_index()
    row = rows.loc[("uniform-4", *assumed)]
    ratios = []
    for seed in (0, 1):
        theirs, ours = (
            accesses(pd.DataFrame(network(*choice, pairs=100 * (seed + 1))), assumed).sum()
            for choice in (("uniform", 8), ("uniform", 4))
        )
        ratios.append(theirs / ours)
    assert row["energy_memory_int8"] == pytest.approx(sum(ratios) / 2)
    assert row["energy_memory_int8_low"] == pytest.approx(min(ratios))
    assert row["energy_memory_int8_high"] == pytest.approx(max(ratios))


# At the paper's size


def counted(*, width: int, depth: int, pixels: int, steps: int, events: bool) -> pd.DataFrame:
    """Operations of an untrained network, on events or on none."""
    torch.manual_seed(0)
    model = Spikformer(3, width=width, depth=depth, heads=2, pools=(True, True, False, False))
    for layer in quantizable_layers(model).values():
        layer.weight.data.mul_(8)  # else nothing spikes
    shape = (2, steps, 2, pixels, pixels)
    frames = torch.randint(0, 3, shape) if events else torch.zeros(shape)
    samples = Samples(frames.to(torch.uint8), torch.zeros(2))
    _, operations = predict_and_count(model, samples, {})
    return pd.DataFrame(operations, columns=Operation._fields)


SMALL = {"width": 16, "depth": 2, "pixels": 16, "steps": 2}


def in_study(rows: pd.DataFrame, dataset: str = "d", seed: int = 0) -> pd.DataFrame:
    return rows.assign(dataset=dataset, cell=REFERENCE, seed=seed)


def test_a_network_at_its_own_rates_is_itself():
    """The shares of pairs, taken from a network with one block and put on its own zeros."""
    size = SMALL | {"depth": 1}
    own, empty = (counted(**size, events=events) for events in (True, False))
    assert own.loc[own["kind"] == PRODUCTS, "acs"].sum() > 0 == empty["acs"].sum()
    found = at_rates(empty, in_study(own))
    kept = own[own["kind"].isin([SYNAPSES, PRODUCTS, NEURONS])]
    compared = [name for name in Operation._fields if name not in ("not_binary", "numbers")]
    pd.testing.assert_frame_equal(found[compared], kept[compared], check_dtype=False)
    pd.testing.assert_frame_equal(energies(found), energies(kept))


def test_rates_of_blocks_are_pooled_and_those_of_convolutions_are_not():
    own = counted(**SMALL, events=True)
    larger = counted(width=32, depth=1, pixels=32, steps=4, events=False)
    found = at_rates(larger, in_study(own)).set_index("layer")
    own = own.set_index("layer")
    for name in ("patch.stages.0.0", "patch.stages.2.0", "patch.position.0"):
        for pairs in ("macs", "acs"):
            share = own.loc[name, pairs] / own.loc[name, "dense"]
            assert found.loc[name, pairs] == pytest.approx(share * found.loc[name, "dense"])
    blocks = own.loc[["blocks.0.fc1.0", "blocks.1.fc1.0"]]
    share = blocks["acs"].sum() / blocks["dense"].sum()
    fc1 = found.loc["blocks.0.fc1.0"]
    assert fc1["acs"] == pytest.approx(share * fc1["dense"])
    assert fc1["value_bits"] == blocks["value_bits"].max()
    spikes = own.loc[["blocks.0.fc1.2", "blocks.1.fc1.2"]]
    neurons = found.loc["blocks.0.fc1.2"]
    rate = spikes["active"].sum() / spikes["inputs"].sum()
    assert neurons["active"] == pytest.approx(rate * neurons["inputs"])


def test_pairs_of_attention_grow_with_the_square_of_its_tokens():
    """q k^T and that times v: 2 N N D a step and block, of N tokens of width D."""
    own = counted(**SMALL, events=True)
    larger = counted(width=32, depth=1, pixels=32, steps=4, events=False)
    found = at_rates(larger, in_study(own)).set_index("layer")
    possible = 2 * (2 * 16**2 * 16) * 2  # blocks of 4x4 tokens of width 16, two steps
    there = own[own["kind"] == PRODUCTS]["acs"].sum() / possible
    here = 2 * 64**2 * 32 * 4
    assert found.loc["blocks.0.attention: attention", "acs"] == pytest.approx(there * here)


def test_energies_at_the_papers_size_are_those_of_the_operations_at_its_rates():
    own = counted(**SMALL, events=True)
    empty = counted(width=32, depth=1, pixels=32, steps=4, events=False)
    layers = pd.concat([in_study(own, name) for name in ("a", "b")])
    table = paper_energy_table(empty, layers, reference=REFERENCE)
    assert tuple(table) == PAPER_ENERGY_COLUMNS
    names = ["fp32", "fp16", "int8", "uniform-3", "pot-3", "uniform-4"]
    assert table[["dataset", "cell"]].values.tolist() == [[d, c] for d in "ab" for c in names]
    operations = at_rates(empty, in_study(own))
    rows = table[table["dataset"] == "a"].set_index("cell")
    spent = energies(operations).sum()
    assert rows.loc["fp32", "total_pj"] == pytest.approx(spent["total"])
    for name, own_name in (("", "fp32"), ("_fp16", "fp16"), ("_int8", "int8")):
        assert rows.loc[own_name, f"energy_total{name}"] == 1
        saved = rows.loc[own_name, "total_pj"] / rows["total_pj"]
        pd.testing.assert_series_equal(rows[f"energy_total{name}"], saved, check_names=False)
    assert rows.loc["uniform-3", "energy_bits_linear"] == pytest.approx(32 / 3)


def test_another_architecture_has_no_rates_for_it():
    empty = counted(**SMALL, events=False)
    rows = pd.DataFrame([Operation("one", SYNAPSES, "float", 32, 4, dense=8, acs=2)])
    table = paper_energy_table(empty, in_study(rows), reference=REFERENCE)
    assert table.empty and tuple(table) == PAPER_ENERGY_COLUMNS


def test_what_no_pair_of_a_study_met_is_not_met():
    empty = counted(**SMALL, events=False)
    found = at_rates(empty, in_study(empty))
    assert found["macs"].sum() == found["acs"].sum() == found["active"].sum() == 0
    assert not any(map(math.isnan, energies(found).to_numpy().ravel()))

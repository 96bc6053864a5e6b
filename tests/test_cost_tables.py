"""Tables of sizes and energies from two small networks whose numbers are known."""

import math

import numpy as np
import pandas as pd
import pytest

from hetspike.cost.energy import ENERGY_VIEWS, energies, operations_of
from hetspike.cost.kinds import NEURONS, PRODUCTS, SYNAPSES
from hetspike.cost.operations import Operation
from hetspike.quantization.levels import Arithmetic
from hetspike.results import cost_tables as costs

REFERENCE = "float-tuned"


def network(scheme: str, bits: int, *, pairs: float = 100) -> list[Operation]:
    """A first layer that sees counts and spikes, a head, attention and neurons."""
    quantized = bits < 32
    return [
        Operation(
            *("first", SYNAPSES, scheme, bits, 20, 4, 16 if quantized else 32, 8),
            **{"inputs": 64, "active": 16, "not_binary": 8, "value_bits": 2},
            **{"outputs": 10, "dense": 400, "macs": pairs / 2, "acs": pairs / 2},
        ),
        Operation(
            *("head", SYNAPSES, scheme, bits, 60, 2, 16 if quantized else 32, 32),
            **{"inputs": 32, "active": 8, "value_bits": 1},
            **{"outputs": 2, "dense": 200, "acs": pairs},
        ),
        Operation(
            *("block: attention", PRODUCTS, *(("", 0) if quantized else ("float", 32))),
            value_bits=2,
            acs=10,
        ),
        Operation("lif", NEURONS, inputs=50, active=0, value_bits=1, outputs=10),
    ]


CELLS = {
    "float": ("float", 32),
    REFERENCE: ("float", 32),
    "uniform-4": ("uniform", 4),
    "pot-4": ("pot", 4),
}
BYTES = {"float": 400, REFERENCE: 400, "uniform-4": 80, "pot-4": 100}


def study(*names: str, seeds: int = 2) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Layers and networks; seed 1 meets twice as many pairs and its files have a byte more."""
    layers, networks = [], []
    for seed in range(seeds):
        for cell in names:
            place = {"dataset": "d", "cell": cell, "seed": seed}
            operations = network(*CELLS[cell], pairs=100 * (seed + 1))
            layers.append(pd.DataFrame(operations).assign(**place))
            quantized = CELLS[cell][1] < 32
            measured = {
                "packed_bytes": BYTES[cell] + seed,
                "accuracy": 0.5,
                "agreement": 1 - 0.02 * seed if quantized else math.nan,
                "integer_accuracy": 0.51 - 0.03 * seed if quantized else math.nan,
            }
            networks.append({**place, **measured})
    return costs.layer_table(pd.concat(layers, ignore_index=True)), pd.DataFrame(networks)


@pytest.fixture
def everything() -> tuple[pd.DataFrame, pd.DataFrame]:
    return study(*CELLS)


@pytest.fixture
def spent(everything) -> pd.DataFrame:
    return costs.mean_and_range(costs.by_network(*everything, reference=REFERENCE))


def test_networks_by_hand(everything):
    table = costs.by_network(*everything, reference=REFERENCE)
    assert list(table.index) == [("d", cell, seed) for seed in (0, 1) for cell in CELLS]
    uniform = table.loc[("d", "uniform-4", 1)]
    assert uniform["effective_bits"] == uniform["mac_bits"] == 4
    assert uniform["compression"] == uniform["energy_bits_linear"] == 8
    assert uniform["model_bits"] == (80 * 4 + 6 * 16) / 86
    assert uniform["packed_bytes"] == 81
    assert uniform["packed_compression"] == 401 / 81  # the reference of the same seed
    assert uniform["field_pj"] == pytest.approx(4.6 * 400 + 0.9 * 210)
    assert uniform["energy_field"] == 1
    in_float = energies(pd.DataFrame(network("float", 32, pairs=200))).sum()
    quantized = energies(pd.DataFrame(network("uniform", 4, pairs=200))).sum()
    for view in ENERGY_VIEWS:
        assert uniform[f"energy_{view}"] == pytest.approx(in_float[view] / quantized[view])
    for view in ("ops", "memory", "total"):
        assert uniform[f"{view}_pj"] == pytest.approx(quantized[view])
        assert uniform[f"energy_{view}"] > 1


def test_savings_against_narrower_references_by_hand(everything):
    """What float-tuned counts, in halves or at 8 bits, over the network of the same seed."""
    table = costs.by_network(*everything, reference=REFERENCE)
    for seed in (0, 1):
        at_32, at_8 = (
            pd.DataFrame(network(*choice, pairs=100 * (seed + 1)))
            for choice in (("float", 32), ("uniform", 8))
        )
        spent = {
            "fp16": energies(at_32.assign(bits=[16, 16, 16, 0])).sum(),
            "int8": energies(at_8).sum(),
        }
        for reference, theirs in spent.items():
            for view in ("ops", "memory", "total"):
                for cell in CELLS:
                    saved = table.loc[("d", cell, seed), f"energy_{view}_{reference}"]
                    own = table.loc[("d", cell, seed), f"{view}_pj"]
                    assert saved == pytest.approx(theirs[view] / own)
    row = table.loc[("d", "uniform-4", 0)]
    assert 1 < row["energy_ops_int8"] < row["energy_ops_fp16"] < row["energy_ops"]
    assert table.loc[("d", REFERENCE, 0), "energy_ops_int8"] < 1  # fp32 takes more than 8 bits


def test_the_reference_saves_nothing(everything):
    table = costs.by_network(*everything, reference=REFERENCE)
    ratios = [*costs.ORDERED, "packed_compression", "compression"]
    assert (table.xs(REFERENCE, level="cell")[ratios] == 1).all(axis=None)


def test_tables_read_from_csv_are_the_same(everything, tmp_path):
    layers, networks = everything
    layers.to_csv(tmp_path / "layers.csv", index=False)
    again = pd.read_csv(tmp_path / "layers.csv")
    pd.testing.assert_frame_equal(
        costs.by_network(again, networks, reference=REFERENCE),
        costs.by_network(layers, networks, reference=REFERENCE),
    )


def test_a_network_that_was_measured_twice_is_refused(everything):
    layers, networks = everything
    with pytest.raises(pd.errors.MergeError):
        costs.by_network(layers, pd.concat([networks, networks]), reference=REFERENCE)


def test_mean_and_range_by_hand():
    places = [("d", "b", 0), ("d", "b", 1), ("d", "a", 0), ("e", "a", 0)]
    index = pd.MultiIndex.from_tuples(places, names=costs.NETWORK)
    table = costs.mean_and_range(pd.DataFrame({"x": [1.0, 4, 5, 6], "y": [0.0, 1, 2, 3]}, index))
    assert list(table) == ["x", "x_low", "x_high", "y", "y_low", "y_high"]
    assert list(table.index) == [("d", "b"), ("d", "a"), ("e", "a")]  # in their order
    assert table.loc[("d", "b")].tolist() == [2.5, 1, 4, 0.5, 0, 1]
    assert table.loc[("e", "a")].tolist() == [6, 6, 6, 3, 3, 3]


def test_sizes_with_their_range(spent):
    table = costs.size_table(spent)
    assert list(table)[:3] == ["dataset", "cell", "effective_bits"]
    assert list(table["cell"]) == list(CELLS)
    pot = table.set_index("cell").loc["pot-4"]
    assert pot[["packed_bytes", "packed_bytes_low", "packed_bytes_high"]].tolist() == [
        *(100.5, 100, 101)
    ]
    assert pot["packed_compression"] == pytest.approx((400 / 100 + 401 / 101) / 2)
    assert pot["packed_compression_low"] == pytest.approx(401 / 101)
    assert set(costs.SIZES) < set(table)


def test_energies_are_ratios_and_picojoules(spent):
    table = costs.energy_table(spent)
    assert [name for name in table if name.endswith("_pj")] == [
        *("field_pj", "ops_pj", "memory_pj", "total_pj")
    ]
    uniform = table.set_index("cell").loc["uniform-4"]
    assert uniform["field_pj"] == pytest.approx(4.6 * 400 + 0.9 * 160)  # mean of 110 and 210
    assert uniform["energy_memory_low"] < uniform["energy_memory"] < uniform["energy_memory_high"]
    by_width = ("ops", "memory", "total")
    assert list(costs.RATIOS) == [
        *(f"energy_{view}" for view in ENERGY_VIEWS),
        *(f"energy_{view}_{reference}" for reference in ("fp16", "int8") for view in by_width),
    ]
    assert {f"{ratio}{end}" for ratio in costs.RATIOS for end in costs.ENDS} < {*table}


STUDY_CELLS = pd.DataFrame(
    [
        ("float", "float", np.nan),
        ("uniform-3", "uniform", 3),
        ("uniform-4", "uniform", 4),
        ("pot-3", "pot", 3),
        ("pot-3-kd", "pot", 3),
        ("fisher-3.14", "fisher", 3.14),
        ("dnas-3.14", "dnas", 3.14),
        ("fisher-3.67", "fisher", 3.67),
    ],
    columns=["cell", "method", "setting"],
)


def test_rivals_have_about_equal_bits():
    assert list(costs.rivals(STUDY_CELLS)) == [
        ["uniform-3", "pot-3", "pot-3-kd", "fisher-3.14", "dnas-3.14"]
    ]  # at 4 bits, the nearest to 3.67, there is one scheme only


def cost_of(**ratios: tuple[float, ...]) -> pd.DataFrame:
    """Ratios of each cell under the five views, on one dataset."""
    index = pd.MultiIndex.from_tuples([("d", cell) for cell in ratios], names=["dataset", "cell"])
    return pd.DataFrame(list(ratios.values()), index, columns=costs.ORDERED)


def test_orders_by_hand():
    cells = STUDY_CELLS[STUDY_CELLS["cell"].isin(["uniform-3", "pot-3", "fisher-3.14"])]
    ratios = {
        "uniform-3": (10.671, 1.0, 30, 5, 7),
        "pot-3": (10.669, 1.1, 20, 5, 6),  # prints as uniform-3 does
        "fisher-3.14": (10.2, 1.1004, 100, 5, 6.5),
    }
    (row,) = costs.order_table(cost_of(**ratios), cells).to_dict("records")
    assert row == {
        "dataset": "d",
        "cells": "uniform-3, pot-3, fisher-3.14",
        "energy_bits_linear": "pot-3 = uniform-3 > fisher-3.14",
        "energy_field": "fisher-3.14 = pot-3 > uniform-3",
        "energy_ops": "fisher-3.14 > uniform-3 > pot-3",
        "energy_memory": "fisher-3.14 = pot-3 = uniform-3",
        "energy_total": "uniform-3 > fisher-3.14 > pot-3",
        "same": False,
    }
    alike = {cell: (ratio,) * 5 for ratio, cell in enumerate(ratios, start=9)}
    (row,) = costs.order_table(cost_of(**alike), cells).to_dict("records")
    assert row["same"]
    assert row["energy_total"] == "fisher-3.14 > pot-3 > uniform-3"  # 11, 10, 9: not as text


@pytest.mark.parametrize(
    ("scheme", "bits", "first", "head"),
    [
        ("float", 32, (50, 0, 100), (0, 0, 100)),
        ("uniform", 4, (50, 0, 100), (0, 0, 100)),
        ("pot", 4, (0, 50, 100), (0, 0, 100)),
        ("pot", 2, (0, 0, 100), (0, 0, 100)),
        ("binary", 1, (0, 0, 100), (0, 0, 100)),
        ("apot", 4, (0, 100, 150), (0, 0, 100)),  # two shifts and additions
    ],
)
def test_operations_by_hand(scheme, bits, first, head):
    rows = pd.DataFrame(network(scheme, bits)).iterrows()
    counted = [operations_of(row) for _, row in rows]
    assert counted == [first, head, (0, 0, 10), (0, 0, 0)]


def test_integer_runs_by_hand(everything):
    table = costs.integer_table(*everything)
    assert list(table) == ["dataset", "cell", *costs.INTEGER]
    assert list(table["cell"]) == ["uniform-4", "pot-4"]  # float has none
    pot = table.set_index("cell").loc["pot-4"]
    assert pot["agreement"] == pytest.approx(99)
    assert pot["agreement_least"] == pytest.approx(98)
    assert pot["difference"] == pytest.approx(-0.5)  # + 1 and - 2 points
    assert pot["difference_most"] == pytest.approx(-2)
    # 100 pairs in each of two layers, half of them weighed in the first, and 10 products; twice the
    # pairs with seed 1
    assert tuple(pot[list(Arithmetic._fields)]) == (0, 75, 310)


def test_layers_with_rates_and_energies(everything):
    table, _ = everything
    assert len(table) == 4 * len(CELLS) * 2
    shown = table[(table["cell"] == "pot-4") & (table["seed"] == 1)].set_index("layer")
    first = shown.iloc[0]
    assert first["stored_bits"] == first["weights"] * 4 + first["numbers"] * first["number_bits"]
    assert shown["rate"].iloc[:2].tolist() == [0.25, 0.25]
    assert shown["not_binary"].iloc[:2].tolist() == [0.125, 0]
    assert shown.loc["lif", "rate"] == 0  # no potential spikes
    assert math.isnan(shown.loc["block: attention", "rate"])
    own = energies(pd.DataFrame(network("pot", 4, pairs=200)))
    assert shown[list(ENERGY_VIEWS)].to_numpy() == pytest.approx(own.to_numpy())


def test_a_study_without_quantized_networks_has_its_tables():
    layers, networks = study("float", REFERENCE, seeds=1)
    spent = costs.mean_and_range(costs.by_network(layers, networks, reference=REFERENCE))
    cells = pd.DataFrame(
        {"cell": ["float", REFERENCE], "method": ["float"] * 2, "setting": [None] * 2}
    )
    assert costs.size_table(spent)["compression"].tolist() == [1, 1]
    assert costs.energy_table(spent)["energy_total"].tolist() == [1, 1]
    assert costs.order_table(spent, cells).empty
    assert list(costs.order_table(spent, cells))[:2] == ["dataset", "cells"]
    integer = costs.integer_table(layers, networks)
    assert integer.empty and list(integer) == ["dataset", "cell", *costs.INTEGER]
    assert len(layers) == 2 * 4

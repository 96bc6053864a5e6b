"""Searches against single schemes at equal bits, and ablations, on hand-made predictions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetspike.results.comparison import (
    ABLATION_COLUMNS,
    COMPARISON_COLUMNS,
    ablation_table,
    at_equal_bits,
    comparison_table,
    gains_of_cells,
)
from hetspike.results.present import load
from hetspike.results.present.forms import to_latex, to_markdown
from hetspike.results.statistics import crossed_bootstrap

# cell -> (method, setting, searched, distilled, against), right or wrong of four recordings for two
# seeds, bits of its one layer for two seeds
STUDY = {
    "float-tuned": (("float-tuned", None, False, False, ""), ["1111", "1111"], (32, 32)),
    "binary-1": (("binary", 1.0, False, False, ""), ["0000", "0000"], (1, 1)),
    "uniform-2": (("uniform", 2.0, False, False, ""), ["1100", "1100"], (2, 2)),
    "uniform-4": (("uniform", 4.0, False, False, ""), ["1111", "1110"], (4, 4)),
    "pot-4": (("pot", 4.0, False, False, ""), ["1000", "1000"], (4, 4)),
    "fisher-3": (("fisher", 3.0, True, False, ""), ["1111", "1110"], (3, 2.5)),
    "random-3-1": (("random", 3.0, True, False, ""), ["1100", "1100"], (3, 3)),
    "random-3-2": (("random", 3.0, True, False, ""), ["1000", "1000"], (3, 3)),
    "fisher-5": (("fisher", 5.0, True, False, ""), ["1111", "1111"], (5, 5)),
    "fisher-3-kd": (("fisher", 3.0, True, True, "fisher-3"), ["1111", "1111"], (3, 2.5)),
}


def cells_of(study: dict) -> pd.DataFrame:
    return pd.DataFrame(
        [(cell, *about) for cell, (about, _, _) in study.items()],
        columns=["cell", "method", "setting", "searched", "distilled", "against"],
    )


def predictions_of(study: dict, dataset: str = "sim-a", group: int = 1) -> pd.DataFrame:
    """So many recordings are a group."""
    return pd.DataFrame(
        [
            (dataset, cell, seed, recording, recording // group, 1, int(hit))
            for cell, (_, hits, _) in study.items()
            for seed, row in enumerate(hits)
            for recording, hit in enumerate(row)
        ],
        columns=["dataset", "cell", "seed", "recording", "group", "label", "prediction"],
    )


def layers_of(study: dict, dataset: str = "sim-a") -> pd.DataFrame:
    return pd.DataFrame(
        [
            (dataset, cell, seed, bits, 100)
            for cell, (_, _, widths) in study.items()
            for seed, bits in enumerate(widths)
        ],
        columns=["dataset", "cell", "seed", "bits", "weights"],
    )


CELLS, PREDICTIONS, LAYERS = cells_of(STUDY), predictions_of(STUDY), layers_of(STUDY)
EFFORTS = pd.DataFrame(
    [
        ("sim-a", "fisher-3", 0.1),
        ("sim-a", "fisher-3", 0.3),
        ("sim-a", "fisher-5", 0.1),
        ("sim-a", "random-3-1", 0.0),
        ("sim-a", "random-3-2", 0.0),
    ],
    columns=["dataset", "cell", "qat_runs"],
)


@pytest.fixture
def comparison() -> pd.DataFrame:
    return comparison_table(PREDICTIONS, LAYERS, CELLS, EFFORTS, reference="float-tuned")


def test_a_search_by_hand(comparison):
    assert list(comparison.columns) == list(COMPARISON_COLUMNS)
    searches = comparison[["method", "setting"]].values.tolist()
    assert searches == [["fisher", 3.0], ["random", 3.0], ["fisher", 5.0]]  # the study's order
    row = comparison.set_index(["method", "setting"]).loc[("fisher", 3.0)]
    assert row["effective_bits"] == 2.75
    assert row["accuracy"] == 87.5 and row["n"] == 2  # 100 and 75 %
    assert row["accuracy_sd"] == pytest.approx(25 / 2**0.5)
    assert row["drop"] == 12.5
    # uniform at 3 bits halfway from 2 to 4: (50 + 100) / 2; at 2.5 a quarter: 50 + 25 / 4
    assert row["single"] == "uniform"
    assert row["single_accuracy"] == pytest.approx((75 + 56.25) / 2)
    assert row["gain"] == pytest.approx(87.5 - (75 + 56.25) / 2)
    assert row["gain_low"] <= row["gain"] <= row["gain_high"]
    assert row["qat_runs"] == pytest.approx(0.2)
    assert np.isnan(row["draws_sd"])


def test_draws_of_a_search_are_averaged(comparison):
    row = comparison.set_index(["method", "setting"]).loc[("random", 3.0)]
    assert (row["accuracy"], row["n"]) == (37.5, 4)
    assert row["draws_sd"] == pytest.approx(25 / 2**0.5)  # between 50 and 25 %
    assert row["drop"] == 62.5
    assert row["gain"] == pytest.approx(37.5 - (75 + 62.5) / 2)


def test_beyond_all_single_schemes_there_is_no_gain(comparison):
    row = comparison.set_index(["method", "setting"]).loc[("fisher", 5.0)]
    assert row["single"] == "" and np.isnan(row["gain"])
    assert row["drop"] == 0


@pytest.mark.parametrize(("hits", "best"), [("1110", "pot"), ("0000", "uniform")])
def test_the_scheme_to_beat_is_the_one_of_highest_accuracy(hits, best):
    # at 3 bits uniform has 75 %, pot (75 + 100) / 2 or (0 + 100) / 2
    pot = {
        "pot-2": (("pot", 2.0, False, False, ""), [hits, hits], (2, 2)),
        "pot-4": (("pot", 4.0, False, False, ""), ["1111", "1111"], (4, 4)),
    }
    study = STUDY | pot
    table = comparison_table(
        *(predictions_of(study), layers_of(study), cells_of(study), EFFORTS),
        reference="float-tuned",
    )
    assert table.set_index(["method", "setting"]).loc[("random", 3.0), "single"] == best


def test_a_scheme_of_one_width_is_none_to_beat():
    # pot at 4 bits is the best of all, and right where the search is
    one = {cell: STUDY[cell] for cell in ("float-tuned", "uniform-2", "uniform-4")}
    one["pot-4"] = (("pot", 4.0, False, False, ""), ["1111", "1111"], (4, 4))
    one["fisher-4"] = (("fisher", 4.0, True, False, ""), ["1111", "1111"], (4, 4))
    (row,) = comparison_table(
        *(
            predictions_of(one),
            layers_of(one),
            cells_of(one),
            EFFORTS.replace("fisher-3", "fisher-4"),
        ),
        reference="float-tuned",
    ).to_dict("records")
    assert (row["single"], row["single_accuracy"]) == ("uniform", 87.5)


def test_intervals_are_those_of_the_differences_by_seed_and_group():
    """Of two datasets, in their order; what is drawn is what `crossed_bootstrap` draws."""
    rng = np.random.default_rng(0)
    names = ("float-tuned", "uniform-2", "uniform-4", "random-3-1", "random-3-2")
    about = {name: (STUDY[name][0], STUDY[name][2][:1] * 3) for name in names}
    about["random-3-2"] = (("random", 3.0, True, False, "random-3-1"), (3, 3, 3))
    about["uniform-4"] = (("uniform", 4.0, False, False, "uniform-2"), (4, 4, 4))
    predictions, layers, drops, gains, ablations = [], [], [], [], []
    for dataset in ("sim-b", "sim-a"):
        hits = {name: rng.integers(0, 2, (3, 31)) for name in names}
        study = {name: (row, hits[name], bits) for name, (row, bits) in about.items()}
        predictions.append(predictions_of(study, dataset, group=4))
        layers.append(layers_of(study, dataset))
        reference, narrow, wide, first, second = hits.values()
        draws = (first + second) / 2
        for rows, difference, accuracies in (
            (drops, reference - draws, ()),
            (gains, draws - (narrow + wide) / 2, ()),
            (ablations, wide - narrow, (wide, narrow)),
            (ablations, second - first, (second, first)),
        ):
            ends = crossed_bootstrap(difference[None], np.arange(31) // 4, seed=0)
            ends_and_means = (*(end[0] for end in ends), *(each.mean() for each in accuracies))
            rows.append([100 * each for each in (difference.mean(), *ends_and_means)])
    both, efforts = pd.concat(predictions), [EFFORTS, EFFORTS.assign(dataset="sim-b")]
    cells = cells_of(study)
    compared = comparison_table(
        *(both, pd.concat(layers), cells, pd.concat(efforts)), reference="float-tuned"
    )
    ablated = ablation_table(both, cells)
    assert compared["dataset"].tolist() == ["sim-b", "sim-a"]
    assert ablated["dataset"].tolist() == ["sim-b", "sim-b", "sim-a", "sim-a"]
    for table, name, others, expected in (
        (compared, "drop", [], drops),
        (compared, "gain", [], gains),
        (ablated, "gain", ["accuracy", "against_accuracy"], ablations),
    ):
        found = table[[name, f"{name}_low", f"{name}_high", *others]]
        assert found.to_numpy() == pytest.approx(np.array(expected))


def test_ablations_by_hand():
    table = ablation_table(PREDICTIONS, CELLS)
    assert list(table.columns) == list(ABLATION_COLUMNS)
    (row,) = table.to_dict("records")
    assert (row["cell"], row["against"]) == ("fisher-3-kd", "fisher-3")
    assert (row["accuracy"], row["against_accuracy"], row["gain"]) == (100.0, 87.5, 12.5)


def test_gains_of_cells_are_those_of_their_tables(comparison):
    """The search of two draws is no cell, and the row that repeats another one is no search."""
    gains = gains_of_cells(comparison, ablation_table(PREDICTIONS, CELLS), CELLS)
    found = gains.set_index("cell")
    assert sorted(found.index) == ["fisher-3", "fisher-3-kd", "fisher-5"]
    expected = comparison.set_index(["method", "setting"]).loc[("fisher", 3.0)]
    for end in ("", "_low", "_high"):
        assert found.loc["fisher-3", f"gain{end}"] == expected[f"gain{end}"]
    assert found.loc["fisher-3-kd", "part_gain"] == 12.5
    assert found[["gain", "part_gain"]].isna().to_numpy().sum() == 4


@given(st.floats(1, 8), st.lists(st.booleans(), min_size=3, max_size=3))
def test_interpolation_is_numpys_recording_by_recording(bits, hits):
    widths = np.array([1.0, 3.0, 8.0])
    right = np.array(hits, float).reshape(3, 1, 1)
    expected = np.interp(bits, widths, right[:, 0, 0])
    assert at_equal_bits(right, widths, np.array([bits])) == pytest.approx(expected)


def test_outside_its_widths_a_scheme_has_no_accuracy():
    rows = at_equal_bits(np.ones((2, 2, 1)), np.array([2.0, 4.0]), np.array([1.5, 4.5]))
    assert np.isnan(rows).all()


def test_studies_without_searches_have_tables_without_rows():
    plain = CELLS[~CELLS["searched"]]
    comparison = comparison_table(PREDICTIONS, LAYERS, plain, EFFORTS, reference="float-tuned")
    ablations = ablation_table(PREDICTIONS, plain)
    for table, shown in (
        (comparison, load("comparison").shown(comparison)),
        (ablations, load("ablations").shown(ablations)),
    ):
        assert len(table) == len(shown) == 0
        assert to_markdown(shown, "Nothing.") and to_latex(shown, "Nothing.", "tab:nothing")


def test_presented_rows(comparison):
    shown = load("comparison").shown(comparison).set_index(["Search", "Budget (bits)"])
    fisher, random = shown.loc[("fisher", "3")], shown.loc[("random", "3")]
    assert fisher["Best single scheme (%)"] == "uniform 65.6"
    assert fisher["Accuracy (%)"] == "87.5 ± 17.7 (2)"
    assert fisher["Cost (QAT runs)"] == "0.20"
    assert (fisher["Between draws (pp)"], random["Between draws (pp)"]) == ("", "± 17.7")
    assert shown.loc[("fisher", "5"), "Gain over it (pp)"] == "-"
    assert "simulated stand-ins" in load("comparison").caption(comparison)
    ablations = ablation_table(PREDICTIONS, CELLS)
    assert load("ablations").shown(ablations)["Gain (pp)"].str.startswith("12.5 [").all()
    assert "simulated stand-ins" in load("ablations").caption(ablations)

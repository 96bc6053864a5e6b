"""What people read: numbers with their spread, captions, csv, Markdown and LaTeX."""

import io
import math

import pandas as pd
import pytest

from hetspike.cost.energy import ENERGY_VIEWS
from hetspike.cost.memory import NAMED
from hetspike.results.cost_tables import PICOJOULES, RATIOS
from hetspike.results.notation import with_deviation, with_spread
from hetspike.results.present import load
from hetspike.results.present.accuracy import BEST_EPOCH
from hetspike.results.present.forms import to_csv, to_latex, to_markdown
from hetspike.results.sensitivity import MEASURES as MEASURES_OF_MEMORY
from hetspike.results.tables import MEASURES


def with_ends(**values: tuple) -> dict[str, float]:
    """Columns <name>, <name>_low, <name>_high of (value, low, high)."""
    return {
        f"{name}{end}": each
        for name, three in values.items()
        for end, each in zip(("", "_low", "_high"), three, strict=True)
    }


def measured(**values: tuple) -> dict[str, float]:
    """Every measure of a results table; those not named are 1."""
    return with_ends(**dict.fromkeys(MEASURES, (1.0, 1.0, 1.0)) | values)


@pytest.fixture
def results() -> pd.DataFrame:
    nothing = (math.nan,) * 3
    searched = measured(
        accuracy=(62.5, 25.0, 100.0),
        drop=(25.0, 0.0, 75.0),
        effective_bits=(3.75, 2.5, 5.0),
        compression=(9.6, 6.4, 12.8),
        energy_bits_linear=(9.6, 6.4, 12.8),
        energy_field=(1.5, 1.0, 2.0),
    )
    about = {"cell": "dnas-3", "accuracy_sd": 17.68, "n": 2, "selected_accuracy": 61.25, **searched}
    paper = {"paper_dataset": "DVS128 Gesture", "paper_accuracy": 97.57, "paper_energy": 8.72}
    tuned = measured(accuracy=(87.5, 75.0, 100.0), drop=nothing, effective_bits=(32.0, 32.0, 32.0))
    tuned_selected = {"selected_accuracy": 87.5, **tuned}
    return pd.DataFrame(
        [
            {
                "dataset": "sim-a",
                "cell": "float-tuned",
                "accuracy_sd": 0.0,
                "n": 2,
                **tuned_selected,
            },
            {"dataset": "sim-a", **about, **paper},
            {
                "dataset": "sim-b",
                "cell": "float-tuned",
                "accuracy_sd": 0.0,
                "n": 2,
                **tuned_selected,
            },
            {"dataset": "sim-b", **about},
        ]
    )


@pytest.fixture
def datasets() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                **{"dataset": "sim-a", "protocol": "DVS128 Gesture", "classes": 11},
                **{"classes_train": 11, "classes_validation": 11, "classes_test": 11},
                **{"train": 1000, "validation": 300, "test": 4, "sensor": "32x32", "steps": 6},
                **{"events_per_recording": 12345.6, "linear_accuracy": 25.0},
                **{"float_accuracy": 75.0, "float_accuracy_sd": 0.0, "n": 2},
                **{"groups": 4, "se_groups": 0.123, "half_width": 1.26, "power": math.nan},
            }
        ]
    )


@pytest.mark.parametrize(
    ("numbers", "spec", "unit", "expected"),
    [
        ((0.42, -0.55, 1.5), "z.1f", "", "0.4 [-0.6, 1.5]"),
        ((-0.01, -0.04, 0.04), "z.1f", " pp", "0.0 pp"),  # no negative zero
        ((8.718, 8.5, 10.19), "#.3g", "x", "8.72x [8.50, 10.2]"),
        ((16.0, 16.0, 16.0), "#.3g", "x", "16.0x"),
        ((math.nan, math.nan, math.nan), "z.1f", " pp", "-"),
    ],
)
def test_with_spread(numbers, spec, unit, expected):
    assert with_spread(*numbers, spec=spec, unit=unit) == expected


def test_with_deviation():
    assert with_deviation(78.24, 1.06, 3) == "78.2 ± 1.1 (3)"
    assert with_deviation(78.24, math.nan, 1) == "78.2 (1)"


def test_presented_results(results):
    rows = load("results").shown(results)
    assert rows["Dataset"].tolist() == ["sim-a", "", "sim-b", ""]
    assert rows.iloc[1].tolist() == [
        "",
        "dnas-3",
        "62.5 ± 17.7 (2)",
        "61.2",
        "25.0 [0.0, 75.0]",
        "3.75 [2.50, 5.00]",
        "9.60x [6.40, 12.8]",
        "9.60x [6.40, 12.8]",
        "1.50x [1.00, 2.00]",
        "DVS128 Gesture: 97.57 %, energy 8.72x",
    ]
    assert rows.iloc[3].tolist()[-1] == ""  # the paper has no row for it


def test_the_summary_has_a_row_per_network_and_a_column_per_dataset(results):
    assert load("summary").shown(results).values.tolist() == [
        ["float-tuned", "32.00", "1.00x", "87.5", "87.5"],
        ["dnas-3", "3.75", "9.60x", *["62.5, drop 25.0 [0.0, 75.0]"] * 2],
    ]


def test_presented_sizes():
    row = with_ends(
        effective_bits=(3.14, 3.13, 3.15),
        compression=(10.19, 10.16, 10.22),
        model_bits=(3.9, 3.9, 3.9),
        mac_bits=(4.5, 4.4, 4.6),
        packed_bytes=(74432.0, 74400.0, 74500.0),
        packed_compression=(8.732, 8.7, 8.75),
    )
    shown = load("sizes").shown(pd.DataFrame([{"dataset": "sim-a", "cell": "dnas-3", **row}]))
    assert shown.iloc[0].tolist() == [
        *("sim-a", "dnas-3", "3.14 [3.13, 3.15]", "10.2x", "3.90", "4.50 [4.40, 4.60]"),
        *("74,432 [74,400, 74,500]", "8.73x [8.70, 8.75]"),
    ]


def test_presented_energies_show_what_the_reference_takes():
    ratios = with_ends(**dict.fromkeys(RATIOS, (2.0, 1.5, 2.5)))
    spent = dict.fromkeys(PICOJOULES.values(), 12.34e6)
    rows = [{"dataset": "d", "cell": c, **ratios, **spent} for c in ("float-tuned", "dnas-3")]
    reference, network = load("energy").shown(pd.DataFrame(rows)).values.tolist()
    spread = "2.00x [1.50, 2.50]"
    assert reference[2:] == [spread, *[f"{spread} (12.3 µJ)"] * 4]
    assert network[2:] == [spread] * 5


def test_presented_ratios_to_narrower_references():
    worth = {"fp16": (1.5, 1.25, 1.75), "int8": (1.25, 1.0, 1.5)}
    row = with_ends(**{name: worth[of] for name, (_, of) in RATIOS.items() if of in worth})
    shown = load("energy-references").shown(pd.DataFrame([{"dataset": "d", "cell": "c", **row}]))
    assert list(shown)[2:] == [
        f"{view}, against {reference}"
        for reference in worth
        for view in (
            *("Operations", "Memory (32-bit potentials)"),
            "Operations and memory (32-bit potentials)",
        )
    ]
    assert shown.values.tolist() == [
        ["d", "c", *["1.50x [1.25, 1.75]"] * 3, *["1.25x [1.00, 1.50]"] * 3]
    ]


def assumed(cell: str, paper: float, **changed: object) -> dict[str, object]:
    """A row of `results.sensitivity.dataflow_table`."""
    ratios = with_ends(**dict.fromkeys(MEASURES_OF_MEMORY, (2.0, 1.5, 2.5)))
    about = NAMED._replace(**changed)._asdict()
    return {"dataset": "d", "cell": cell, **about, **ratios, "paper_energy": paper}


def test_presented_dataflows_are_those_of_the_papers_network():
    rows = pd.DataFrame(
        [
            assumed("float-tuned", math.nan),
            assumed("pot-3", 8.72),
            assumed("pot-3", 8.72, potentials="kept", width=8, weights="DRAM, loaded once"),
            assumed("pot-3", 8.72, smaller="to_1_KB"),
            assumed("pot-3", 8.72, smaller="to_0"),
            assumed("pot-3", 8.72, leaking=True),
            assumed("uniform-3", math.nan),
        ]
    )
    shown = load("dataflows").shown(rows)
    assert shown.iloc[:, 1:6].values.tolist() == [
        ["pot-3", "per pair", 32, "SRAM", ""],
        ["pot-3", "kept", 8, "DRAM, loaded once", ""],
        ["pot-3", "per pair", 32, "SRAM", "less below 8 KB, as CACTI"],
        ["pot-3", "per pair", 32, "SRAM", "less below 8 KB, down to nothing"],
        ["pot-3", "per pair", 32, "SRAM", "leaks for 1 ms"],
    ]
    assert set(shown.iloc[0, 6:]) == {"2.00x [1.50, 2.50]"} and len(shown.columns) == 12
    without = load("dataflows").shown(rows.assign(paper_energy=math.nan))
    assert list(without["Network"]) == ["pot-3"] * 5 + ["uniform-3"]  # whatever is quantized


def test_presented_energies_at_the_papers_size():
    ratios = {
        name: {"fp32": 2.0, "fp16": 1.5, "int8": 1.25}[of] for name, (_, of) in RATIOS.items()
    }
    row = {"dataset": "d", "cell": "pot-3", **dict.fromkeys(PICOJOULES.values(), 1.23456e9)}
    table = pd.DataFrame([row | ratios])
    shown = load("paper-energy").shown(table)
    both = "1,234.6 µJ: 2.00x, 1.50x, 1.25x"
    assert shown.values.tolist() == [["d", "pot-3", "1,234.6 µJ: 2.00x", both, both, both]]
    assert "Computed, never trained" in load("paper-energy").caption(table)


def test_presented_order_says_whether_the_views_agree():
    orders = {f"energy_{view}": "pot-3 > uniform-3" for view in ENERGY_VIEWS}
    table = pd.DataFrame([{"dataset": "d", "cells": "pot-3, uniform-3", **orders, "same": True}])
    assert load("order").shown(table).values.tolist() == [["d", *["pot-3 > uniform-3"] * 5, "yes"]]
    assert load("order").shown(table.assign(same=False))["All views agree"].tolist() == ["no"]


def test_presented_integers():
    row = {
        **{"dataset": "d", "cell": "pot-3", "agreement": 99.8765, "agreement_least": 99.6},
        **{"difference": -0.04, "difference_most": 0.2},
        **{"multiplications": 0.0, "shifts": 123456.0, "additions": 2.5e6},
    }
    assert load("integer").shown(pd.DataFrame([row])).iloc[0].tolist() == [
        *("d", "pot-3", "99.88", "99.60", "-0.04", "+0.20", "0.000", "0.123", "2.500")
    ]


def test_presented_significance_puts_the_seeds_of_a_network_side_by_side():
    nothing = (math.nan,) * 4
    columns = [
        *("recordings", "groups", "right", "right_low", "right_high"),
        *("lost", "gained", "p", "p_seeds"),
    ]
    rows = [
        (288, 288, 281, 95.06, 99.02, *nothing),
        (288, 288, 280, 94.6, 98.8, *nothing),
        (288, 288, 270, 90.3, 96.3, 14, 3, 0.01273, 0.0002),
        (288, 288, 285, 97.0, 99.8, 0, 5, 0.0625, 0.0002),
        (288, 288, 279, 94.2, 98.6, 2, 12, 0.0001, 0.0002),
    ]
    cells = ["float-tuned"] * 2 + ["pot-3"] * 3
    table = pd.DataFrame(rows, columns=columns).assign(dataset="dvs-gesture", cell=cells)
    assert load("significance").shown(table).values.tolist() == [
        [
            *("dvs-gesture", "float-tuned", "281, 280 of 288", "288", "[95.1, 99.0], [94.6, 98.8]"),
            *("-", "-", "-", "-"),
        ],
        [
            *(
                "",
                "pot-3",
                "270, 285, 279 of 288",
                "288",
                "[90.3, 96.3], [97.0, 99.8], [94.2, 98.6]",
            ),
            *("14 / 3, 0 / 5, 2 / 12", "0.013, 0.062, <0.001"),
            *("worse 1, better 1 of 3", "<0.001"),
        ],
    ]
    alike = table.assign(groups=24, right_low=math.nan, right_high=math.nan)
    shown = load("significance").shown(alike)
    assert shown["Groups"].tolist() == ["24", "24"]
    assert shown["Exact interval (%)"].tolist() == ["-", "-"]
    undecided = load("significance").shown(table.iloc[3:4])
    assert undecided["p < 0.05"].tolist() == ["neither of 1"]


def test_energy_claims_are_told_by_their_view():
    row = {"dataset": "d", "cell": "c", "reference": "int8", "expected": "8x ± 0.1", "ops": "9.00x"}
    shown = load("energy-claims").shown(pd.DataFrame([row]))
    assert list(shown) == ["Dataset", "Network", "Against", "The paper's factor", "Operations"]


def test_best_epochs_show_what_they_would_claim():
    row = {"last": 70.04, "last_ten": 69.5, "selected": 71.0, "best": 73.0, "n": 3}
    optimism = {"optimism": 2.96, "optimism_least": 0.0, "optimism_most": 4.0}
    table = pd.DataFrame([{"dataset": "sim-a", **row, **optimism}])
    shown = BEST_EPOCH.shown(table).iloc[0].tolist()
    assert shown == ["sim-a", "70.0", "69.5", "71.0", "73.0", "+3.0 [+0.0, +4.0]"]
    assert "mean of 3 seeds" in BEST_EPOCH.caption(table)


def test_where_memory_is_judged_its_assumption_is_told(results):
    """Potentials of 32 bits, read and written for every pair: another memory is another verdict."""
    told = "a potential of 32 bits read and written for every pair"
    for name in ("claims", "energy", "energy-references", "energy-claims"):
        assert told in load(name).caption(results)


def test_captions_say_what_is_simulated(results, datasets):
    for name, table in (("results", results), ("summary", results), ("datasets", datasets)):
        caption = load(name).caption
        assert "stand-in" in caption(table)
        assert "stand-in" not in caption(table.assign(dataset="nmnist"))
    sizes = pd.DataFrame({"dataset": ["sim-a"]})
    for name in (
        *("significance", "sizes", "energy", "energy-references", "dataflows"),
        *("paper-energy", "order", "integer"),
    ):
        assert "stand-in" in load(name).caption(sizes)


def test_csv_round_trip(results):
    text = to_csv(results)
    assert "\r" not in text and text.count("\n") == len(results) + 1
    restored = pd.read_csv(io.StringIO(text))
    pd.testing.assert_frame_equal(restored, results, rtol=1e-5, check_dtype=False)
    assert to_csv(restored) == text


def test_csv_of_a_known_row():
    table = pd.DataFrame({"cell": ["dnas-3.67"], "setting": [3.67], "n": [3], "drop": [100 / 3]})
    assert to_csv(table) == "cell,setting,n,drop\ndnas-3.67,3.67,3,33.3333\n"


def test_markdown(datasets):
    table = load("datasets").shown(datasets)
    lines = to_markdown(table, "What it shows.").splitlines()
    assert lines[:2] == ["What it shows.", ""]
    assert all(line.count("|") == len(table.columns) + 1 for line in lines[2:])
    cells = [cell.strip() for cell in lines[4].strip("|").split("|")]
    assert cells == [
        "sim-a",
        "DVS128 Gesture",
        "11",
        "1000 / 300 / 4",
        "32x32",
        "6",
        "12,346",
        "25.0",
        "75.0 ± 0.0 (2)",
        "4",
        "0.12",
        "1.26",
        "-",
    ]


def test_latex_is_escaped():
    table = pd.DataFrame({"Share (%)": ["a_b & c"]})
    text = to_latex(table, "100 % of sim_a", "tab:results")
    assert "\\caption{100 \\% of sim\\_a}" in text and "\\label{tab:results}" in text
    assert "Share (\\%)" in text and "a\\_b \\& c" in text
    for begin in ("table*", "tabular"):
        assert text.count(f"\\begin{{{begin}}}") == text.count(f"\\end{{{begin}}}") == 1
    assert "\\toprule" in text and "\\bottomrule" in text


def test_latex_needs_no_font_beyond_its_own():
    text = to_latex(
        pd.DataFrame({"Accuracy (%)": ["78.2 ± 1.1"], "Energy": ["3 µJ"]}), "±", "tab:x"
    )
    assert text.isascii()
    assert "78.2 \\ensuremath{\\pm} 1.1" in text and "3 \\ensuremath{\\mu}J" in text
    assert "\\caption{\\ensuremath{\\pm}}" in text

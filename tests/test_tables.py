import io
import math

import pandas as pd
import pytest

from hetspike.tables import (
    MEASURES,
    RESULT_COLUMNS,
    dataset_table,
    datasets_caption,
    present_datasets,
    present_results,
    results_caption,
    results_table,
    to_csv,
    to_latex,
    to_markdown,
    with_deviation,
    with_spread,
)

CELLS = pd.DataFrame(
    [("float", "float", None), ("float-tuned", "float-tuned", None), ("dnas-3", "dnas", 3.0)],
    columns=["cell", "method", "setting"],
)
PAPER = pd.DataFrame(
    [("sim-a", "dnas-3", "DVS128 Gesture", 97.57, 8.72), ("other", "dnas-3", "Other", 1.0, 1.0)],
    columns=["dataset", "cell", "paper_dataset", "paper_accuracy", "paper_energy"],
)
# right (1) or wrong (0) of four recordings under seeds 0 and 1
HITS = {
    "float": ["1110", "1110"],
    "float-tuned": ["1111", "1110"],
    "dnas-3": ["1101", "1100"],
    "linear": ["1000"],
}
# bits of two layers of 100 and 300 weights under seeds 0 and 1, and acs of the network
STORED = {
    "float": [(32, 32, 1000), (32, 32, 1000)],
    "float-tuned": [(32, 32, 1000), (32, 32, 1200)],
    "dnas-3": [(4, 2, 500), (8, 4, 1200)],
}


@pytest.fixture
def predictions() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (dataset, cell, seed, recording, recording, 1, int(hit))
            for dataset in ("sim-b", "sim-a")
            for cell, rows in HITS.items()
            for seed, row in enumerate(rows)
            for recording, hit in enumerate(row)
        ],
        columns=["dataset", "cell", "seed", "recording", "group", "label", "prediction"],
    )


@pytest.fixture
def layers() -> pd.DataFrame:
    return pd.DataFrame(
        [
            row
            for dataset in ("sim-a", "sim-b")
            for cell, networks in STORED.items()
            for seed, (first, second, acs) in enumerate(networks)
            for row in [
                (dataset, cell, seed, "first", "uniform", first, 100, 0.0, float(acs)),
                (dataset, cell, seed, "second", "pot", second, 300, 0.0, 0.0),
                (dataset, cell, seed, "attention", "", 0, 0, 0.0, 0.0),
            ]
        ],
        columns=["dataset", "cell", "seed", "layer", "scheme", "bits", "weights", "macs", "acs"],
    )


@pytest.fixture
def results(predictions, layers) -> pd.DataFrame:
    return results_table(predictions, layers, CELLS, PAPER)


@pytest.fixture
def datasets() -> pd.DataFrame:
    md5 = [f"{digit}" * 32 for digit in "012"]
    return pd.DataFrame(
        [
            ("sim-a", "DVS128 Gesture", 11, 1000, 300, 4, "32x32", 6, 12345.6, *md5),
            ("sim-b", "CIFAR10-DVS", 10, 1000, 300, 4, "32x32", 6, 789.0, *md5),
        ],
        columns=[
            "dataset",
            "protocol",
            "classes",
            "train",
            "validation",
            "test",
            "sensor",
            "steps",
            "events_per_recording",
            "md5_train",
            "md5_validation",
            "md5_test",
        ],
    )


def test_rows_follow_the_predictions_and_the_study(results):
    assert list(results.columns) == list(RESULT_COLUMNS)
    expected = [(dataset, cell) for dataset in ("sim-b", "sim-a") for cell in CELLS["cell"]]
    assert list(zip(results["dataset"], results["cell"], strict=True)) == expected


def test_results_by_hand(results):
    row = results.query("dataset == 'sim-a'").set_index("cell").loc["dnas-3"]
    assert (row["method"], row["setting"], row["n"]) == ("dnas", 3.0, 2)
    assert row["accuracy"] == 62.5  # 3/4 and 2/4
    assert row["accuracy_sd"] == pytest.approx(12.5 * math.sqrt(2))
    assert row["drop"] == 25.0  # recording 2 lost under both seeds, nothing else
    assert row["drop_low"] == 0.0 and row["drop_high"] == 75.0
    # (100 * 4 + 300 * 2) / 400 and (100 * 8 + 300 * 4) / 400
    bits = ["effective_bits", "effective_bits_low", "effective_bits_high"]
    assert row[bits].tolist() == [3.75, 2.5, 5.0]
    factors = ["compression", "compression_low", "compression_high"]
    assert row[factors].tolist() == pytest.approx([9.6, 6.4, 12.8])
    linear = [f"energy_bits_linear{end}" for end in ("", "_low", "_high")]
    assert row[linear].tolist() == pytest.approx([9.6, 6.4, 12.8])  # nothing is left in float
    # the same seed's reference: 1000 / 500 and 1200 / 1200
    field = [f"energy_field{end}" for end in ("", "_low", "_high")]
    assert row[field].tolist() == pytest.approx([1.5, 1.0, 2.0])


def test_float_rows(results):
    rows = results.query("dataset == 'sim-b'").set_index("cell")
    assert rows.loc["float-tuned", ["drop", "drop_low", "drop_high"]].isna().all()
    assert rows.loc["float", "drop"] == 12.5  # one of eight
    assert (rows.loc["float-tuned", ["compression", "energy_bits_linear"]] == 1).all()
    assert rows.loc["float", "energy_field"] == pytest.approx(1.1)  # 1000/1000 and 1200/1000
    assert rows["setting"].isna().tolist() == [True, True, False]


def test_the_papers_numbers_stand_beside_their_cell_alone(results):
    beside = results[results["paper_dataset"].notna()]
    assert beside[["dataset", "cell", "paper_dataset"]].values.tolist() == [
        ["sim-a", "dnas-3", "DVS128 Gesture"]
    ]
    assert beside[["paper_accuracy", "paper_energy"]].values.tolist() == [[97.57, 8.72]]


def test_results_have_every_measure_with_its_interval(results):
    for measure in MEASURES:
        value, low, high = (results[measure + end] for end in ("", "_low", "_high"))
        defined = value.notna()
        assert defined.any()
        assert (low[defined] <= value[defined]).all() and (value[defined] <= high[defined]).all()


def test_dataset_table_by_hand(datasets, predictions):
    table = dataset_table(datasets, predictions).set_index("dataset")
    assert table["linear_accuracy"].tolist() == [25.0, 25.0]
    assert table["float_accuracy"].tolist() == [75.0, 75.0]
    assert table["float_accuracy_sd"].tolist() == [0.0, 0.0]
    assert table["n"].tolist() == [2, 2]
    assert table.loc["sim-b", "protocol"] == "CIFAR10-DVS"


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
    rows = present_results(results)
    assert rows["Dataset"].tolist() == ["sim-b", "", "", "sim-a", "", ""]
    assert rows.iloc[-1].tolist() == [
        "",
        "dnas-3",
        "62.5 ± 17.7 (2)",
        "25.0 [0.0, 75.0]",
        "3.75 [2.50, 5.00]",
        "9.60x [6.40, 12.8]",
        "9.60x [6.40, 12.8]",
        "1.50x [1.00, 2.00]",
        "DVS128 Gesture: 97.57 %, energy 8.72x",
    ]


def test_captions_say_what_is_simulated(results, datasets):
    assert "simulated stand-ins" in results_caption(results)
    assert "stand-in" in datasets_caption(datasets)
    recorded = "nmnist"
    assert "stand-in" not in results_caption(results.assign(dataset=recorded))
    assert "stand-in" not in datasets_caption(datasets.assign(dataset=recorded))


def test_csv_round_trip(results):
    text = to_csv(results)
    assert "\r" not in text and text.count("\n") == len(results) + 1
    restored = pd.read_csv(io.StringIO(text))
    pd.testing.assert_frame_equal(restored, results, rtol=1e-5, check_dtype=False)
    assert to_csv(restored) == text


def test_csv_of_a_known_row():
    table = pd.DataFrame({"cell": ["dnas-3.67"], "setting": [3.67], "n": [3], "drop": [100 / 3]})
    assert to_csv(table) == "cell,setting,n,drop\ndnas-3.67,3.67,3,33.3333\n"


def test_markdown(datasets, predictions):
    table = present_datasets(dataset_table(datasets, predictions))
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
    ]


def test_latex_is_escaped():
    table = pd.DataFrame({"Share (%)": ["a_b & c"]})
    text = to_latex(table, "100 % of sim_a", "tab:results")
    assert "\\caption{100 \\% of sim\\_a}" in text and "\\label{tab:results}" in text
    assert "Share (\\%)" in text and "a\\_b \\& c" in text
    for begin in ("table*", "tabular"):
        assert text.count(f"\\begin{{{begin}}}") == text.count(f"\\end{{{begin}}}") == 1
    assert "\\toprule" in text and "\\bottomrule" in text

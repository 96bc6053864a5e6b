"""The tidy tables of a study, from hand-made predictions and costs."""

import math

import pandas as pd
import pytest

from hetspike.results.tables import (
    MEASURES,
    RESULT_COLUMNS,
    dataset_table,
    describe_datasets,
    epoch_table,
    results_table,
)

CELLS = pd.DataFrame(
    [("float", "float", None), ("float-tuned", "float-tuned", None), ("dnas-3", "dnas", 3.0)],
    columns=["cell", "method", "setting"],
)
PAPER = pd.DataFrame(
    [("sim-a", "dnas-3", "DVS128 Gesture", 97.57, 8.72), ("other", "dnas-3", "Other", 1.0, 1.0)],
    columns=["dataset", "cell", "paper_dataset", "paper_accuracy", "paper_energy"],
)
GAINS = pd.DataFrame(
    [("sim-a", "dnas-3", 1.5, 0.5, 2.5, -0.5, -1.0, 0.25)],
    columns=["dataset", "cell"]
    + [f"{gain}{end}" for gain in ("gain", "part_gain") for end in ("", "_low", "_high")],
)
# right (1) or wrong (0) of four recordings under seeds 0 and 1
HITS = {
    "float": ["1110", "1110"],
    "float-tuned": ["1111", "1110"],
    "dnas-3": ["1101", "1100"],
}
# sizes and energies of dnas-3, mean and range over the seeds; 1 and 32 bits in float
COSTS = {
    "effective_bits": (3.75, 2.5, 5.0),
    "compression": (9.6, 6.4, 12.8),
    "energy_bits_linear": (9.6, 6.4, 12.8),
    "energy_field": (1.5, 1.0, 2.0),
    "energy_ops": (20.0, 19.0, 21.0),
    "energy_memory": (2.5, 2.0, 3.0),
    "energy_total": (3.5, 3.0, 4.0),
    "energy_ops_fp16": (9.0, 8.0, 10.0),
    "energy_memory_fp16": (1.5, 1.4, 1.6),
    "energy_total_fp16": (1.9, 1.8, 2.0),
    "energy_ops_int8": (1.75, 1.5, 2.0),
    "energy_memory_int8": (1.1, 1.0, 1.2),
    "energy_total_int8": (1.2, 1.1, 1.3),
}


@pytest.fixture
def predictions() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (dataset, cell, seed, recording, recording, 1, int(hit), recording // 2)
            for dataset in ("sim-b", "sim-a")
            for cell, rows in HITS.items()
            for seed, row in enumerate(rows)
            for recording, hit in enumerate(row)
        ],
        columns=[
            "dataset",
            "cell",
            "seed",
            "recording",
            "group",
            "label",
            "prediction",
            "selected",
        ],
    )


@pytest.fixture
def costs() -> pd.DataFrame:
    """What `results.cost_tables.mean_and_range` makes, by dataset and cell."""
    in_float = {measure: (32.0 if measure == "effective_bits" else 1.0,) * 3 for measure in COSTS}
    rows = {
        (dataset, cell): {
            f"{measure}{end}": value
            for measure, values in (COSTS if cell == "dnas-3" else in_float).items()
            for end, value in zip(("", "_low", "_high"), values, strict=True)
        }
        for dataset in ("sim-a", "sim-b")
        for cell in CELLS["cell"]
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["dataset", "cell"])


@pytest.fixture
def results(predictions, costs) -> pd.DataFrame:
    return results_table(predictions, costs, CELLS, GAINS, PAPER)


@pytest.fixture
def datasets() -> pd.DataFrame:
    md5 = [f"{digit}" * 32 for digit in "012"]
    return pd.DataFrame(
        [
            ("sim-a", "DVS128 Gesture", 11, 11, 11, 2, 1000, 300, 4, "32x32", 6, 12345.6, *md5),
            ("sim-b", "CIFAR10-DVS", 10, 10, 10, 2, 1000, 300, 4, "32x32", 6, 789.0, *md5),
        ],
        columns=[
            "dataset",
            "protocol",
            "classes",
            "classes_train",
            "classes_validation",
            "classes_test",
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


def test_chance_is_the_share_of_the_commonest_class(predictions, costs):
    labels = predictions["recording"].map({0: 3, 1: 1, 2: 3, 3: 3})
    results = results_table(predictions.assign(label=labels), costs, CELLS, GAINS, PAPER)
    assert set(results["chance"]) == {75.0}


def test_results_by_hand(results):
    row = results.query("dataset == 'sim-a'").set_index("cell").loc["dnas-3"]
    assert (row["method"], row["setting"], row["n"]) == ("dnas", 3.0, 2)
    assert row["accuracy"] == 62.5  # 3/4 and 2/4
    assert row["selected_accuracy"] == 50.0
    assert row["chance"] == 100.0  # all four have one label
    assert row["accuracy_sd"] == pytest.approx(12.5 * math.sqrt(2))
    assert row["drop"] == 25.0  # recording 2 lost under both seeds, nothing else
    assert row["drop_low"] == 0.0 and row["drop_high"] == 75.0
    for measure, values in COSTS.items():
        assert row[[f"{measure}{end}" for end in ("", "_low", "_high")]].tolist() == list(values)


def test_float_rows(results):
    rows = results.query("dataset == 'sim-b'").set_index("cell")
    assert rows.loc["float-tuned", ["drop", "drop_low", "drop_high"]].isna().all()
    assert rows.loc["float", "drop"] == 12.5  # one of eight
    assert (rows.loc[["float", "float-tuned"], ["compression", "energy_field"]] == 1).all(axis=None)
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
    said = [(dataset, 1, answer) for dataset in ("sim-b", "sim-a") for answer in (1, 0, 0, 0)]
    linear = pd.DataFrame(said, columns=["dataset", "label", "prediction"])
    told = [
        ("sim-a", 4, 0.2, 2.0, 20.0),
        ("sim-a", 4, 0.1, 1.0, 50.0),
        ("sim-a", 4, math.nan, math.nan, math.nan),
    ]
    power = pd.DataFrame(told, columns=["dataset", "groups", "se_groups", "half_width", "power"])
    table = dataset_table(datasets, predictions, linear, power).set_index("dataset")
    assert table["linear_accuracy"].tolist() == [25.0, 25.0]
    assert table["float_accuracy"].tolist() == [75.0, 75.0]
    assert table["float_accuracy_sd"].tolist() == [0.0, 0.0]
    assert table["n"].tolist() == [2, 2]
    assert table.loc["sim-b", "protocol"] == "CIFAR10-DVS"
    assert table.loc["sim-a", ["groups", "se_groups", "half_width", "power"]].tolist() == [
        *(4, 0.2, 2.0, 20.0)
    ]
    assert table.loc["sim-b", ["groups", "power"]].isna().all()


def test_classes_that_are_there_are_counted_split_by_split():
    rows = [
        ("nmnist", split, recordings, 100, 10, there, "34x34", split[0] * 32)
        for split, recordings, there in (("train", 50, 10), ("validation", 9, 9), ("test", 3, 2))
    ]
    columns = [*("dataset", "split", "recordings", "events"), *("classes", "classes_present")]
    events = pd.DataFrame(rows, columns=[*columns, "sensor", "md5"])
    (row,) = describe_datasets(events, {"nmnist": 4}, PAPER).to_dict("records")
    assert row == {
        **{"dataset": "nmnist", "protocol": "nmnist", "classes": 10, "sensor": "34x34"},
        **{"classes_train": 10, "classes_validation": 9, "classes_test": 2, "steps": 4},
        **{"train": 50, "validation": 9, "test": 3, "events_per_recording": 2.0},
        **{f"md5_{split}": split[0] * 32 for split in ("train", "validation", "test")},
    }


def test_ways_of_choosing_an_epoch_by_hand():
    epochs = pd.DataFrame(
        [
            ("sim-a", seed, epoch, accuracy, loss, test)
            for seed, tests in ((0, [0.5, 0.7, 0.6, 0.4]), (1, [0.5, 0.5, 0.9, 0.8]))
            for epoch, (accuracy, loss, test) in enumerate(
                # the best accuracy is met twice, with the lower loss in the third epoch
                zip([0.6, 0.8, 0.8, 0.7], [0.3, 0.2, 0.1, 0.0], tests, strict=True),
                start=1,
            )
        ],
        columns=[
            *("dataset", "seed", "epoch"),
            *("validation_accuracy", "validation_loss", "test_accuracy"),
        ],
    )
    (row,) = epoch_table(epochs.sample(frac=1, random_state=0)).to_dict("records")
    assert row == {
        "dataset": "sim-a",
        "last": pytest.approx(60.0),  # 40 and 80
        "last_ten": pytest.approx((55.0 + 67.5) / 2),
        "selected": pytest.approx(75.0),  # 60 and 90
        "best": pytest.approx(80.0),  # 70 and 90
        "optimism": pytest.approx(20.0),
        "optimism_least": pytest.approx(10.0),
        "optimism_most": pytest.approx(30.0),
        "n": 2,
    }

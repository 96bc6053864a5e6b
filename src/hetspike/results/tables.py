"""Tidy tables of a study's accuracies and datasets, a number per column.

Accuracies are percentages, drops percentage points, positive where a cell is worse than the
reference. `present` shows the same tables to people.
"""

from typing import NamedTuple

import pandas as pd

from hetspike.names import FLOAT, FLOAT_TUNED
from hetspike.results.comparison import GAINS
from hetspike.results.cost_tables import RATIOS
from hetspike.results.statistics import accuracies
from hetspike.training.history import selected


class Notation(NamedTuple):
    """How a measured value is written: a format specification, and what follows the number."""

    spec: str
    unit: str


FACTOR = Notation("#.3g", "x")  # three digits, as in the paper
# what is measured of a cell, each with the columns <measure>_low and <measure>_high
MEASURES = {
    "accuracy": Notation("z.1f", " %"),
    "drop": Notation("z.1f", " pp"),
    **dict.fromkeys(GAINS, Notation("z.1f", " pp")),
    "effective_bits": Notation(".2f", " bits"),
    "compression": FACTOR,
    **dict.fromkeys(RATIOS, FACTOR),
}
RESULT_COLUMNS = (
    *("dataset", "cell", "method", "setting"),
    *("accuracy", "accuracy_sd", "n", "selected_accuracy", "chance"),
    *[f"{measure}{end}" for measure in MEASURES for end in ("", "_low", "_high")][1:],
    *("paper_dataset", "paper_accuracy", "paper_energy"),
)


def results_table(
    predictions: pd.DataFrame,
    costs: pd.DataFrame,
    cells: pd.DataFrame,
    gains: pd.DataFrame,
    paper: pd.DataFrame,
    *,
    reference: str = FLOAT_TUNED,
    seed: int = 0,
) -> pd.DataFrame:
    """RESULT_COLUMNS, one row per dataset and cell of the study, in the study's order.

    predictions  dataset, cell, seed, recording, group, label, prediction, and selected: the
                 prediction of the epoch that validation selected
    costs        sizes and energies by dataset and cell, from `results.cost_tables.mean_and_range`
    cells        cell, method, setting
    gains        from `results.comparison.gains_of_cells`
    paper        dataset, cell, paper_dataset, paper_accuracy, paper_energy: what the paper
                 reports on the dataset whose protocol `dataset` keeps, beside the cell that stands
                 for its method

    Everything is that of the last epoch, which nothing selected, but for selected_accuracy: that
    of the epoch which validation selected, a mean over seeds. chance is that of always answering
    the commonest class. `_low` and `_high` of accuracy, drop and gains are bootstrap 95 %
    intervals (`seed` draws them), those of sizes and energies the range over seeds.
    """
    assert reference in set(cells["cell"]), "the reference is a cell of the study"
    tables = []
    for dataset in predictions["dataset"].unique():
        predicted = predictions.query("dataset == @dataset and cell in @cells.cell")
        measured = accuracies(predicted, reference=reference, seed=seed).join(costs.loc[dataset])
        right = predicted["selected"].eq(predicted["label"])
        measured["selected_accuracy"] = 100 * right.groupby(predicted["cell"]).mean()
        labels = predicted.drop_duplicates("recording")["label"]
        measured["chance"] = 100 * labels.value_counts(normalize=True).max()
        rows = cells.merge(measured, on="cell", how="left", validate="one_to_one")
        assert rows["accuracy"].notna().all(), "every cell of the study has predictions"
        tables.append(rows.assign(dataset=dataset))
    results = pd.concat(tables, ignore_index=True)
    for more in (gains, paper):
        results = results.merge(more, on=["dataset", "cell"], how="left", validate="one_to_one")
    return results[list(RESULT_COLUMNS)]


LAST_EPOCHS = 10


def epoch_table(epochs: pd.DataFrame) -> pd.DataFrame:
    """Test accuracies, percent, by the way of choosing an epoch: a row a dataset, means over seeds.

    epochs  dataset, seed, test_accuracy and the fields of `training.history.Epoch`

    last is the study's own way; it and last_ten (their mean) choose nothing, selected is that of
    `training.history.selected`, and best takes the test split itself. optimism is best minus last,
    its least and most a seed's.
    """
    rows = []
    for (dataset, seed), run in epochs.groupby(["dataset", "seed"], sort=False):
        test = 100 * run.sort_values("epoch")["test_accuracy"]
        rows.append(
            {
                "dataset": dataset,
                "seed": seed,
                "last": test.iloc[-1],
                "last_ten": test.tail(LAST_EPOCHS).mean(),
                "selected": 100 * selected(run)["test_accuracy"],
                "best": test.max(),
            }
        )
    runs = pd.DataFrame(rows).assign(optimism=lambda run: run["best"] - run["last"])
    by_dataset = runs.groupby("dataset", sort=False)
    table = by_dataset[["last", "last_ten", "selected", "best", "optimism"]].mean()
    table["optimism_least"] = by_dataset["optimism"].min()
    table["optimism_most"] = by_dataset["optimism"].max()
    return table.assign(n=by_dataset.size()).reset_index()


def describe_datasets(
    events: pd.DataFrame, steps: dict[str, int], paper: pd.DataFrame
) -> pd.DataFrame:
    """One row per dataset from one row per dataset and split.

    events  dataset, split, recordings, events, classes, classes_present (those that recordings of
            the split show), sensor, md5; perhaps samples_sha256
    steps   T of each dataset
    paper   dataset, paper_dataset: whose protocol each keeps; one that is not there keeps its own
    """
    protocols = paper.set_index("dataset")["paper_dataset"]
    rows = []
    for dataset, splits in events.groupby("dataset", sort=False):
        by_split = splits.set_index("split")
        train = by_split.loc["train"]
        rows.append(
            {
                "dataset": dataset,
                "protocol": protocols.get(dataset, dataset),
                "classes": train["classes"],
                **by_split["classes_present"].add_prefix("classes_").to_dict(),
                **by_split["recordings"].to_dict(),
                "sensor": train["sensor"],
                "steps": steps[str(dataset)],
                "events_per_recording": train["events"] / train["recordings"],
                **by_split["md5"].add_prefix("md5_").to_dict(),
                **train.filter(like="samples_").to_dict(),
            }
        )
    return pd.DataFrame(rows)


def metrics(results: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """{dataset: {cell: {measure: value}}}, to five decimals; what does not exist is left out."""
    nested: dict[str, dict[str, dict[str, float]]] = {}
    for row in results.to_dict("records"):
        values = {name: round(row[name], 5) for name in MEASURES if not pd.isna(row[name])}
        nested.setdefault(row["dataset"], {})[row["cell"]] = values
    return nested


def dataset_table(
    datasets: pd.DataFrame, predictions: pd.DataFrame, linear: pd.DataFrame, power: pd.DataFrame
) -> pd.DataFrame:
    """`datasets` with accuracies on the test recordings, and what these recordings can tell.

    power  from `results.power.power_table`

    Adds linear_accuracy, float_accuracy (means over seeds), float_accuracy_sd and n (seeds); and of
    the difference with the widest interval groups, se_groups, half_width and power.
    """

    def accuracies(predictions: pd.DataFrame, *keys: str) -> pd.Series:
        right = 100.0 * (predictions["label"] == predictions["prediction"])
        return right.groupby([predictions[key] for key in keys]).mean()

    by_seed = accuracies(predictions[predictions["cell"] == FLOAT], "dataset", "seed")
    spiking = by_seed.groupby("dataset")
    scores = pd.DataFrame(
        {
            "linear_accuracy": accuracies(linear, "dataset"),
            "float_accuracy": spiking.mean(),
            "float_accuracy_sd": spiking.std(ddof=1),
            "n": spiking.size(),
        }
    )
    ordered = power.sort_values("half_width", kind="stable", na_position="first")
    widest = ordered.drop_duplicates("dataset", keep="last")
    told = widest[["dataset", "groups", "se_groups", "half_width", "power"]]
    return datasets.merge(scores, on="dataset", how="left").merge(told, on="dataset", how="left")

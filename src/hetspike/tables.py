"""The numbers of a study as tables: data frames in, data frames and csv, Markdown, LaTeX text out.

Two forms of each table: a tidy one with a number per column, for csv and further work, and one for
people, where a value carries its spread ("0.4 [-0.6, 1.5]") and headings carry units. Accuracies
are percentages, drops percentage points, positive where a cell is worse than the reference.
"""

import math
from typing import NamedTuple

import pandas as pd
from tabulate import LATEX_ESCAPE_RULES, tabulate

from hetspike.cost import ENERGY_VIEWS, compression, effective_bits
from hetspike.names import DISTILLED, FLOAT, FLOAT_TUNED, LINEAR, is_stand_in
from hetspike.stats import accuracies


class Notation(NamedTuple):
    """How a measured value is written: a format specification, and what follows the number."""

    spec: str
    unit: str


FACTOR = Notation("#.3g", "x")  # three digits, as in the paper
# what is measured of a cell, each with the columns <measure>_low and <measure>_high
MEASURES = {
    "accuracy": Notation("z.1f", " %"),
    "drop": Notation("z.1f", " pp"),
    "effective_bits": Notation(".2f", " bits"),
    "compression": FACTOR,
    **{f"energy_{view}": FACTOR for view in ENERGY_VIEWS},
}
RESULT_COLUMNS = (
    *("dataset", "cell", "method", "setting"),
    *("accuracy", "accuracy_sd", "n"),
    *[f"{measure}{end}" for measure in MEASURES for end in ("", "_low", "_high")][1:],
    *("paper_dataset", "paper_accuracy", "paper_energy"),
)


def costs(layers: pd.DataFrame, *, reference: str) -> pd.DataFrame:
    """One dataset's sizes and energies by cell: mean over seeds, and range as _low and _high.

    An energy is the ratio reference / cell of the same seed: how many times less the cell takes.
    """
    networks = layers.groupby(["cell", "seed"])
    by_seed = {  # each [cells, seeds]
        "effective_bits": networks.apply(effective_bits).unstack("seed"),
        "compression": networks.apply(compression).unstack("seed"),
    }
    for view, energy_of in ENERGY_VIEWS.items():
        energy = networks.apply(energy_of).unstack("seed")
        by_seed[f"energy_{view}"] = energy.rdiv(energy.loc[reference], axis="columns")
    columns = {}
    for measure, values in by_seed.items():
        columns[measure] = values.mean(axis=1)
        columns[f"{measure}_low"] = values.min(axis=1)
        columns[f"{measure}_high"] = values.max(axis=1)
    return pd.DataFrame(columns)


def results_table(
    predictions: pd.DataFrame,
    layers: pd.DataFrame,
    cells: pd.DataFrame,
    paper: pd.DataFrame,
    *,
    reference: str = FLOAT_TUNED,
    seed: int = 0,
) -> pd.DataFrame:
    """RESULT_COLUMNS, one row per dataset and cell of the study, in the study's order.

    predictions  dataset, cell, seed, recording, group, label, prediction
    layers       dataset, cell, seed, weights, bits, macs, acs (one row per operation)
    cells        cell, method, setting
    paper        dataset, cell, paper_dataset, paper_accuracy, paper_energy: what the paper
                 reports on the dataset whose protocol `dataset` keeps, beside the cell that stands
                 for its method

    `_low` and `_high` of accuracy and drop are bootstrap 95 % intervals (`seed` draws them), those
    of sizes and energies the range over seeds.
    """
    assert reference in set(cells["cell"]), "the reference is a cell of the study"
    tables = []
    for dataset in predictions["dataset"].unique():
        predicted = predictions.query("dataset == @dataset and cell in @cells.cell")
        measured = accuracies(predicted, reference=reference, seed=seed).join(
            costs(layers.query("dataset == @dataset"), reference=reference)
        )
        rows = cells.merge(measured, on="cell", how="left", validate="one_to_one")
        assert rows["accuracy"].notna().all(), "every cell of the study has predictions"
        tables.append(rows.assign(dataset=dataset))
    results = pd.concat(tables, ignore_index=True)
    results = results.merge(paper, on=["dataset", "cell"], how="left", validate="one_to_one")
    return results[list(RESULT_COLUMNS)]


def describe_datasets(
    events: pd.DataFrame, steps: dict[str, int], paper: pd.DataFrame
) -> pd.DataFrame:
    """One row per dataset from one row per dataset and split.

    events  dataset, split, recordings, events, classes, sensor, md5
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
                **by_split["recordings"].to_dict(),
                "sensor": train["sensor"],
                "steps": steps[str(dataset)],
                "events_per_recording": train["events"] / train["recordings"],
                **by_split["md5"].add_prefix("md5_").to_dict(),
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


def dataset_table(datasets: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """`datasets` with the test accuracy of the linear classifier and of the float transformer.

    Adds linear_accuracy, float_accuracy (means over seeds), float_accuracy_sd and n (seeds).
    """
    right = predictions.assign(right=100.0 * (predictions["label"] == predictions["prediction"]))
    by_seed = right.groupby(["cell", "dataset", "seed"])["right"].mean()
    linear, spiking = (by_seed.loc[cell].groupby("dataset") for cell in (LINEAR, FLOAT))
    scores = pd.DataFrame(
        {
            "linear_accuracy": linear.mean(),
            "float_accuracy": spiking.mean(),
            "float_accuracy_sd": spiking.std(ddof=1),
            "n": spiking.size(),
        }
    )
    return datasets.merge(scores, on="dataset", how="left")


def with_spread(value: float, low: float, high: float, *, spec: str, unit: str = "") -> str:
    """8.718, 8.5, 9 with spec "#.3g" and unit "x" -> "8.72x [8.50, 9.00]".

    The value stands alone where all three print alike. One that does not exist (NaN) is a dash.
    """
    if math.isnan(value):
        return "-"
    shown, *ends = (format(each, spec) for each in (value, low, high))
    return f"{shown}{unit}" if set(ends) == {shown} else f"{shown}{unit} [{', '.join(ends)}]"


def with_deviation(mean: float, deviation: float, n: float) -> str:
    """As in "78.2 ± 1.1 (3)", n in brackets; a single run has no deviation."""
    return f"{mean:.1f} (1)" if n == 1 else f"{mean:.1f} ± {deviation:.1f} ({n:.0f})"


def _spreads(
    table: pd.DataFrame, measure: str, *, spec: str = MEASURES["drop"].spec, unit: str = ""
) -> list[str]:
    """A measure of every row with its interval; percentage points where nothing else is said."""
    rows = table[[measure, f"{measure}_low", f"{measure}_high"]].itertuples(index=False)
    return [with_spread(*row, spec=spec, unit=unit) for row in rows]


def _on_first_row(names: pd.Series) -> pd.Series:
    """Each name where it stands first, and nothing below."""
    return names.mask(names.duplicated(), "")


def present_results(results: pd.DataFrame) -> pd.DataFrame:
    """`results_table` for people: every column is text, a dataset is named on its first row."""

    def spread(measure: str, unit: str = "") -> list[str]:
        return _spreads(results, measure, spec=MEASURES[measure].spec, unit=unit)

    return pd.DataFrame(
        {
            "Dataset": _on_first_row(results["dataset"]),
            "Network": results["cell"],
            "Accuracy (%)": [
                with_deviation(*row)
                for row in results[["accuracy", "accuracy_sd", "n"]].itertuples(index=False)
            ],
            "Drop (pp)": spread("drop"),
            "Effective bits": spread("effective_bits"),
            "Compression": spread("compression", "x"),
            "Energy ratio, weight bits": spread("energy_bits_linear", "x"),
            "Energy ratio, MAC and AC": spread("energy_field", "x"),
            "Paper, on its own data": [
                "" if pd.isna(dataset) else f"{dataset}: {accuracy:g} %, energy {energy:g}x"
                for dataset, accuracy, energy in results[
                    ["paper_dataset", "paper_accuracy", "paper_energy"]
                ].itertuples(index=False)
            ],
        }
    )


def present_comparison(comparison: pd.DataFrame) -> pd.DataFrame:
    """`comparison.comparison_table` for people."""

    singles = comparison[["single", "single_accuracy"]].itertuples(index=False)
    networks = comparison[["accuracy", "accuracy_sd", "n"]].itertuples(index=False)
    return pd.DataFrame(
        {
            "Dataset": _on_first_row(comparison["dataset"]),
            "Search": comparison["method"],
            "Budget (bits)": [f"{budget:g}" for budget in comparison["setting"]],
            "Effective bits": [f"{bits:.2f}" for bits in comparison["effective_bits"]],
            "Accuracy (%)": [with_deviation(*row) for row in networks],
            "Between draws (pp)": [
                "" if math.isnan(spread) else f"± {spread:.1f}" for spread in comparison["draws_sd"]
            ],
            "Drop (pp)": _spreads(comparison, "drop"),
            "Best single scheme (%)": [
                f"{scheme} {accuracy:.1f}" if scheme else "-" for scheme, accuracy in singles
            ],
            "Gain over it (pp)": _spreads(comparison, "gain"),
            "Cost (QAT runs)": [f"{runs:.2f}" for runs in comparison["qat_runs"]],
        }
    )


def comparison_caption(comparison: pd.DataFrame) -> str:
    """What a reader must know to read `present_comparison`."""
    return (
        f"{_origin(comparison)}Searched networks on the test recordings: mean ± standard deviation "
        "(number of networks, seeds times draws). Best single scheme: the one of highest test "
        "accuracy at the same effective bits, interpolated between its two nearest whole "
        "widths. Drop and gain: percentage points against float-tuned and against that scheme, "
        "paired, with a 95 % interval; a gain is positive where the search is better. Cost: "
        "recordings that the search passed through the network, over those of one QAT run, a pass "
        "with gradients counted as three."
    )


def present_ablations(ablations: pd.DataFrame) -> pd.DataFrame:
    """`comparison.ablation_table` for people."""
    return pd.DataFrame(
        {
            "Dataset": _on_first_row(ablations["dataset"]),
            "Network": ablations["cell"],
            "Accuracy (%)": [f"{accuracy:.1f}" for accuracy in ablations["accuracy"]],
            "Against": ablations["against"],
            "Its accuracy (%)": [f"{accuracy:.1f}" for accuracy in ablations["against_accuracy"]],
            "Gain (pp)": _spreads(ablations, "gain"),
        }
    )


def ablations_caption(ablations: pd.DataFrame) -> str:
    """What a reader must know to read `present_ablations`."""
    return (
        f"{_origin(ablations)}Networks that differ from another in one part, on the "
        "test recordings. A row named as its counterpart with an addition chooses from other "
        "candidates (-binary and -apot: these schemes as well; -uniform and -pot: only that one "
        f"beside them); {DISTILLED} learns from the float network as well. Gain: percentage "
        "points, paired over seeds and recordings, with a 95 % interval."
    )


def present_summary(results: pd.DataFrame) -> pd.DataFrame:
    """A row per cell of the study and a column per dataset: the whole study at a glance."""
    columns: dict[str, list[str]] = {}
    for row in results.to_dict("records"):
        shown = f"{row['accuracy']:.1f}"
        if row["cell"] not in (FLOAT, FLOAT_TUNED):
            lost = (row[f"drop{end}"] for end in ("", "_low", "_high"))
            shown += f", drop {with_spread(*lost, spec=MEASURES['drop'].spec)}"
        columns.setdefault(row["dataset"], []).append(shown)
    cells = results.groupby("cell", sort=False)
    return pd.DataFrame(
        {
            "Network": list(cells.groups),
            "Effective bits": [f"{bits:.2f}" for bits in cells["effective_bits"].mean()],
            "Compression": [f"{each:#.3g}x" for each in cells["compression"].mean()],
            **columns,
        }
    )


def _origin(table: pd.DataFrame) -> str:
    """A sentence for captions where some of a table's datasets are simulated."""
    simulated = table["dataset"].map(is_stand_in).any()
    return "Datasets named sim-* are simulated stand-ins, not the paper's. " if simulated else ""


def summary_caption(results: pd.DataFrame) -> str:
    """What a reader must know to read `present_summary`."""
    return (
        f"{_origin(results)}Test accuracy in %, mean of {results['n'].max():.0f} seeds; drop in "
        f"percentage points against {FLOAT_TUNED}, which had the same extra epochs, with a paired "
        "95 % interval."
    )


def results_caption(results: pd.DataFrame) -> str:
    """What a reader must know to read `present_results`, in a few sentences."""
    return (
        f"{_origin(results)}Accuracy on the test recordings: mean ± standard deviation over seeds "
        f"(number of seeds). Drop: percentage points lost against {FLOAT_TUNED}, paired, with a 95 "
        "% interval from a bootstrap over seeds and groups of recordings (images, subjects, "
        "regions). Other brackets: range over seeds. Compression counts quantized weights only, as "
        "the paper does. "
        f"Energy ratio: {FLOAT_TUNED} over this network, for weight traffic by stored bits and for "
        "4.6 pJ per MAC and 0.9 pJ per AC. The last column is what the paper reports on the "
        "recordings named there; it is no target for other data."
    )


def present_datasets(table: pd.DataFrame) -> pd.DataFrame:
    """`dataset_table` for people; the checksums stay in the csv."""
    counts = table[["train", "validation", "test"]].itertuples(index=False)
    scores = table[["float_accuracy", "float_accuracy_sd", "n"]].itertuples(index=False)
    return pd.DataFrame(
        {
            "Dataset": table["dataset"],
            "Protocol of": table["protocol"],
            "Classes": table["classes"],
            "Train / validation / test": [
                " / ".join(str(count) for count in row) for row in counts
            ],
            "Sensor (pixels)": table["sensor"],
            "Time steps": table["steps"],
            "Events per recording": [f"{events:,.0f}" for events in table["events_per_recording"]],
            "Linear classifier (%)": [f"{score:.1f}" for score in table["linear_accuracy"]],
            "Float transformer (%)": [with_deviation(*row) for row in scores],
        }
    )


def datasets_caption(table: pd.DataFrame) -> str:
    """What a reader must know to read `present_datasets`."""
    return (
        f"{_origin(table)}The linear classifier sees event counts summed over time: what it leaves "
        "open needs the order of events. Float transformer: mean ± standard deviation over seeds "
        "(number of seeds)."
    )


def to_csv(table: pd.DataFrame) -> str:
    """Six significant digits, so that equal results are equal bytes."""
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _grid(table: pd.DataFrame, style: str) -> str:
    align = ["right" if pd.api.types.is_numeric_dtype(kind) else "left" for kind in table.dtypes]
    return tabulate(
        table.to_dict("list"),
        headers="keys",
        tablefmt=style,
        colalign=align,
        disable_numparse=True,  # numbers are formatted already
    )


def to_markdown(table: pd.DataFrame, caption: str) -> str:
    """A GitHub table under its caption."""
    return f"{caption}\n\n{_grid(table, 'pipe')}\n"


def to_latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """A booktabs table over the full width of the page, everything escaped."""
    escaped = "".join(LATEX_ESCAPE_RULES.get(character, character) for character in caption)
    return (
        "\\begin{table*}\n\\centering\n\\footnotesize\n"
        f"\\caption{{{escaped}}}\n\\label{{{label}}}\n"
        f"{_grid(table, 'latex_booktabs')}\n\\end{{table*}}\n"
    )

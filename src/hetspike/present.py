"""Tables for people: values carry their spread ("0.4 [-0.6, 1.5]"), headings their units.

Every table of a study has a function that turns it into text columns and one for its caption;
`TABLES` names them. Then csv, Markdown and LaTeX.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
from tabulate import LATEX_ESCAPE_RULES, tabulate

from hetspike.energy import ENERGY_VIEWS
from hetspike.names import (
    DISTILLED,
    FLOAT,
    FLOAT_TUNED,
    INT8,
    INT8_VIEWS,
    VIEWS,
    is_stand_in,
)
from hetspike.tables import MEASURES

assert VIEWS.keys() == ENERGY_VIEWS.keys(), "every view has a heading"
# what the view of memory assumes, wherever it is judged
POTENTIALS = (
    "and a potential of 32 bits read and written for every pair of an input and a weight "
    "(Lemaire 2022)"
)


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
            "Selected epoch (%)": [f"{each:.1f}" for each in results["selected_accuracy"]],
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


SIGNIFICANT = 0.05  # where a p counts as a difference


def _probability(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _decided(seeds: pd.DataFrame) -> str:
    """Under how many seeds the network is worse, or better, than the reference."""
    found = seeds["p"] < SIGNIFICANT
    worse = int((found & (seeds["lost"] > seeds["gained"])).sum())
    told = [f"{word} {n}" for word, n in (("worse", worse), ("better", found.sum() - worse)) if n]
    return f"{', '.join(told) or 'neither'} of {len(seeds)}"


def present_significance(table: pd.DataFrame) -> pd.DataFrame:
    """`stats.significance_table` for people: the seeds of a network share its row."""
    rows = []
    for (dataset, cell), seeds in table.groupby(["dataset", "cell"], sort=False):
        ends = seeds[["right_low", "right_high"]].itertuples(index=False)
        pairs = seeds[["lost", "gained"]].itertuples(index=False)
        reference = seeds["p"].isna().all()
        right = ", ".join(map(str, seeds["right"]))
        alone = seeds["right_low"].notna().all()
        rows.append(
            {
                "Dataset": dataset,
                "Network": cell,
                "Right (k of n)": f"{right} of {seeds['recordings'].iloc[0]}",
                "Groups": f"{seeds['groups'].iloc[0]}",
                "Exact interval (%)": ", ".join(f"[{low:.1f}, {high:.1f}]" for low, high in ends)
                if alone
                else "-",
                **dict.fromkeys(("Lost / gained", "p", "p < 0.05", "p, all seeds"), "-"),
            }
        )
        if not reference:
            rows[-1] |= {
                "Lost / gained": ", ".join(f"{lost:.0f} / {gained:.0f}" for lost, gained in pairs),
                "p": ", ".join(map(_probability, seeds["p"])),
                "p < 0.05": _decided(seeds),
                "p, all seeds": _probability(seeds["p_seeds"].iloc[0]),
            }
    shown = pd.DataFrame(rows)
    return shown.assign(Dataset=_on_first_row(shown["Dataset"]))


def significance_caption(table: pd.DataFrame) -> str:
    """What a reader must know to read `present_significance`."""
    return (
        f"{_origin(table)}Test recordings that each network gets right, seed by seed, and in how "
        "many groups they come (images, subjects, regions). Exact 95 % interval of that share "
        "(Clopper-Pearson): only where each recording is a group of its own. Lost / gained: "
        f"recordings that only {FLOAT_TUNED} of the same seed gets right, and only this network. "
        "p: exact, two-sided, of whole groups whose lost less gained recordings might as well have "
        "come out with the other sign; McNemar's test where a group is a recording. Then under how "
        f"many seeds the network is worse or better at p < {SIGNIFICANT:g}, and one p for no "
        "difference under any seed, the least times the number of seeds (Bonferroni), since these "
        "meet the same recordings. Nothing corrects for the number of rows: of twenty tests "
        "without a difference one is expected below 0.05. Verdicts rest on the bootstrap over "
        "seeds and groups instead."
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
        f"{_origin(results)}Test accuracy in % after the last epoch, mean of "
        f"{results['n'].max():.0f} seeds; drop in percentage points against {FLOAT_TUNED}, which "
        "had the same extra epochs, with a paired 95 % interval."
    )


def results_caption(results: pd.DataFrame) -> str:
    """What a reader must know to read `present_results`, in a few sentences."""
    return (
        f"{_origin(results)}Accuracy on the test recordings: mean ± standard deviation over seeds "
        "(number of seeds), of the last epoch, as is all else; selected epoch: that of the epoch "
        "which validation would have taken. Drop: percentage points lost against "
        f"{FLOAT_TUNED}, paired, with a 95 % interval from a bootstrap over seeds and groups of "
        "recordings (images, subjects, regions). Other brackets: range over seeds. Compression "
        f"counts quantized weights only, as the paper does. Energy ratio: {FLOAT_TUNED} over this "
        "network, for weight traffic by stored bits and for 4.6 pJ per MAC and 0.9 pJ per AC. The "
        "last column is what the paper reports on the recordings named there; it is no target for "
        "other data."
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


def present_sizes(sizes: pd.DataFrame) -> pd.DataFrame:
    """`costs.size_table` for people."""

    def spread(measure: str, spec: str, unit: str = "") -> list[str]:
        return _spreads(sizes, measure, spec=spec, unit=unit)

    return pd.DataFrame(
        {
            "Dataset": _on_first_row(sizes["dataset"]),
            "Network": sizes["cell"],
            "Effective bits": spread("effective_bits", ".2f"),
            "Compression": spread("compression", "#.3g", "x"),
            "Model bits": spread("model_bits", ".2f"),
            "MAC bits": spread("mac_bits", ".2f"),
            "Packed file (bytes)": spread("packed_bytes", ",.0f"),
            "Packed compression": spread("packed_compression", "#.3g", "x"),
        }
    )


def sizes_caption(sizes: pd.DataFrame) -> str:
    """What a reader must know to read `present_sizes`."""
    return (
        f"{_origin(sizes)}Effective bits and compression count quantized weights only, as the "
        "paper does. Model bits: mean over all stored numbers, scales and biases included. MAC "
        "bits: weights weighted by how often a recording's dense computation uses them. Packed "
        "file: bytes on disk, header included; packed compression: the file of "
        f"{FLOAT_TUNED} over this one. Mean over seeds, range in brackets."
    )


def present_energy(energy: pd.DataFrame) -> pd.DataFrame:
    """`costs.energy_table` for people; the reference shows its energies themselves."""
    shown: dict[str, Any] = {
        "Dataset": _on_first_row(energy["dataset"]),
        "Network": energy["cell"],
    }
    reference = energy["cell"] == FLOAT_TUNED
    for view, heading in VIEWS.items():
        texts = pd.Series(_spreads(energy, f"energy_{view}", spec="#.3g", unit="x"))
        if f"{view}_pj" in energy:
            microjoules = energy[f"{view}_pj"] / 1e6
            texts[reference] += microjoules[reference].map(lambda value: f" ({value:#.3g} \u00b5J)")
        shown[heading] = texts
    for view in INT8_VIEWS:
        against = f"{VIEWS[view]}, against {INT8}"
        shown[against] = _spreads(energy, f"energy_{view}_{INT8}", spec="#.3g", unit="x")
    return pd.DataFrame(shown)


def energy_caption(energy: pd.DataFrame) -> str:
    """What a reader must know to read `present_energy`."""
    return (
        f"{_origin(energy)}How many times less energy than {FLOAT_TUNED} a recording takes, under "
        "five views: stored weight bits; 4.6 pJ a MAC and 0.9 pJ an AC; additions, shifts and "
        "multiplications at the widths that the network needs; memory accesses with weights at "
        f"their packed width, {POTENTIALS}; the last two together. Then against {INT8}: the same "
        f"operations of {FLOAT_TUNED} at 8-bit uniform weights, what any integer datapath gets. "
        "Mean over seeds, range in brackets."
    )


def present_order(order: pd.DataFrame) -> pd.DataFrame:
    """`costs.order_table` for people."""
    return pd.DataFrame(
        {
            "Dataset": _on_first_row(order["dataset"]),
            **{heading: order[f"energy_{view}"] for view, heading in VIEWS.items()},
            "All views agree": order["same"].map({True: "yes", False: "no"}),
        }
    )


def order_caption(order: pd.DataFrame) -> str:
    """What a reader must know to read `present_order`."""
    return (
        f"{_origin(order)}Networks of about equal bits in the order of the energy that they save, "
        "the thriftiest first, under each view; = where the ratios print alike. A searched network "
        "stands beside the single schemes at the nearest whole width."
    )


def present_integer(integer: pd.DataFrame) -> pd.DataFrame:
    """`costs.integer_table` for people."""
    return pd.DataFrame(
        {
            "Dataset": _on_first_row(integer["dataset"]),
            "Network": integer["cell"],
            "Same class (%)": [f"{each:.2f}" for each in integer["agreement"]],
            "Least of a seed (%)": [f"{each:.2f}" for each in integer["agreement_least"]],
            "Accuracy difference (pp)": [f"{each:+z.2f}" for each in integer["difference"]],
            "Largest of a seed (pp)": [f"{each:+z.2f}" for each in integer["difference_most"]],
            **{
                f"{operation.capitalize()} (millions)": [
                    f"{each / 1e6:.3f}" for each in integer[operation]
                ]
                for operation in ("multiplications", "shifts", "additions")
            },
        }
    )


def integer_caption(integer: pd.DataFrame) -> str:
    """What a reader must know to read `present_integer`."""
    return (
        f"{_origin(integer)}The packed networks run on integers, between the frames and the "
        "classifier's accumulators, against the simulation in floating point that all other tables "
        "are about: test recordings that get the same class, and the difference in accuracy "
        "(positive: integers are better). Operations a recording as the view of operations charges "
        "them."
    )


def claims_caption(claims: pd.DataFrame) -> str:
    """What a reader must know to read the verdicts."""
    return (
        "Claims of the paper (arXiv 2412.05505), on its own datasets and on the simulated "
        "stand-ins that keep their protocols. A verdict judges the whole interval in brackets: "
        "supported where all of it satisfies the claim, not supported where none of it does, "
        "inconclusive where it straddles, or where the network that an accuracy is lost against "
        "does no better than chance; not run where there are no results. Met by budget: satisfied, "
        "but by the bits that the search was given, whatever it does with them; no support of the "
        "method. An energy factor is missed when it is exceeded, too. Memory accesses are counted "
        f"with weights at their packed width, {POTENTIALS}: what is not supported is so under this "
        "assumption."
    )


def present_energy_claims(table: pd.DataFrame) -> pd.DataFrame:
    """`claims.energy_claims_table` for people."""
    names = {
        **{"dataset": "Dataset", "cell": "Network", "reference": "Against"},
        **{"expected": "The paper's factor", **VIEWS},
    }
    return table.rename(columns=names)


def energy_claims_caption(table: pd.DataFrame) -> str:
    """What a reader must know to read `present_energy_claims`."""
    return (
        "Which of the paper's energy factors follow under which view of energy, on its own "
        "datasets and on the simulated stand-ins (sim-*) that keep their protocols: the measured "
        "factor and the verdict on it. A factor is missed when it is exceeded, too: more than the "
        f"paper reports is another way of counting. Against {FLOAT_TUNED} in fp32, and against "
        f"its operations at 8-bit uniform weights ({INT8}). The view of memory assumes weights at "
        f"their packed width, {POTENTIALS}."
    )


def present_epochs(table: pd.DataFrame) -> pd.DataFrame:
    """`tables.epoch_table` for people."""
    names = {
        "last": "Last epoch (%)",
        "last_ten": "Mean of the last ten (%)",
        "selected": "By validation (%)",
        "best": "Best test epoch (%)",
    }
    ranges = table[["optimism", "optimism_least", "optimism_most"]].itertuples(index=False)
    return pd.DataFrame(
        {
            "Dataset": table["dataset"],
            **{name: table[column].map("{:.1f}".format) for column, name in names.items()},
            "Optimism (pp)": [with_spread(*row, spec="+.1f") for row in ranges],
        }
    )


def epochs_caption(table: pd.DataFrame) -> str:
    """What a reader must know to read `present_epochs`."""
    return (
        f"{_origin(table)}A diagnostic, no result: test accuracy of the float networks, mean of "
        f"{table['n'].max()} seeds, by how an epoch is chosen. The study judges the last "
        "epoch. Taking the best test epoch, as is common in the field, would claim this many "
        "points more (range over seeds), without a better network."
    )


class Table(NamedTuple):
    """How a table is shown: as text columns, under which caption."""

    shown: Callable[[pd.DataFrame], pd.DataFrame]
    caption: Callable[[pd.DataFrame], str]


TABLES = {
    "results": Table(present_results, results_caption),
    "summary": Table(present_summary, summary_caption),
    "comparison": Table(present_comparison, comparison_caption),
    "significance": Table(present_significance, significance_caption),
    "ablations": Table(present_ablations, ablations_caption),
    "sizes": Table(present_sizes, sizes_caption),
    "energy": Table(present_energy, energy_caption),
    "order": Table(present_order, order_caption),
    "integer": Table(present_integer, integer_caption),
    "datasets": Table(present_datasets, datasets_caption),
    "energy-claims": Table(present_energy_claims, energy_claims_caption),
    "best-epoch": Table(present_epochs, epochs_caption),
    "claims": Table(lambda claims: claims, claims_caption),
}


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


# of characters beyond ASCII: any LaTeX has these without another font
LATEX_SYMBOLS = str.maketrans({"\u00b1": "\\ensuremath{\\pm}", "\u00b5": "\\ensuremath{\\mu}"})
NO_WIDER_THAN_THE_PAGE = "\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi"


def to_latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """A table for booktabs and graphicx, all escaped, shrunk where the page is too narrow."""
    escaped = "".join(LATEX_ESCAPE_RULES.get(character, character) for character in caption)
    text = (
        "\\begin{table*}\n\\centering\n\\footnotesize\n"
        f"\\caption{{{escaped}}}\n\\label{{{label}}}\n\\medskip\n"
        f"\\resizebox{{{NO_WIDER_THAN_THE_PAGE}}}{{!}}{{%\n"
        f"{_grid(table, 'latex_booktabs')}%\n}}\n\\end{{table*}}\n"
    )
    return text.translate(LATEX_SYMBOLS)

"""Tables of accuracies, and of what is compared by them, for people."""

import math

import pandas as pd

from hetspike.names import DISTILLED, FLOAT, FLOAT_TUNED
from hetspike.results.present.notation import (
    on_first_row,
    origin,
    spreads,
    with_deviation,
    with_spread,
)
from hetspike.results.tables import MEASURES


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


def summary_caption(results: pd.DataFrame) -> str:
    """What a reader must know to read `present_summary`."""
    return (
        f"{origin(results)}Test accuracy in % after the last epoch, mean of "
        f"{results['n'].max():.0f} seeds; drop in percentage points against {FLOAT_TUNED}, which "
        "had the same extra epochs, with a paired 95 % interval."
    )


def present_results(results: pd.DataFrame) -> pd.DataFrame:
    """`results_table` for people: every column is text, a dataset is named on its first row."""

    def spread(measure: str, unit: str = "") -> list[str]:
        return spreads(results, measure, spec=MEASURES[measure].spec, unit=unit)

    return pd.DataFrame(
        {
            "Dataset": on_first_row(results["dataset"]),
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


def results_caption(results: pd.DataFrame) -> str:
    """What a reader must know to read `present_results`, in a few sentences."""
    return (
        f"{origin(results)}Accuracy on the test recordings: mean ± standard deviation over seeds "
        "(number of seeds), of the last epoch, as is all else; selected epoch: that of the epoch "
        "which validation would have taken. Drop: percentage points lost against "
        f"{FLOAT_TUNED}, paired, with a 95 % interval from a bootstrap over seeds and groups of "
        "recordings (images, subjects, regions). Other brackets: range over seeds. Compression "
        f"counts quantized weights only, as the paper does. Energy ratio: {FLOAT_TUNED} over this "
        "network, for weight traffic by stored bits and for 4.6 pJ per MAC and 0.9 pJ per AC. The "
        "last column is what the paper reports on the recordings named there; it is no target for "
        "other data."
    )


def present_comparison(comparison: pd.DataFrame) -> pd.DataFrame:
    """`results.comparison.comparison_table` for people."""

    singles = comparison[["single", "single_accuracy"]].itertuples(index=False)
    networks = comparison[["accuracy", "accuracy_sd", "n"]].itertuples(index=False)
    return pd.DataFrame(
        {
            "Dataset": on_first_row(comparison["dataset"]),
            "Search": comparison["method"],
            "Budget (bits)": [f"{budget:g}" for budget in comparison["setting"]],
            "Effective bits": [f"{bits:.2f}" for bits in comparison["effective_bits"]],
            "Accuracy (%)": [with_deviation(*row) for row in networks],
            "Between draws (pp)": [
                "" if math.isnan(spread) else f"± {spread:.1f}" for spread in comparison["draws_sd"]
            ],
            "Drop (pp)": spreads(comparison, "drop"),
            "Best single scheme (%)": [
                f"{scheme} {accuracy:.1f}" if scheme else "-" for scheme, accuracy in singles
            ],
            "Gain over it (pp)": spreads(comparison, "gain"),
            "Cost (QAT runs)": [f"{runs:.2f}" for runs in comparison["qat_runs"]],
        }
    )


def comparison_caption(comparison: pd.DataFrame) -> str:
    """What a reader must know to read `present_comparison`."""
    return (
        f"{origin(comparison)}Searched networks on the test recordings: mean ± standard deviation "
        "(number of networks, seeds times draws). Best single scheme: the one of highest test "
        "accuracy at the same effective bits, interpolated between its two nearest whole "
        "widths. Drop and gain: percentage points against float-tuned and against that scheme, "
        "paired, with a 95 % interval; a gain is positive where the search is better, under the "
        "study's own recipe of QAT: what more epochs would leave of it is not measured. Cost: "
        "recordings that the search passed through the network, over those of one QAT run, a pass "
        "with gradients counted as three."
    )


def present_ablations(ablations: pd.DataFrame) -> pd.DataFrame:
    """`results.comparison.ablation_table` for people."""
    return pd.DataFrame(
        {
            "Dataset": on_first_row(ablations["dataset"]),
            "Network": ablations["cell"],
            "Accuracy (%)": [f"{accuracy:.1f}" for accuracy in ablations["accuracy"]],
            "Against": ablations["against"],
            "Its accuracy (%)": [f"{accuracy:.1f}" for accuracy in ablations["against_accuracy"]],
            "Gain (pp)": spreads(ablations, "gain"),
        }
    )


def ablations_caption(ablations: pd.DataFrame) -> str:
    """What a reader must know to read `present_ablations`."""
    return (
        f"{origin(ablations)}Networks that differ from another in one part, on the "
        "test recordings. A row named as its counterpart with an addition chooses from other "
        "candidates (-binary and -apot: these schemes as well; -uniform and -pot: only that one "
        f"beside them); {DISTILLED} learns from the float network as well. Gain: percentage "
        "points, paired over seeds and recordings, with a 95 % interval."
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
    """`results.statistics.significance_table` for people: the seeds of a network share its row."""
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
    return shown.assign(Dataset=on_first_row(shown["Dataset"]))


def significance_caption(table: pd.DataFrame) -> str:
    """What a reader must know to read `present_significance`."""
    return (
        f"{origin(table)}Test recordings that each network gets right, seed by seed, and in how "
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


def present_epochs(table: pd.DataFrame) -> pd.DataFrame:
    """`results.tables.epoch_table` for people."""
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
        f"{origin(table)}A diagnostic, no result: test accuracy of the float networks, mean of "
        f"{table['n'].max()} seeds, by how an epoch is chosen. The study judges the last "
        "epoch. Taking the best test epoch, as is common in the field, would claim this many "
        "points more (range over seeds), without a better network."
    )

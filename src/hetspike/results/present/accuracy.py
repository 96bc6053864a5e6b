"""Tables of accuracies, and of what is compared by them, for people."""

import math
from collections.abc import Callable

import pandas as pd

from hetspike.names import DISTILLED, FLOAT, FLOAT_TUNED, LONGER
from hetspike.results.effort import effort_table
from hetspike.results.present.columns import (
    DATASET,
    NETWORK,
    Row,
    Table,
    Write,
    deviation,
    factor,
    spread,
)
from hetspike.results.statistics import significance_table
from hetspike.results.tables import epoch_table

SIGNIFICANT = 0.05  # where a p counts as a difference


def _summary(results: pd.DataFrame) -> pd.DataFrame:
    """A row per cell of the study and a column per dataset: the whole study at a glance."""
    shown: dict[str, list[str]] = {}
    for row in results.to_dict("records"):
        reference = row["cell"] in (FLOAT, FLOAT_TUNED)
        drop = "" if reference else f", drop {spread('drop')(row)}"
        shown.setdefault(row["dataset"], []).append(f"{row['accuracy']:.1f}{drop}")
    cells = results.groupby("cell", sort=False)
    return pd.DataFrame(
        {
            "Network": list(cells.groups),
            "Effective bits": cells["effective_bits"].mean().map("{:.2f}".format).tolist(),
            "Compression": cells["compression"].mean().map("{:#.3g}x".format).tolist(),
            **shown,
        }
    )


def _of_the_paper(row: Row) -> str:
    written = "{paper_dataset}: {paper_accuracy:g} %, energy {paper_energy:g}x"
    return "" if pd.isna(row["paper_dataset"]) else written.format_map(row)


def _seeds_joined(table: pd.DataFrame) -> pd.DataFrame:
    """A row per dataset and cell, of lists over seeds; of one where all seeds have the same."""
    rows = table.groupby(["dataset", "cell"], sort=False).agg(list).reset_index()
    return rows.assign(**{name: rows[name].str[:1] for name in ("recordings", "groups", "p_seeds")})


def _listed(write: Callable[..., str], *names: str) -> Write:
    """What `write` makes of the lists of these names, side by side; a dash where numbers lack."""

    def cell(row: Row) -> str:
        lacking = any(map(math.isnan, row[names[0]]))
        return "-" if lacking else ", ".join(map(write, *(row[name] for name in names)))

    return cell


def _probability(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _decided(row: Row) -> str:
    """Under how many seeds the network is worse, or better, than the reference."""
    seeds = [*zip(row["lost"], row["gained"], row["p"], strict=True)]
    if any(math.isnan(p) for *_, p in seeds):
        return "-"
    worse = [lost > gained for lost, gained, p in seeds if p < SIGNIFICANT]
    counts = {"worse": sum(worse), "better": worse.count(False)}
    told = ", ".join(f"{word} {count}" for word, count in counts.items() if count)
    return f"{told or 'neither'} of {len(seeds)}"


def _change(row: Row) -> str:
    return "" if math.isnan(row["change"]) else spread("change", "+z.1f")(row)


TABLES = {
    "summary": Table(
        lambda of: of.results,
        {},
        "{stand_ins}Test accuracy in % after the last epoch, mean of {seeds} seeds; drop in "
        f"percentage points against {FLOAT_TUNED}, which had the same extra epochs, with a paired "
        "95 % interval.",
        _summary,
    ),
    "results": Table(
        lambda of: of.results,
        NETWORK
        | {
            "Accuracy (%)": deviation("accuracy"),
            "Selected epoch (%)": "{selected_accuracy:.1f}",
            "Drop (pp)": spread("drop"),
            "Effective bits": spread("effective_bits", ".2f"),
            "Compression": factor("compression"),
            "Energy ratio, weight bits": factor("energy_bits_linear"),
            "Energy ratio, MAC and AC": factor("energy_field"),
            "Paper, on its own data": _of_the_paper,
        },
        "{stand_ins}Accuracy on the test recordings: mean ± standard deviation over seeds "
        "(number of seeds), of the last epoch, as is all else; selected epoch: that of the epoch "
        "which validation would have taken. Drop: percentage points lost against "
        f"{FLOAT_TUNED}, paired, with a 95 % interval from a bootstrap over seeds and groups of "
        "recordings (images, subjects, regions). Other brackets: range over seeds. Compression "
        f"counts quantized weights only, as the paper does. Energy ratio: {FLOAT_TUNED} over this "
        "network, for weight traffic by stored bits and for 4.6 pJ per MAC and 0.9 pJ per AC. The "
        "last column is what the paper reports on the recordings named there; it is no target for "
        "other data.",
    ),
    "comparison": Table(
        lambda of: of.comparison,
        DATASET
        | {
            "Search": "{method}",
            "Budget (bits)": "{setting:g}",
            "Effective bits": "{effective_bits:.2f}",
            "Accuracy (%)": deviation("accuracy"),
            "Between draws (pp)": lambda row: (
                "" if math.isnan(row["draws_sd"]) else f"± {row['draws_sd']:.1f}"
            ),
            "Drop (pp)": spread("drop"),
            "Best single scheme (%)": lambda row: (
                "{single} {single_accuracy:.1f}".format_map(row) if row["single"] else "-"
            ),
            "Gain over it (pp)": spread("gain"),
            "Cost (QAT runs)": "{qat_runs:.2f}",
        },
        "{stand_ins}Searched networks on the test recordings: mean ± standard deviation "
        "(number of networks, seeds times draws). Best single scheme: the one of highest test "
        "accuracy at the same effective bits, interpolated between its two nearest whole "
        "widths. Drop and gain: percentage points against float-tuned and against that scheme, "
        "paired, with a 95 % interval; a gain is positive where the search is better, under the "
        "study's own recipe of QAT: what more epochs would leave of it is not measured. Cost: "
        "recordings that the search passed through the network, over those of one QAT run, a pass "
        "with gradients counted as three.",
    ),
    "significance": Table(
        lambda of: significance_table(of.predictions, of.cells, reference=FLOAT_TUNED),
        NETWORK
        | {
            "Right (k of n)": lambda row: (
                f"{', '.join(map(str, row['right']))} of {row['recordings'][0]}"
            ),
            "Groups": _listed(str, "groups"),
            "Exact interval (%)": _listed("[{:.1f}, {:.1f}]".format, "right_low", "right_high"),
            "Lost / gained": _listed("{:.0f} / {:.0f}".format, "lost", "gained"),
            "p": _listed(_probability, "p"),
            "p < 0.05": _decided,
            "p, all seeds": _listed(_probability, "p_seeds"),
        },
        "{stand_ins}Test recordings that each network gets right, seed by seed, and in how "
        "many groups they come (images, subjects, regions). Exact 95 % interval of that share "
        "(Clopper-Pearson): only where each recording is a group of its own. Lost / gained: "
        f"recordings that only {FLOAT_TUNED} of the same seed gets right, and only this network. "
        "p: exact, two-sided, of whole groups whose lost less gained recordings might as well have "
        "come out with the other sign; McNemar's test where a group is a recording. Then under how "
        f"many seeds the network is worse or better at p < {SIGNIFICANT:g}, and one p for no "
        "difference under any seed, the least times the number of seeds (Bonferroni), since these "
        "meet the same recordings. Nothing corrects for the number of rows: of twenty tests "
        "without a difference one is expected below 0.05. Verdicts rest on the bootstrap over "
        "seeds and groups instead.",
        _seeds_joined,
    ),
    "effort": Table(
        lambda of: effort_table(of.histories, of.cells),
        NETWORK
        | {
            "Epochs": "{epochs}",
            "Validation accuracy (%)": deviation("accuracy"),
            "Change from half as many (pp)": _change,
        },
        "{stand_ins}Accuracy on the validation recordings in the last epoch, by the number of "
        "epochs of the training from scratch (float) or of QAT (all others): mean ± standard "
        "deviation over seeds (number of seeds). Change: percentage points gained over the row "
        "above it, mean over seeds with a 95 % interval (Student's t). Where doubling the epochs "
        "changes nothing, the rows of a study are compared after their training and not on the "
        "way. No test recording is used.",
    ),
    "ablations": Table(
        lambda of: of.ablations,
        NETWORK
        | {
            "Accuracy (%)": "{accuracy:.1f}",
            "Against": "{against}",
            "Its accuracy (%)": "{against_accuracy:.1f}",
            "Gain (pp)": spread("gain"),
        },
        "{stand_ins}Networks that differ from another in one part, on the test recordings. A row "
        "named as its counterpart with an addition chooses from other candidates (-binary and "
        "-apot: these schemes as well; -uniform and -pot: only that one beside them); "
        f"{DISTILLED} learns from the float network as well; {LONGER}2 has twice the epochs of "
        "QAT. Gain: percentage points, paired over seeds and recordings, with a 95 % interval.",
    ),
}

BEST_EPOCH = Table(
    epoch_table,
    DATASET
    | {
        "Last epoch (%)": "{last:.1f}",
        "Mean of the last ten (%)": "{last_ten:.1f}",
        "By validation (%)": "{selected:.1f}",
        "Best test epoch (%)": "{best:.1f}",
        "Optimism (pp)": spread("optimism", "+.1f", ends="least most"),
    },
    "{stand_ins}A diagnostic, no result: test accuracy of the float networks, mean of {seeds} "
    "seeds, by how an epoch is chosen. The study judges the last epoch. Taking the best test "
    "epoch, as is common in the field, would claim this many points more (range over seeds), "
    "without a better network.",
)

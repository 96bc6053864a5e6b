"""Comparisons: searched rows with single schemes at equal bits, and ablations.

A scheme alone comes at whole bits only. Between two of its rows its accuracy is interpolated:

    right(e) = (1 - f) right(b) + f right(b + d)     e = b + f d,  0 <= f <= 1

recording by recording and seed by seed, e being the effective bits of the searched network of that
seed. So the gain of a search over a scheme is a mean over seeds and recordings as a drop is, with
an interval of the same kind. The scheme to beat is the one of the highest test accuracy at these
bits: the choice favours the single scheme.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hetspike.cost.sizes import effective_bits
from hetspike.names import is_plain
from hetspike.quantization.levels import BINARY
from hetspike.results.statistics import correctness, means_with_intervals

COMPARISON_COLUMNS = (
    *("dataset", "method", "setting", "effective_bits", "accuracy", "accuracy_sd", "n"),
    *("draws_sd", "drop", "drop_low", "drop_high"),
    *("single", "single_accuracy", "gain", "gain_low", "gain_high", "qat_runs"),
)
# measures of a row of the results: over the best single scheme at equal bits, and over the row that
# differs in one part
GAINS = ("gain", "part_gain")
ABLATION_COLUMNS = (
    *("dataset", "cell", "against", "accuracy", "against_accuracy"),
    *("gain", "gain_low", "gain_high"),
)


def at_equal_bits(right: NDArray, widths: NDArray, bits: NDArray) -> NDArray[np.float64]:
    """Rows [K, S, R] of one scheme at ascending widths [K] -> [S, R] at the bits [S] of each seed.

    NaN where the bits of a seed lie outside the widths.
    """
    shares = [np.interp(bits, widths, row, np.nan, np.nan) for row in np.eye(len(widths))]
    return np.einsum("ks,ksr->sr", np.array(shares), right)


def comparison_table(
    predictions: pd.DataFrame,
    layers: pd.DataFrame,
    cells: pd.DataFrame,
    efforts: pd.DataFrame,
    *,
    reference: str,
    seed: int = 0,
) -> pd.DataFrame:
    """COMPARISON_COLUMNS, a row per dataset, search and budget; draws of one search are averaged.

    predictions  dataset, cell, seed, recording, group, label, prediction
    layers       dataset, cell, seed, weights, bits (one row per operation)
    cells        cell, method, setting, searched; cells that repeat another one are left out
    efforts      dataset, cell, qat_runs: what each search cost, a row per seed
    reference    the cell that drops are counted from

    n counts networks (seeds times draws), accuracy_sd is their standard deviation, draws_sd that of
    the means of draws. `single` is the best single scheme at the same bits, empty where no scheme
    has rows on both sides.
    """
    tables = []
    by_dataset = groupby(searched(predictions, layers, cells), lambda each: each.dataset)
    for dataset, found in by_dataset:
        each_search = list(found)
        costs = efforts[efforts["dataset"] == dataset].groupby("cell")["qat_runs"].mean()
        rows, lost, gained = [], [], []
        for search in each_search:
            by_network = 100 * search.right.mean(2)  # [draws, S]
            rows.append(
                {
                    "dataset": dataset,
                    "method": search.method,
                    "setting": search.setting,
                    "effective_bits": search.bits.mean(),
                    "accuracy": by_network.mean(),
                    "accuracy_sd": pd.Series(by_network.ravel()).std(),
                    "n": by_network.size,
                    "draws_sd": pd.Series(by_network.mean(1)).std(),
                    "single": search.scheme,
                    "single_accuracy": 100 * search.single.mean(),
                    "qat_runs": costs[search.draws].mean(),
                }
            )
            lost.append(search.others[reference] - search.right.mean(0))
            gained.append(search.gained)
        groups = each_search[0].groups
        drops = means_with_intervals("drop", np.array(lost), groups, seed=seed)
        gains = means_with_intervals("gain", np.array(gained), groups, seed=seed)
        tables.append(pd.DataFrame(rows).assign(**drops, **gains))
    return _joined(tables, COMPARISON_COLUMNS)


class Searched(NamedTuple):
    """The networks of one search at one budget on one dataset, and the single scheme to beat.

    draws   their cells
    bits    effective bits [S], a mean over draws
    right   1 where a network is right [draws, S, R], of recordings with groups [R]
    scheme  of highest accuracy at these bits, empty where none has rows on both sides, and then
    single  [S, R] is NaN
    others  cell -> [S, R], of all cells
    """

    dataset: str
    method: str
    setting: float
    draws: list[str]
    bits: NDArray[np.float64]
    right: NDArray[np.int64]
    groups: NDArray
    scheme: str
    single: NDArray[np.float64]
    others: dict[str, NDArray[np.int64]]

    @property
    def gained(self) -> NDArray[np.float64]:
        """How much more of each recording is right than with the single scheme [S, R]."""
        return self.right.mean(0) - self.single


def searched(
    predictions: pd.DataFrame, layers: pd.DataFrame, cells: pd.DataFrame
) -> Iterator[Searched]:
    """Every search at every budget, dataset by dataset, from tables as in `comparison_table`."""
    cells = cells[cells["cell"].map(is_plain)]
    for dataset, predicted in predictions.groupby("dataset", sort=False):
        names, right, groups = correctness(predicted[predicted["cell"].isin(cells["cell"])])
        networks = layers[layers["dataset"] == dataset].groupby(["cell", "seed"])
        bits = networks.apply(effective_bits).unstack("seed").loc[names].to_numpy()  # [K, S]
        schemes = _schemes(cells[~cells["searched"]], names)
        searches = cells[cells["searched"]].groupby(["method", "setting"], sort=False)
        for _, draws in searches:
            at = names.get_indexer(pd.Index(draws["cell"]))
            spent = bits[at].mean(0)  # [S]
            scheme, single = _best_at(schemes, right, spent)
            yield Searched(
                dataset=str(dataset),
                method=draws["method"].iloc[0],
                setting=draws["setting"].iloc[0],
                draws=[*draws["cell"]],
                bits=spent,
                right=right[at],
                groups=groups,
                scheme=scheme,
                single=single,
                others=dict(zip(names, right, strict=True)),
            )


def _best_at(
    schemes: dict[str, tuple[NDArray, NDArray]], right: NDArray, bits: NDArray
) -> tuple[str, NDArray[np.float64]]:
    """Name and rows [S, R] of the single scheme of highest accuracy at these bits [S]."""
    rows = {
        name: at_equal_bits(right[members], widths, bits)
        for name, (members, widths) in schemes.items()
    }
    inside = {name: each.mean() for name, each in rows.items() if not np.isnan(each).any()}
    if not inside:
        return "", np.full(right.shape[1:], np.nan)
    best = max(inside, key=lambda name: inside[name])
    return best, rows[best]


def _schemes(cells: pd.DataFrame, names: pd.Index) -> dict[str, tuple[NDArray, NDArray]]:
    """Scheme -> (rows of `correctness`, ascending widths) of those that come in several widths."""
    found = {}
    one_bit = cells["method"] == BINARY
    for scheme in cells.loc[~one_bit & cells["setting"].notna(), "method"].unique():
        rows = cells[one_bit | (cells["method"] == scheme)].sort_values("setting")
        if len(rows) > 1:
            found[scheme] = names.get_indexer(pd.Index(rows["cell"])), rows["setting"].to_numpy()
    return found


def ablation_table(
    predictions: pd.DataFrame, cells: pd.DataFrame, *, seed: int = 0
) -> pd.DataFrame:
    """ABLATION_COLUMNS, a row per dataset and cell that differs from another in one part.

    cells: cell, against (the other cell, or empty). A gain is cell minus the other, paired.
    """
    pairs = cells[cells["against"] != ""]
    if pairs.empty:
        return _joined([], ABLATION_COLUMNS)
    tables = []
    for dataset, predicted in predictions.groupby("dataset", sort=False):
        names, right, groups = correctness(predicted[predicted["cell"].isin(cells["cell"])])
        ours, theirs = (
            right[names.get_indexer(pd.Index(pairs[name]))] for name in ("cell", "against")
        )
        tables.append(
            pairs[["cell", "against"]].assign(
                dataset=dataset,
                accuracy=100 * ours.mean((1, 2)),
                against_accuracy=100 * theirs.mean((1, 2)),
                **means_with_intervals("gain", ours - theirs, groups, seed=seed),
            )
        )
    return _joined(tables, ABLATION_COLUMNS)


def gains_of_cells(
    comparison: pd.DataFrame, ablations: pd.DataFrame, cells: pd.DataFrame
) -> pd.DataFrame:
    """Return the GAINS of single cells with their intervals: dataset, cell, <gain>, _low, _high.

    comparison, ablations   `comparison_table` and `ablation_table` of these cells

    A search of several draws is no single cell. A gain that does not exist is NaN.
    """
    searched = cells[cells["searched"] & cells["cell"].map(is_plain)]
    single = searched.drop_duplicates(["method", "setting"], keep=False)
    keys = ["dataset", "cell"]
    of_cells = single[["cell", "method", "setting"]].astype({"setting": float})
    over_schemes = comparison.astype({"setting": float}).merge(of_cells)
    over_others = ablations.rename(columns=lambda name: name.replace("gain", "part_gain"))
    ends = [[f"{gain}{end}" for end in ("", "_low", "_high")] for gain in GAINS]
    return over_schemes[[*keys, *ends[0]]].merge(over_others[[*keys, *ends[1]]], how="outer")


def _joined(tables: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    """One table under the other; a study without such rows has a table without rows."""
    return pd.concat(tables or [pd.DataFrame(columns=list(columns))])[list(columns)].reset_index(
        drop=True
    )

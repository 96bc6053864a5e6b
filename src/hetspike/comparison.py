"""Searched networks against single schemes at equal bits, and against rows that differ in one part.

A scheme alone comes at whole bits only. Between two of its rows its accuracy is interpolated:

    right(e) = (1 - f) right(b) + f right(b + d)     e = b + f d,  0 <= f <= 1

recording by recording and seed by seed, e being the effective bits of the searched network of that
seed. So the gain of a search over a scheme is a mean over seeds and recordings as a drop is, with
an interval of the same kind. The scheme to beat is the one of the highest test accuracy at these
bits: the choice favours the single scheme.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hetspike.cost import effective_bits
from hetspike.stats import correctness, means_with_intervals

ONE_BIT = "binary"  # below two bits the schemes are one: a sign
COMPARISON_COLUMNS = (
    *("dataset", "method", "setting", "effective_bits", "accuracy", "accuracy_sd", "n"),
    *("draws_sd", "drop", "drop_low", "drop_high"),
    *("single", "single_accuracy", "gain", "gain_low", "gain_high", "qat_runs"),
)
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
    cells        cell, method, setting, distilled, searched
    efforts      dataset, cell, seed, qat_runs: what each search cost
    reference    the cell that drops are counted from

    n counts networks (seeds times draws), accuracy_sd is their standard deviation, draws_sd the one
    between the means of draws. `single` is the best single scheme at the same bits, empty where no
    scheme has rows on both sides.
    """
    plain = cells[~cells["distilled"]]
    tables = []
    for dataset, predicted in predictions.groupby("dataset", sort=False):
        names, right, groups = correctness(predicted[predicted["cell"].isin(cells["cell"])])
        networks = layers[layers["dataset"] == dataset].groupby(["cell", "seed"])
        bits = networks.apply(effective_bits).unstack("seed").loc[names].to_numpy()  # [K, S]
        schemes = _schemes(plain[~plain["searched"]], names)
        rows, lost, gained = [], [], []
        for (method, setting), draws in plain[plain["searched"]].groupby(
            ["method", "setting"], sort=False
        ):
            at = names.get_indexer(draws["cell"])
            found, spent = right[at], bits[at].mean(0)
            singles = {
                scheme: at_equal_bits(right[rows_of], widths, spent)
                for scheme, (rows_of, widths) in schemes.items()
            }
            inside = {name: each for name, each in singles.items() if not np.isnan(each).any()}
            best = max(inside, key=lambda name: inside[name].mean(), default="")
            single = inside.get(best, np.full(found.shape[1:], np.nan))
            per_network = 100 * found.mean(2)  # [draws, S]
            costs = efforts[(efforts["dataset"] == dataset) & efforts["cell"].isin(draws["cell"])]
            rows.append(
                {
                    "method": method,
                    "setting": setting,
                    "effective_bits": spent.mean(),
                    "accuracy": per_network.mean(),
                    "accuracy_sd": per_network.std(ddof=1) if per_network.size > 1 else np.nan,
                    "n": per_network.size,
                    "draws_sd": per_network.mean(1).std(ddof=1) if len(at) > 1 else np.nan,
                    "single": best,
                    "single_accuracy": 100 * single.mean(),
                    "qat_runs": costs["qat_runs"].mean(),
                }
            )
            lost.append(right[names.get_loc(reference)] - found.mean(0))
            gained.append(found.mean(0) - single)
        if rows:
            intervals = means_with_intervals("drop", np.array(lost), groups, seed=seed)
            intervals |= means_with_intervals("gain", np.array(gained), groups, seed=seed)
            tables.append(pd.DataFrame(rows).assign(dataset=dataset, **intervals))
    empty = pd.DataFrame(columns=list(COMPARISON_COLUMNS))
    return pd.concat(tables, ignore_index=True)[list(COMPARISON_COLUMNS)] if tables else empty


def _schemes(cells: pd.DataFrame, names: pd.Index) -> dict[str, tuple[NDArray, NDArray]]:
    """Scheme -> (rows of `correctness`, ascending widths) of those that come in several widths."""
    found = {}
    one_bit = cells["method"] == ONE_BIT
    for scheme in cells.loc[~one_bit & cells["setting"].notna(), "method"].unique():
        rows = cells[one_bit | (cells["method"] == scheme)].sort_values("setting")
        if len(rows) > 1:
            found[scheme] = names.get_indexer(rows["cell"]), rows["setting"].to_numpy()
    return found


def ablation_table(
    predictions: pd.DataFrame, cells: pd.DataFrame, *, seed: int = 0
) -> pd.DataFrame:
    """ABLATION_COLUMNS, a row per dataset and cell that differs from another in one part.

    cells: cell, against (the other cell, or empty). A gain is cell minus the other, paired.
    """
    pairs = cells[cells["against"] != ""]
    tables = []
    for dataset, predicted in predictions.groupby("dataset", sort=False):
        names, right, groups = correctness(predicted[predicted["cell"].isin(cells["cell"])])
        ours, theirs = (right[names.get_indexer(pairs[name])] for name in ("cell", "against"))
        if len(pairs):
            tables.append(
                pairs[["cell", "against"]].assign(
                    dataset=dataset,
                    accuracy=100 * ours.mean((1, 2)),
                    against_accuracy=100 * theirs.mean((1, 2)),
                    **means_with_intervals("gain", ours - theirs, groups, seed=seed),
                )
            )
    empty = pd.DataFrame(columns=list(ABLATION_COLUMNS))
    return pd.concat(tables, ignore_index=True)[list(ABLATION_COLUMNS)] if tables else empty

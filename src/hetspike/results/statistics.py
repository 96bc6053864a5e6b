"""Intervals and tests of accuracies and their differences, over seeds and recordings.

A cell of the study gives a matrix: seed s of the training classifies test recording r rightly or
not. Both seeds and recordings are a sample of what could have been, and they cross: every seed
meets the same recordings. Recordings of one group (a subject, an image, a region of a photograph)
are alike, and groups are what the splits are made of, so groups are drawn, not recordings. Seeds
and groups are drawn with replacement, independently of each other, and the mean is taken over the
drawn rows and columns (the pigeonhole bootstrap: Owen 2007, doi:10.1214/07-AOAS122, who shows it
to err on the side of wide intervals). Every cell is seen through the same draws, which is what
makes a difference of two cells paired.

Beside it stand the counts of each network alone, for test sets that are small: an exact test
against the reference of the same seed, group by group, and exact intervals where each recording is
a group of its own.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

RESAMPLES = 10_000
TAILS = (0.025, 0.975)  # a 95 % interval
SIGNIFICANCE_COLUMNS = (
    *("dataset", "cell", "seed", "recordings", "groups", "right", "right_low", "right_high"),
    *("lost", "gained", "p", "p_seeds"),
)


def correctness(predictions: pd.DataFrame) -> tuple[pd.Index, NDArray[np.int64], NDArray]:
    """One dataset's predictions as cells [K], [K, S, R]: 1 where right, and groups [R].

    Sorted by cell, seed and recording, so the order of the rows does not matter. Every cell must
    hold the same seeds, and every seed the same recordings, once each.
    """
    right = predictions.assign(right=predictions["label"] == predictions["prediction"])
    table = right.pivot(index=["cell", "seed"], columns="recording", values="right")
    cells, seeds = (table.index.unique(level) for level in ("cell", "seed"))
    complete = len(table) == len(cells) * len(seeds) and table.notna().all(axis=None)
    assert complete, "every cell needs the same seeds and recordings"
    groups = predictions.drop_duplicates("recording").set_index("recording")["group"]
    values = table.to_numpy(np.int64).reshape(len(cells), len(seeds), -1)
    return cells, values, groups.loc[table.columns].to_numpy()


def by_group(values: NDArray, groups: NDArray) -> tuple[NDArray, NDArray[np.int64]]:
    """Sums of values [..., R] over the recordings of each group: [..., G], and its size: [G].

    >>> [each.tolist() for each in by_group(np.array([[1, 0, 5]]), np.array([7, 7, 2]))]
    [[[5, 1]], [1, 2]]
    """
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    together = values[..., np.argsort(member, kind="stable")]
    return np.add.reduceat(together, np.cumsum(sizes) - sizes, axis=-1), sizes


def crossed_bootstrap(
    values: NDArray, groups: NDArray, *, seed: int, resamples: int = RESAMPLES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Low and high ends [K] of the 95 % intervals of the means over S, R.

    values [K, S, R]; groups [R] which recordings are drawn together. A resample is how often each
    seed and each group was drawn; its mean is the sum of the values weighted by both, over the
    recordings drawn. All K share the draws. With few seeds the interval says little about seeds
    not run: with one, nothing.
    """
    cells, seeds, _ = values.shape
    grouped, sizes = by_group(values, groups)  # [K, S, G], [G]
    rng = np.random.default_rng(seed)
    drawn_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), resamples)  # [B, S]
    drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), resamples)  # [B, G]
    # whole numbers in float64 add up exactly in any order; interpolated ones need one BLAS thread
    sums = drawn.astype(np.float64) @ grouped.reshape(-1, len(sizes)).T.astype(np.float64)
    totals = np.einsum("bs,bks->kb", drawn_seeds, sums.reshape(resamples, cells, seeds))
    low, high = np.quantile(totals / (seeds * (drawn @ sizes)), TAILS, axis=1)
    return low, high


def means_with_intervals(
    name: str, values: NDArray, groups: NDArray, *, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Means over S, R of values [K, S, R] in percent, and their intervals, as three columns [K]."""
    low, high = crossed_bootstrap(values, groups, seed=seed)
    means = values.mean(axis=(1, 2))
    return {name: 100 * means, f"{name}_low": 100 * low, f"{name}_high": 100 * high}


def accuracies(predictions: pd.DataFrame, *, reference: str, seed: int) -> pd.DataFrame:
    """One dataset's accuracy of every cell, and its drop from the reference [percentage points].

    predictions: columns cell, seed, recording, group, label, prediction. Returns, by cell: accuracy
    (mean over seeds), accuracy_sd (over seeds, ddof 1), n (seeds), drop = reference - cell
    (positive is worse), and the ends accuracy_low, accuracy_high, drop_low, drop_high of their
    intervals. The reference has no drop from itself.
    """
    cells, right, groups = correctness(predictions)
    lost = right[cells.get_loc(reference)] - right  # 1 lost, -1 gained, 0 as the reference
    table = pd.DataFrame(
        {
            **means_with_intervals("accuracy", right, groups, seed=seed),
            "accuracy_sd": pd.DataFrame(100 * right.mean(axis=2), index=cells).std(axis=1, ddof=1),
            "n": right.shape[1],
            **means_with_intervals("drop", lost, groups, seed=seed),
        },
        index=cells,
    )
    table.loc[reference, ["drop", "drop_low", "drop_high"]] = np.nan
    return table


def exact_interval(right: int, recordings: int) -> tuple[float, float]:
    """95 % interval in percent of a share counted on few recordings [Clopper & Pearson 1934].

    >>> [round(end, 1) for end in exact_interval(281, 288)]
    [95.1, 99.0]
    """
    low, high = binomtest(right, recordings).proportion_ci(method="exact")
    return 100 * low, 100 * high


def sign_flips(differences: NDArray[np.int64]) -> float:
    """Exact p, two-sided, of two networks on the same groups of recordings [Fisher 1935].

    differences [G]: recordings of each group that the one network gets right and the other does
    not, less those the other way round. Were the networks equally good, each group might as well
    have come out the other way: its sign is a toss of a coin. p is the share of the 2^G sums of
    +-|d_g| that lie as far from zero as the one seen, or farther. With one recording a group this
    is McNemar's exact test [1947].

    >>> sign_flips(np.array([1] * 8 + [-1] * 2))  # 2 (1 + 10 + 45) / 2^10
    0.109375
    >>> sign_flips(np.array([4, 4, -2]))  # sums of 10, 6, 2 and 2, each with either sign
    0.5
    """
    sizes = np.abs(differences[differences != 0])
    total = int(sizes.sum())
    ways = np.zeros(total + 1, object)  # of choosing groups that hold so many: whole numbers
    ways[0] = 1
    for size in sizes:
        ways[size:] = ways[size:] + ways[:-size]
    far = np.abs(2 * np.arange(total + 1) - total) >= abs(int(differences.sum()))
    return float(ways[far].sum() / 2 ** len(sizes))


def over_seeds(p: NDArray[np.float64]) -> float:
    """One p for a comparison under several seeds [S]: the least times S, 1 at most [Bonferroni].

    Seeds meet the same recordings, so their p are not independent; this holds whatever they are.

    >>> over_seeds(np.array([0.5, 0.25, 0.01]))
    0.03
    """
    return min(1.0, len(p) * float(p.min()))


def significance_table(
    predictions: pd.DataFrame, cells: pd.DataFrame, *, reference: str
) -> pd.DataFrame:
    """SIGNIFICANCE_COLUMNS, a row per dataset, cell and seed.

    predictions  dataset, cell, seed, recording, group, label, prediction
    cells        cell: those of the study, in its order

    right counts recordings; right_low and right_high are the exact interval of its share in
    percent, which only recordings that are groups of their own have. lost and gained count
    recordings that the reference of the same seed gets right and this network does not, and the
    other way round; p is that of `sign_flips` over groups, p_seeds that of all seeds of the cell.
    The reference has none of these.
    """
    tables = []
    for dataset, predicted in predictions.groupby("dataset", sort=False):
        predicted = predicted[predicted["cell"].isin(cells["cell"])]
        names, right, groups = correctness(predicted)
        theirs = right[names.get_loc(reference)]  # [S, R]
        for cell in cells["cell"]:
            ours = right[names.get_loc(cell)]
            differences, sizes = by_group(theirs - ours, groups)  # [S, G], [G]
            table = pd.DataFrame(
                {
                    "seed": np.sort(predicted["seed"].unique()),
                    "recordings": len(groups),
                    "groups": len(sizes),
                    "right": ours.sum(1),
                    "lost": (theirs > ours).sum(1),
                    "gained": (ours > theirs).sum(1),
                }
            ).assign(dataset=dataset, cell=cell)
            table[["right_low", "right_high"]] = [
                exact_interval(*row) if len(sizes) == len(groups) else (np.nan, np.nan)
                for row in table[["right", "recordings"]].to_numpy()
            ]
            table["p"] = [sign_flips(row) for row in differences]
            table["p_seeds"] = over_seeds(table["p"].to_numpy())
            tables.append(table)
    joined = pd.concat(tables, ignore_index=True)
    compared = ["lost", "gained", "p", "p_seeds"]
    joined[compared] = joined[compared].mask(joined["cell"] == reference)
    return joined[list(SIGNIFICANCE_COLUMNS)]

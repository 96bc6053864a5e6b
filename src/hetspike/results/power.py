"""What a number of seeds and groups can tell: components of variance of a paired difference.

Seed s and recording r of group g have the difference (reference - network, or network - scheme)

    d_sgr = mean + S_s + G_g + (SG)_sg + R_r(g) + e_sr     all effects random, without a mean

Every seed meets every recording, so the sums of squares of the five effects are orthogonal, also
where groups have unlike sizes n_g. With S seeds, G groups, N recordings, k = sum(n_g^2) / N and
n0 = (N - k) / (G - 1), their mean squares are expected to be [Searle, Casella & McCulloch 1992,
Variance Components, ch. 4 and 5, by the ANOVA method]

    seeds            s_e + k s_SG + N s_S             S - 1 degrees of freedom
    groups           s_e + n0 s_SG + S s_R + S n0 s_G G - 1
    seeds x groups   s_e + n0 s_SG                    (S - 1) (G - 1)
    recordings       s_e + S s_R                      N - G
    rest             s_e                              (S - 1) (N - G)

which is solved for the variances s. Where each recording is a group of its own, the last two do not
exist: s_R and s_e count as s_G and s_SG. The mean difference has the variance

    s_S / S  +  k s_G / N + s_R / N  +  (k s_SG + s_e) / (S N)

from seeds, from groups (and the recordings that stand for them), and from both together. Only more
recordings make the second part smaller. The half-width of a 95 % interval is t times the square
root; t has the degrees of freedom of the five mean squares in it [Satterthwaite 1946]. With three
seeds, this is wider than the interval of the bootstrap, which knows no t.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import nct
from scipy.stats import t as student

from hetspike.results.claims import Claims
from hetspike.results.comparison import searched
from hetspike.results.statistics import by_group, correctness, crossed_bootstrap

CONFIDENCE = 0.975  # of one side
POINT = 0.01  # the half-width and the distance that are asked for: one percentage point
MOST_SEEDS = 1000
POWER_COLUMNS = (
    *("dataset", "measure", "cell", "groups", "recordings", "n", "sd_seeds"),
    *("se_seeds", "se_groups", "se_rest", "half_width", "bootstrap", "power", "seeds_needed"),
)


class Components(NamedTuple):
    """The five variances; estimates may be negative."""

    seed: float
    group: float
    seed_group: float
    recording: float
    rest: float

    @property
    def clipped(self) -> "Components":
        """The same without negative ones."""
        return Components(*(max(each, 0.0) for each in self))


class Sample(NamedTuple):
    """How many groups and recordings there are, and two means of the sizes of groups."""

    groups: int
    recordings: int
    k: float
    n0: float

    @classmethod
    def of(cls, sizes: Sequence[int] | NDArray[np.int64]) -> "Sample":
        """From the sizes of two groups or more.

        >>> Sample.of([2, 2, 2])
        Sample(groups=3, recordings=6, k=2.0, n0=2.0)
        """
        groups, recordings = len(sizes), int(np.sum(sizes))
        k = float(np.square(sizes).sum() / recordings)
        return cls(groups, recordings, k, (recordings - k) / (groups - 1))


def components(values: NDArray, groups: NDArray) -> Components:
    """The variances behind differences [S, R] of recordings with groups [R], without a bias.

    There must be two seeds and two groups.

    >>> components(np.array([[3, 1], [2, 0]]), np.array([0, 1]))
    Components(seed=0.5, group=2.0, seed_group=0.0, recording=0.0, rest=0.0)
    """
    sums, sizes = by_group(values, groups)  # [S, G], [G]
    sample, seeds = Sample.of(sizes), len(values)
    _, member = np.unique(groups, return_inverse=True)
    of_cell = sums / sizes
    of_group, of_seed, of_recording = of_cell.mean(0), values.mean(1), values.mean(0)
    mean = values.mean()
    inside = of_recording - of_group[member]
    beside = of_cell - of_group - of_seed[:, None] + mean
    left = values - of_cell[:, member] - inside
    squares = (
        sample.recordings * np.square(of_seed - mean).sum(),
        seeds * (sizes * np.square(of_group - mean)).sum(),
        (sizes * np.square(beside)).sum(),
        seeds * np.square(inside).sum(),
        np.square(left).sum(),
    )
    per_seed, per_group, both, per_recording, rest = (
        float(square / degrees) if degrees else 0.0
        for square, degrees in zip(squares, _degrees(sample, seeds), strict=True)
    )
    seed_group = (both - rest) / sample.n0
    return Components(
        seed=(per_seed - rest - sample.k * seed_group) / sample.recordings,
        group=(per_group - both - per_recording + rest) / (seeds * sample.n0),
        seed_group=seed_group,
        recording=(per_recording - rest) / seeds,
        rest=rest,
    )


def _degrees(sample: Sample, seeds: float | NDArray) -> tuple:
    """Degrees of freedom of the five mean squares."""
    groups, inside = sample.groups - 1, sample.recordings - sample.groups
    return seeds - 1, groups, (seeds - 1) * groups, inside, (seeds - 1) * inside


def error_parts(of: Components, sample: Sample, seeds: int) -> tuple[float, float, float]:
    """The parts of the variance of the mean difference: from seeds, from groups, from both.

    >>> error_parts(Components(0.5, 2.0, 0.0, 0.0, 0.0), Sample.of([1, 1]), seeds=2)
    (0.25, 1.0, 0.0)
    """
    return (
        of.seed / seeds,
        (sample.k * of.group + of.recording) / sample.recordings,
        (sample.k * of.seed_group + of.rest) / (seeds * sample.recordings),
    )


def error_and_degrees(
    of: Components, sample: Sample, seeds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standard error of the mean difference, and its degrees of freedom, for numbers of seeds.

    Where nothing varies, the error is 0 and its degrees of freedom do not matter.
    """
    k, n0, rest = sample.k, sample.n0, np.full_like(seeds, of.rest)
    squares = np.array(
        [
            rest + k * of.seed_group + sample.recordings * of.seed,
            rest + seeds * of.recording + n0 * (of.seed_group + seeds * of.group),
            rest + n0 * of.seed_group,
            rest + seeds * of.recording,
            rest,
        ]
    )
    weights = np.array([1, k / n0, -k / n0, 1 - k / n0, k / n0 - 1])  # they make the variance
    parts = weights[:, None] * squares
    total = parts.sum(0).clip(0)
    degrees = np.array(np.broadcast_arrays(*_degrees(sample, seeds)))
    spread = (np.square(parts) / degrees.clip(1)).sum(0)  # what has no degrees is 0
    some = total > 0
    joint = np.where(some, np.square(total) / np.where(some, spread, 1.0), 1.0)
    return np.sqrt(total / (seeds * sample.recordings)), joint


def half_widths(of: Components, sample: Sample, seeds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half-widths of the 95 % interval of the mean difference, for numbers of seeds."""
    error, degrees = error_and_degrees(of, sample, seeds)
    return error * student.ppf(CONFIDENCE, degrees)


def chance_to_tell(of: Components, sample: Sample, seeds: int, distance: float) -> float:
    """The power: how likely the interval of a difference ends before a bound at this distance.

    So likely is it that a difference of 0 shows to be less than one point, or a gain of one point
    to be more than nothing.
    """
    error, degrees = error_and_degrees(of, sample, np.array([float(seeds)]))
    if not error[0]:
        return 1.0
    errors = min(distance / error[0], 30.0)  # more is as good as certain
    return float(nct.sf(student.ppf(CONFIDENCE, degrees[0]), degrees[0], errors))


def seeds_for(of: Components, sample: Sample, half_width: float) -> float:
    """The least number of seeds, from two on, whose interval has no more than this half-width.

    Infinite where the groups alone make it wider, or no MOST_SEEDS are enough.
    """
    seeds = np.arange(2.0, MOST_SEEDS + 1)
    (enough,) = np.nonzero(half_widths(of, sample, seeds) <= half_width)
    return float(seeds[enough[0]]) if len(enough) else np.inf


class Difference(NamedTuple):
    """A paired difference of a study: what it is of, and its values."""

    dataset: str
    measure: str
    cell: str
    values: NDArray  # [S, R]
    groups: NDArray  # [R]


def differences(
    predictions: pd.DataFrame,
    layers: pd.DataFrame,
    cells: pd.DataFrame,
    claims: Claims,
    *,
    reference: str,
) -> list[Difference]:
    """By dataset: the drops and gains of a part that claims judge, then the gains of searches."""
    datasets = list(predictions["dataset"].unique())
    found = [
        *judged(predictions, cells, claims, reference),
        *gains(predictions, layers, cells),
    ]
    return sorted(found, key=lambda each: datasets.index(each.dataset))


def judged(
    predictions: pd.DataFrame, cells: pd.DataFrame, claims: Claims, reference: str
) -> Iterator[Difference]:
    """What claims judge of a row against one other: drops from the reference, gains of a part."""
    claimed = {
        (dataset, claim.cell, claim.measure)
        for claim in claims.claims
        for dataset in claim.datasets
    }
    for dataset, predicted in predictions.groupby("dataset", sort=False):
        names, right, groups = correctness(predicted[predicted["cell"].isin(cells["cell"])])
        of = dict(zip(names, right, strict=True))
        for cell, other in cells[["cell", "against"]].to_numpy():
            if (dataset, cell, "drop") in claimed:
                yield Difference(str(dataset), "drop", cell, of[reference] - of[cell], groups)
            if other and (dataset, cell, "part_gain") in claimed:
                yield Difference(str(dataset), "part_gain", cell, of[cell] - of[other], groups)


def gains(
    predictions: pd.DataFrame, layers: pd.DataFrame, cells: pd.DataFrame
) -> Iterator[Difference]:
    """The gains of searches over the best single scheme at equal bits, where there is one."""
    for each in searched(predictions, layers, cells):
        if each.scheme:
            row = f"{each.method}-{each.setting:g}"
            yield Difference(each.dataset, "gain", row, each.gained, each.groups)


def power_table(differences: Iterable[Difference], *, seed: int = 0) -> pd.DataFrame:
    """POWER_COLUMNS, a row per difference, dataset by dataset; all numbers in percentage points.

    Differences of one dataset have the same seeds and recordings.

    sd_seeds      standard deviation of the difference between seeds
    se_seeds, se_groups, se_rest   parts of the standard error, whose squares add up to its square
    half_width    of a 95 % interval with these seeds and groups, as expected from the components
    bootstrap     half the width of the interval that tables of the study have
    power         `chance_to_tell` one point, in percent
    seeds_needed  for a half-width of one point with these groups; infinite: never

    One seed, or one group, does not tell the components: these columns are then empty.
    """
    rows = []
    for dataset, same in groupby(differences, lambda each: each.dataset):
        found = list(same)
        low, high = crossed_bootstrap(
            np.array([each.values for each in found]), found[0].groups, seed=seed
        )
        for each, width in zip(found, 100 * (high - low), strict=True):
            told = _told(each.values, each.groups) | {"bootstrap": width / 2}
            rows.append({"dataset": dataset, "measure": each.measure, "cell": each.cell} | told)
    return pd.DataFrame(rows, columns=list(POWER_COLUMNS))


def _told(values: NDArray, groups: NDArray) -> dict[str, float]:
    """The columns of `power_table` that follow from the components."""
    _, sizes = by_group(values, groups)
    n = len(values)
    row: dict[str, float] = {"groups": len(sizes), "recordings": len(groups), "n": n}
    if n == 1 or len(sizes) == 1:
        return row
    of, sample = components(values, groups).clipped, Sample.of(sizes)
    parts = [100 * part**0.5 for part in error_parts(of, sample, n)]
    return row | {
        "sd_seeds": 100 * of.seed**0.5,
        **dict(zip(("se_seeds", "se_groups", "se_rest"), parts, strict=True)),
        "half_width": 100 * float(half_widths(of, sample, np.array([float(n)]))[0]),
        "power": 100 * chance_to_tell(of, sample, n, POINT),
        "seeds_needed": seeds_for(of, sample, POINT),
    }

"""Components of variance and what they say of seeds and groups: by hand, and simulated."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from test_comparison import CELLS, EFFORTS, STUDY, layers_of, predictions_of

from hetspike.results.claims import parse_claims
from hetspike.results.comparison import comparison_table
from hetspike.results.power import (
    POWER_COLUMNS,
    Components,
    Difference,
    Sample,
    chance_to_tell,
    components,
    differences,
    error_and_degrees,
    error_parts,
    half_widths,
    judged,
    power_table,
    seeds_for,
)
from hetspike.results.present import load


def test_two_seeds_and_two_groups_by_hand():
    # means of seeds 3 and 1, of groups 1 and 3; 5 is one more than both together, 0 one less
    values = np.array([[1.0, 5.0], [1.0, 1.0]])
    # seeds: 2 * (1 + 1) = 4; groups: 4; together: 4 * 1; one degree of freedom each
    assert components(values, np.array([0, 1])) == Components(0, 0, 4, 0, 0)
    # the same without the third
    assert components(np.array([[2.0, 4.0], [0.0, 2.0]]), np.array([0, 1])) == Components(
        2, 2, 0, 0, 0
    )


def test_recordings_within_groups_by_hand():
    """Two seeds, two groups of two recordings."""
    values = np.array([[4.0, 2.0, 8.0, 6.0], [2.0, 0.0, 2.0, 0.0]])
    groups = np.array([7, 7, 3, 3])
    # cells 3, 7 and 1, 1; seeds 5 and 1, groups 2 and 4, all 3. Squares of
    # seeds: 4 * (4 + 4) = 32; groups: 4 * (1 + 1) = 8; together: 2 * 4 * 1 = 8
    # recordings: +-1 in each group, 2 * 4 * 1 = 8, two degrees of freedom; rest: 0
    assert components(values, groups) == Components(
        seed=(32 - 0 - 2 * 4) / 4, group=(8 - 8 - 4 + 0) / 4, seed_group=4, recording=2, rest=0
    )


def test_groups_of_unlike_sizes_by_hand():
    sample = Sample.of([1, 3])
    assert sample == Sample(groups=2, recordings=4, k=2.5, n0=1.5)
    # one recording with 4 and three with 0, under both seeds: mean 1
    found = components(np.array([[4.0, 0.0, 0.0, 0.0]] * 2), np.array([0, 1, 1, 1]))
    # groups: 2 * (9 + 3 * 1) = 24 with one degree of freedom
    assert found == Components(0, 24 / (2 * 1.5), 0, 0, 0)
    assert error_parts(found, sample, 2) == (0, 2.5 * 8 / 4, 0)


VALUES = arrays(np.int64, st.tuples(st.integers(2, 4), st.just(12)), elements=st.integers(-1, 1))
GROUPS = st.lists(st.integers(0, 4), min_size=12, max_size=12).filter(lambda g: len({*g}) > 1)


@given(VALUES, GROUPS, st.integers(0, 9), st.randoms())
def test_names_order_and_unit_do_not_matter(values, groups, shift, chance):
    groups = np.array(groups)
    found = components(values, groups)
    order = chance.sample(range(12), 12)
    seeds = chance.sample(range(len(values)), len(values))
    same = components(values[seeds][:, order], 10 - groups[order])
    np.testing.assert_allclose(same, found, atol=1e-12)
    np.testing.assert_allclose(components(values + shift, groups), found, atol=1e-12)
    np.testing.assert_allclose(components(-3 * values, groups), np.array(found) * 9, atol=1e-11)


@given(VALUES, GROUPS)
def test_mean_squares_are_those_of_a_linear_model(values, groups):
    """Residuals of nested least-squares fits, by an independent route."""
    seeds, recordings = values.shape
    s, r = np.divmod(np.arange(values.size), recordings)
    g = np.unique(groups, return_inverse=True)[1][r]

    def left(*factors: np.ndarray) -> tuple[float, int]:
        """Residual sum of squares and rank of a fit by indicators of these factors."""
        design = np.concatenate([np.eye(each.max() + 1)[each] for each in factors], axis=1)
        fit, *_ = np.linalg.lstsq(design, values.ravel(), rcond=None)
        return float(np.square(values.ravel() - design @ fit).sum()), np.linalg.matrix_rank(design)

    none = np.zeros_like(s)
    cell = s * (g.max() + 1) + g
    models = [(none,), (s,), (s, g), (cell,), (cell, r)]
    fits = [left(*factors) for factors in models]
    squares, degrees = ([abs(b[i] - a[i]) for a, b in pairwise(fits)] for i in (0, 1))
    squares, degrees = [*squares, fits[-1][0]], [*degrees, values.size - fits[-1][1]]
    mean = [a / b if b else 0.0 for a, b in zip(squares, degrees, strict=True)]
    sample, of = Sample.of(np.bincount(groups)[np.unique(groups)]), components(values, groups)
    n0, k, n = sample.n0, sample.k, sample.recordings
    expected = (
        of.rest + k * of.seed_group + n * of.seed,
        of.rest + n0 * of.seed_group + seeds * (of.recording + n0 * of.group),
        of.rest + n0 * of.seed_group,
        of.rest + seeds * of.recording,
        of.rest,
    )
    np.testing.assert_allclose(mean, expected, atol=1e-10)


@given(
    st.lists(st.floats(0, 4), min_size=5, max_size=5),
    st.lists(st.integers(1, 9), min_size=2, max_size=30),
    st.integers(2, 20),
)
def test_the_parts_add_up_to_the_square_of_the_error(variances, sizes, seeds):
    sample = Sample.of(sizes)
    if sample.recordings == sample.groups:
        variances[3:] = 0, 0
    of = Components(*variances)
    error, degrees = error_and_degrees(of, sample, np.array([float(seeds)]))
    assert error[0] ** 2 == pytest.approx(sum(error_parts(of, sample, seeds)), abs=1e-12)
    assert degrees[0] > 0 or error[0] == 0


TRUE = Components(seed=0.5, group=1.0, seed_group=0.25, recording=0.75, rest=2.0)
SIZES = np.array([1, 2, 3, 4, 6, 8])


def simulated(rng: np.random.Generator, of: Components, sizes: np.ndarray, seeds: int):
    groups, (n, g) = np.repeat(np.arange(len(sizes)), sizes), (sizes.sum(), len(sizes))
    shapes = ((seeds, 1), g, (seeds, g), n, (seeds, n))
    draws = [rng.normal(0, var**0.5, shape) for var, shape in zip(of, shapes, strict=True)]
    of_seed, of_group, both, recording, rest = draws
    return of_seed + of_group[groups] + both[:, groups] + recording + rest, groups


def test_estimates_have_no_bias():
    """The mean of 4,000 estimates is within four standard errors of what was simulated."""
    rng = np.random.default_rng(0)
    found = np.array([components(*simulated(rng, TRUE, SIZES, 4)) for _ in range(4000)])
    error = found.std(0) / len(found) ** 0.5
    assert (error < 0.03).all()
    assert (np.abs(found.mean(0) - TRUE) < 4 * error).all()


def test_the_error_is_that_of_simulated_means_and_intervals_cover_them():
    rng = np.random.default_rng(1)
    sizes, seeds = np.full(8, 3), 4
    sample, runs = Sample.of(sizes), 3000
    means, covered = [], 0
    for _ in range(runs):
        values, groups = simulated(rng, TRUE, sizes, seeds)
        of = components(values, groups).clipped
        half = half_widths(of, sample, np.array([float(seeds)]))[0]
        means.append(values.mean())
        covered += abs(means[-1]) <= half
    error, _ = error_and_degrees(TRUE, sample, np.array([float(seeds)]))
    assert np.std(means) == pytest.approx(error[0], rel=4 / (2 * runs) ** 0.5)
    assert 0.94 < covered / runs < 0.98  # clipping and Satterthwaite: not less than they say


def test_half_widths_of_one_part_alone_are_those_of_a_t_test():
    sample = Sample.of([1] * 10)
    seeds = np.array([3.0, 8.0])
    by_seeds = half_widths(Components(4, 0, 0, 0, 0), sample, seeds)
    assert by_seeds == pytest.approx(2 / seeds**0.5 * stats.t.ppf(0.975, seeds - 1))
    by_groups = half_widths(Components(0, 4, 0, 0, 0), sample, seeds)
    assert by_groups == pytest.approx([2 / 10**0.5 * stats.t.ppf(0.975, 9)] * 2)
    assert half_widths(Components(0, 0, 0, 0, 0), sample, seeds).tolist() == [0, 0]


def test_seeds_that_a_half_width_needs_by_hand():
    sample = Sample.of([1] * 100)
    # 2.0 t(S - 1) / sqrt(S) is 2.48 with five seeds and 2.10 with six
    assert seeds_for(Components(4, 0, 0, 0, 0), sample, 2.2) == 6
    assert seeds_for(Components(0, 0, 0, 0, 0), sample, 0.1) == 2
    # groups alone: 2 / 10 * 1.98
    assert seeds_for(Components(0.01, 4, 0, 0, 0), sample, 0.3) == np.inf
    assert seeds_for(Components(0.01, 4, 0, 0, 0), sample, 0.42) < 20


def test_power_is_that_of_a_t_test():
    """One of two sides of statsmodels' or R's power.t.test, here by simulation."""
    sample = Sample.of([1] * 50)
    rng = np.random.default_rng(2)
    draws = rng.normal(1.0, 1.0, (20_000, 6))
    error = draws.std(1, ddof=1) / 6**0.5
    told = (draws.mean(1) - stats.t.ppf(0.975, 5) * error > 0).mean()
    found = chance_to_tell(Components(1.0, 0, 0, 0, 0), sample, 6, 1.0)
    assert found == pytest.approx(told, abs=4 * 0.5 / 20_000**0.5)
    assert chance_to_tell(Components(0, 0, 0, 0, 0), sample, 6, 1.0) == 1
    assert chance_to_tell(Components(1e-9, 0, 0, 0, 0), sample, 6, 1.0) == pytest.approx(1)


def test_a_table_by_hand():
    values = 0.02 * np.array([[2.0, 4.0], [0.0, 2.0]])
    found = power_table(
        [
            Difference("sim-b", "drop", "pot-3", values, np.array([0, 1])),
            Difference("sim-b", "gain", "fisher-2.5", np.zeros((2, 2)), np.array([0, 1])),
            Difference("sim-a", "drop", "pot-3", values[:1], np.array([0, 1])),
        ]
    )
    assert tuple(found) == POWER_COLUMNS
    assert found["dataset"].tolist() == ["sim-b", "sim-b", "sim-a"]
    drop, gain, single = found.to_dict("records")
    # components 2 and 2 in units of 2 points: sqrt(2) * 2 between seeds; 1 + 1 of the mean
    assert drop["sd_seeds"] == pytest.approx(2 * 2**0.5)
    assert (drop["se_seeds"], drop["se_groups"], drop["se_rest"]) == pytest.approx((2, 2, 0))
    # mean squares 4 and 4 with one degree of freedom each, 0 together: two of the sum
    assert drop["half_width"] == pytest.approx(8**0.5 * stats.t.ppf(0.975, 2))
    assert drop["seeds_needed"] == np.inf and 0 < drop["power"] < 10
    assert drop["bootstrap"] == pytest.approx(4)  # both seeds and both groups may be one twice
    assert (gain["half_width"], gain["seeds_needed"], gain["power"]) == (0, 2, 100)
    assert math.isnan(single["half_width"]) and single["bootstrap"] == pytest.approx(2)
    shown = load("power").shown(found.assign(planned=8)).values.tolist()
    assert shown[0][:5] == ["sim-b", "drop of pot-3", 2, 2, "2 of 8"]
    assert shown[0][5:9] == ["2.83", "2.00", "2.00", "0.00"] and shown[0][-1] == "never"
    assert shown[2][5:] == ["-"] * 5 + ["2.00", "-", "-"]


SAMPLE = {"seeds": 8, "recordings": 3000, "sd_seeds": 1, "half_width": 1, "power": 0.5}
NO_CLAIMS = {"paper": [], "sample": SAMPLE, "energy_tolerance": 0.2, "energy_claims": []}


def test_the_differences_of_claims_are_looked_at():
    about = {"sentence": "s", "tolerance": 0, "why": "w", "source": "s", "at_most": 1.0}
    claims = [
        {"id": "1", "datasets": ["d", "other"], "cell": "b", "measure": "drop", **about},
        {"id": "2", "datasets": ["d"], "cell": "c", "measure": "accuracy", **about},
        {"id": "3", "datasets": ["d"], "cell": "c", "measure": "part_gain", **about},
        {"id": "4", "datasets": ["d"], "cell": "b", "measure": "part_gain", **about},
    ]
    rows = [
        (dataset, cell, seed, r, r, 1, int(cell == "a" or r == 0))
        for dataset in ("d", "e")
        for cell in "abc"
        for seed in (0, 1)
        for r in (0, 1)
    ]
    columns = ["dataset", "cell", "seed", "recording", "group", "label", "prediction"]
    drop, gain = judged(
        pd.DataFrame(rows, columns=columns),
        pd.DataFrame({"cell": ["a", "b", "c"], "against": ["", "", "b"]}),
        parse_claims({**NO_CLAIMS, "claims": claims}, "claims.yaml"),
        reference="a",
    )
    assert (drop.dataset, drop.measure, drop.cell) == ("d", "drop", "b")
    assert drop.values.tolist() == [[0, 1], [0, 1]]
    assert (gain.dataset, gain.measure, gain.cell) == ("d", "part_gain", "c")
    assert gain.values.tolist() == [[0, 0], [0, 0]]  # b and c are right and wrong alike


def test_differences_are_those_of_the_tables_dataset_by_dataset():
    rows = pd.concat([predictions_of(STUDY, each) for each in ("z", "a")], ignore_index=True)
    layers = pd.concat([layers_of(STUDY, each) for each in ("z", "a")])
    about = {"sentence": "s", "tolerance": 0, "why": "w", "source": "s", "at_most": 1.0}
    claim = {"id": "1", "datasets": ["a"], "cell": "fisher-3", "measure": "drop", **about}
    claims = parse_claims({**NO_CLAIMS, "claims": [claim]}, "claims.yaml")
    found = differences(rows, layers, CELLS, claims, reference="float-tuned")
    names = [(each.dataset, each.measure, each.cell) for each in found]
    both = [("gain", "fisher-3"), ("gain", "random-3")]  # nothing is beside 5 bits
    assert names == [
        *(("z", *e) for e in both),
        ("a", "drop", "fisher-3"),
        *(("a", *e) for e in both),
    ]
    efforts = pd.concat([EFFORTS.assign(dataset=each) for each in ("z", "a")])
    compared = comparison_table(rows, layers, CELLS, efforts, reference="float-tuned")
    compared = compared.set_index(["dataset", "method", "setting"])
    table = power_table(found)
    for each, width in zip(found, table["bootstrap"], strict=True):
        row = compared.loc[(each.dataset, each.cell.partition("-")[0], 3.0)]
        assert 100 * each.values.mean() == pytest.approx(row[each.measure])
        ends = [row[f"{each.measure}_{end}"] for end in ("low", "high")]
        assert width == pytest.approx((ends[1] - ends[0]) / 2)


def test_a_study_without_such_rows_has_an_empty_table():
    table = power_table([])
    assert list(table) == list(POWER_COLUMNS)
    assert load("power").shown(table).empty

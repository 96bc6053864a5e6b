import math
from collections import Counter
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from hetspike.results.statistics import (
    SIGNIFICANCE_COLUMNS,
    accuracies,
    correctness,
    crossed_bootstrap,
    exact_interval,
    over_seeds,
    sign_flips,
    significance_table,
)

SHAPES = st.tuples(st.just(1), st.integers(1, 3), st.integers(1, 12))
DIFFERENCES = arrays(np.int64, SHAPES, elements=st.integers(-1, 1))


def table(**cells: list[list[int]]) -> pd.DataFrame:
    """Predictions from 0/1 matrices [seed][recording]; the label is always 1."""
    return pd.DataFrame(
        [
            {
                "cell": cell,
                "seed": seed,
                "recording": recording,
                "group": recording,
                "label": 1,
                "prediction": hit,
            }
            for cell, matrix in cells.items()
            for seed, row in enumerate(matrix)
            for recording, hit in enumerate(row)
        ]
    )


def bootstrap(values: np.ndarray, **options: int) -> tuple[np.ndarray, np.ndarray]:
    """Every recording a group of its own."""
    return crossed_bootstrap(values, np.arange(values.shape[-1]), **options)


def plain_bootstrap(values: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """The definition, word by word: draw seeds, draw recordings, average what was drawn."""
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(resamples):
        rows = rng.integers(values.shape[0], size=values.shape[0])
        columns = rng.integers(values.shape[1], size=values.shape[1])
        means.append(np.mean([values[row, column] for row in rows for column in columns]))
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def test_accuracies_by_hand():
    predictions = table(
        reference=[[1, 1, 1, 0], [1, 1, 1, 1]],  # 75 %, 100 %
        other=[[1, 1, 0, 0], [1, 1, 0, 1]],  # 50 %, 75 %: loses recording 2 under both seeds
        perfect=[[1, 1, 1, 1], [1, 1, 1, 1]],
    )
    result = accuracies(predictions, reference="reference", seed=0)
    assert result.loc["other", "accuracy"] == 62.5
    assert result.loc["other", "accuracy_sd"] == pytest.approx(12.5 * 2**0.5)
    assert result.loc["other", "n"] == 2
    assert result.loc["other", "drop"] == 25.0
    # recording 2 is drawn Binomial(4, 1/4) times, whatever the seeds: quantiles 0 and 3 of 4
    assert scipy_stats.binom(4, 1 / 4).ppf([0.025, 0.975]).tolist() == [0, 3]
    assert result.loc["other", ["drop_low", "drop_high"]].tolist() == [0.0, 75.0]
    assert result.loc["reference", ["drop", "drop_low", "drop_high"]].isna().all()
    assert result.loc["reference", "accuracy"] == 87.5
    ends = ["accuracy", "accuracy_low", "accuracy_high"]
    assert result.loc["perfect", ends].tolist() == [100, 100, 100]  # whatever is drawn


def test_one_seed_has_no_standard_deviation():
    result = accuracies(table(a=[[1, 0]], b=[[1, 1]]), reference="a", seed=0)
    assert result["accuracy_sd"].isna().all() and (result["n"] == 1).all()


def test_resamples_follow_the_exact_distribution():
    """2 seeds x 2 recordings have 16 equally likely resamples: enumerate them."""
    values = np.array([[3, 0], [1, -2]])
    exact = Counter(
        sum(values[s, r] for s in rows for r in columns)
        for rows in product(range(2), repeat=2)
        for columns in product(range(2), repeat=2)
    )
    cumulative = np.cumsum([exact[total] / 16 for total in sorted(exact)])
    assert cumulative[0] > 0.025 and cumulative[-2] < 0.975  # so the ends are the extremes
    low, high = bootstrap(values[None], seed=0)
    assert (low[0], high[0]) == (min(exact) / 4, max(exact) / 4)


def test_matches_a_plain_loop():
    rng = np.random.default_rng(1)
    skill = rng.uniform(0.4, 1, size=(1, 40)) - np.array([[0.0], [0.1], [0.3]])
    values = (rng.uniform(size=(3, 40)) < skill).astype(np.int64)
    low, high = bootstrap(values[None], seed=0)
    assert (low[0], high[0]) == pytest.approx(plain_bootstrap(values, 4000, 2), abs=0.015)


def test_one_seed_matches_scipy():
    values = (np.random.default_rng(3).uniform(size=200) < 0.8).astype(np.int64)
    oracle = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(4)
    ).confidence_interval
    low, high = bootstrap(values[None, None], seed=0)
    assert (low[0], high[0]) == pytest.approx((oracle.low, oracle.high), abs=0.006)


def test_pairing_sharpens_the_difference():
    """Two cells that fail on nearly the same recordings differ by less than their own spread."""
    hard = np.arange(300) % 4 == 0
    reference = np.tile(~hard, (3, 1)).astype(int)
    other = reference.copy()
    other[:, :6] = 0
    result = accuracies(
        table(reference=reference.tolist(), other=other.tolist()), reference="reference", seed=0
    ).loc["other"]
    assert result["drop_high"] - result["drop_low"] < 4
    assert result["accuracy_high"] - result["accuracy_low"] > 8


def test_seeds_are_resampled_too():
    """Recordings never disagree, seeds do: all of the interval comes from the seeds."""
    values = np.array([[0] * 50, [0] * 50, [1] * 50])[None]
    low, high = bootstrap(values, seed=0)
    # the seed of ones is drawn Binomial(3, 1/3) times; 3 of 3 has 1/27 = 3.7 % > 2.5 %
    assert (low[0], high[0]) == (0.0, 1.0)


def test_identical_predictions_have_no_interval():
    matrix = [[1, 0, 1, 1, 0], [0, 0, 1, 1, 1]]
    result = accuracies(table(a=matrix, b=matrix), reference="a", seed=5)
    assert result.loc["b", ["drop", "drop_low", "drop_high"]].tolist() == [0, 0, 0]


@given(DIFFERENCES, st.integers(0, 3))
def test_antisymmetric_and_around_the_mean(values, seed):
    low, high = bootstrap(values, seed=seed, resamples=200)
    swapped_low, swapped_high = bootstrap(-values, seed=seed, resamples=200)
    np.testing.assert_allclose([swapped_low, swapped_high], [-high, -low], atol=1e-12)
    assert values.min() <= low[0] <= high[0] <= values.max()


@given(DIFFERENCES)
def test_cells_share_their_draws(values):
    """A cell's interval does not depend on which other cells stand beside it."""
    alone = bootstrap(values, seed=0, resamples=200)
    beside = bootstrap(np.concatenate([1 - values, values]), seed=0, resamples=200)
    assert (alone[0][0], alone[1][0]) == (beside[0][1], beside[1][1])


def test_order_of_rows_does_not_matter():
    rng = np.random.default_rng(6)
    predictions = table(**{cell: rng.integers(0, 2, (3, 20)).tolist() for cell in "ab"})
    expected = accuracies(predictions, reference="a", seed=0)
    shuffled = predictions.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(accuracies(shuffled, reference="a", seed=0), expected)


def test_renaming_recordings_moves_the_interval_only_by_chance():
    rng = np.random.default_rng(7)
    values = rng.integers(-1, 2, (1, 3, 100))
    ends = np.array(bootstrap(values, seed=0))
    permuted = np.array(bootstrap(values[:, :, rng.permutation(100)], seed=0))
    np.testing.assert_allclose(permuted, ends, atol=0.01)


def test_correctness_refuses_a_hole():
    predictions = table(a=[[1, 0], [1, 1]], b=[[1, 0], [1, 1]])
    with pytest.raises(AssertionError, match="same seeds and recordings"):
        correctness(predictions.iloc[1:])
    with pytest.raises(AssertionError, match="same seeds and recordings"):
        correctness(predictions.query("cell == 'a' or seed == 0"))


def test_recordings_of_one_group_are_drawn_together():
    """Three groups of unlike sizes under one seed: enumerate the 27 equally likely resamples."""
    values, groups = np.array([1, 1, 0, 1, 0, 0]), np.array([7, 7, 7, 2, 5, 5])
    means = [
        np.concatenate([values[groups == group] for group in drawn]).mean()
        for drawn in product([2, 5, 7], repeat=3)
    ]
    low, high = crossed_bootstrap(values[None, None], groups, seed=0, resamples=20_000)
    exact = np.quantile(means, (0.025, 0.975), method="inverted_cdf")
    assert (low[0], high[0]) == pytest.approx(exact)


def test_the_order_of_recordings_keeps_their_groups():
    rng = np.random.default_rng(8)
    values, groups = rng.integers(0, 2, (2, 3, 30)), rng.integers(0, 5, 30)
    order = rng.permutation(30)
    expected = crossed_bootstrap(values, groups, seed=0)
    np.testing.assert_array_equal(
        crossed_bootstrap(values[..., order], groups[order], seed=0), expected
    )


def test_alike_recordings_widen_the_interval():
    values = np.repeat(np.arange(20) % 4 > 0, 10).astype(int)[None, None]
    single = bootstrap(values, seed=0)
    grouped = crossed_bootstrap(values, np.repeat(np.arange(20), 10), seed=0)
    assert (grouped[1] - grouped[0])[0] > 2 * (single[1] - single[0])[0]


# Counts


SINGLE = [  # lost, gained, p of McNemar's exact test
    (0, 0, 1.0),  # the same answers throughout
    (1, 0, 1.0),
    (0, 5, 2 / 2**5),
    (6, 0, 2 / 2**6),
    (8, 2, 2 * (1 + 10 + 45) / 2**10),
    (3, 4, 1.0),
    (150, 86, 3.716e-05),  # R: exact2x2::mcnemar.exact, and binom.test(86, 236)
]


def singles(lost: int, gained: int) -> np.ndarray:
    """Groups of one recording each, two of them without a difference."""
    return np.array([1] * lost + [0, 0] + [-1] * gained)


@pytest.mark.parametrize(("lost", "gained", "p"), SINGLE)
def test_groups_of_one_recording_are_mcnemars_test(lost, gained, p):
    assert sign_flips(singles(lost, gained)) == pytest.approx(p, rel=1e-4)
    assert sign_flips(singles(gained, lost)) == pytest.approx(p, rel=1e-4)


@given(st.integers(0, 400), st.integers(0, 400))
def test_groups_of_one_recording_agree_with_scipy(lost, gained):
    expected = scipy_stats.binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
    assert sign_flips(singles(lost, gained)) == pytest.approx(expected)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_every_pattern_of_signs_is_counted(differences):
    seen = abs(sum(differences))
    sums = [
        abs(sum(sign * each for sign, each in zip(signs, differences, strict=True)))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    share = sum(each >= seen for each in sums) / len(sums)
    assert sign_flips(np.array(differences)) == share
    assert sign_flips(-np.array(differences)) == share


def test_alike_recordings_count_once():
    """Twelve recordings that are lost together are one toss, not twelve."""
    assert sign_flips(np.array([12])) == 1.0
    assert sign_flips(np.array([4, 4, 4])) == 2 / 2**3
    assert sign_flips(np.array([1] * 12)) == 2 / 2**12


def test_no_number_of_groups_is_too_many():
    p = sign_flips(np.array([3] * 600 + [-2] * 600))  # 600 of 3000; 2^1200 patterns
    spread = math.sqrt(600 * 9 + 600 * 4)
    assert p == pytest.approx(2 * scipy_stats.norm.sf(599.5 / spread), rel=0.35) and p > 0


def test_exact_intervals_by_hand():
    # all of n: (alpha/2)^(1/n) is the share at which n of n has a chance of 2.5 %
    assert exact_interval(288, 288) == (pytest.approx(100 * 0.025 ** (1 / 288)), 100)
    assert exact_interval(0, 10) == (0, pytest.approx(100 * (1 - 0.025**0.1)))
    # 1 of 2: a chance p^2 + 2 p (1 - p) = 2.5 % of as many or more, p = 1 - sqrt(0.975)
    low = 100 * (1 - 0.975**0.5)
    assert exact_interval(1, 2) == (pytest.approx(low), pytest.approx(100 - low))


@given(st.integers(1, 300), st.data())
def test_exact_intervals_leave_a_fortieth_on_either_side(recordings, data):
    right = data.draw(st.integers(0, recordings))
    low, high = (end / 100 for end in exact_interval(right, recordings))
    if right > 0:
        assert scipy_stats.binom.sf(right - 1, recordings, low) == pytest.approx(0.025)
    if right < recordings:
        assert scipy_stats.binom.cdf(right, recordings, high) == pytest.approx(0.025)
    assert low <= right / recordings <= high


def test_over_seeds_holds_where_seeds_repeat_each_other():
    """Three seeds that say the same must not say it three times as loudly."""
    assert over_seeds(np.array([0.04, 0.04, 0.04])) == pytest.approx(0.12)
    assert over_seeds(np.array([0.6, 0.9])) == 1.0


def test_significance_by_hand():
    reference = [[1, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1]]
    other = [[0, 0, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 1, 1]]
    predictions = table(linear=other, reference=reference, other=other).assign(dataset="d")
    cells = pd.DataFrame({"cell": ["other", "reference"]})  # the linear classifier is none
    found = significance_table(predictions, cells, reference="reference")
    assert tuple(found) == SIGNIFICANCE_COLUMNS
    assert found["cell"].tolist() == ["other", "other", "reference", "reference"]
    first, second, *references = found.to_dict("records")
    assert [first[name] for name in ("seed", "recordings", "groups", "right")] == [0, 8, 8, 5]
    assert (first["right_low"], first["right_high"]) == exact_interval(5, 8)
    # seed 0 loses two and gains one, 2 (1 + 3) / 2^3 = 1; seed 1 loses six, 2 / 2^6
    assert [first[name] for name in ("lost", "gained", "p")] == [2, 1, 1]
    assert [second[name] for name in ("lost", "gained", "p")] == [6, 0, 1 / 32]
    assert first["p_seeds"] == second["p_seeds"] == 1 / 16
    for row, right in zip(references, (6, 8), strict=True):
        assert row["right"] == right
        assert all(math.isnan(row[name]) for name in ("lost", "gained", "p", "p_seeds"))


def test_significance_of_groups_by_hand():
    reference, other = [[1, 1, 1, 1, 1, 0, 0, 1]], [[0, 0, 0, 1, 0, 1, 0, 1]]
    predictions = table(reference=reference, other=other).assign(
        dataset="d",
        group=lambda rows: rows["recording"].map(dict(enumerate([5, 5, 5, 2, 2, 9, 9, 9]))),
    )
    cells = pd.DataFrame({"cell": ["reference", "other"]})
    _, row = significance_table(predictions, cells, reference="reference").to_dict("records")
    assert [row[name] for name in ("recordings", "groups", "lost", "gained")] == [8, 3, 4, 1]
    # 3 lost, 1 lost, 1 gained: sums of 5, 3, 3 and 1, each with either sign, against 3
    assert row["p"] == row["p_seeds"] == 6 / 8
    assert math.isnan(row["right_low"]) and math.isnan(row["right_high"])


def test_significance_of_several_datasets_keeps_their_order_and_their_counts_apart():
    first, second = table(a=[[1, 1]], b=[[0, 0]]), table(a=[[0, 0]], b=[[1, 0]])
    predictions = pd.concat([first.assign(dataset="z"), second.assign(dataset="d")])
    cells = pd.DataFrame({"cell": ["b", "a"]})
    found = significance_table(predictions, cells, reference="a")
    columns = ["dataset", "cell", "right", "lost", "gained"]
    assert found.loc[found["cell"] == "b", columns].values.tolist() == [
        ["z", "b", 0, 2, 0],
        ["d", "b", 1, 0, 1],
    ]
    assert found["dataset"].tolist() == ["z", "z", "d", "d"]


def test_significance_agrees_with_the_drop():
    """What is lost minus what is gained, over all seeds and recordings, is the drop."""
    rng = np.random.default_rng(9)
    predictions = table(**{cell: rng.integers(0, 2, (3, 40)).tolist() for cell in "ab"})
    drop = accuracies(predictions, reference="a", seed=0).loc["b", "drop"]
    cells = pd.DataFrame({"cell": ["a", "b"]})
    counts = significance_table(predictions.assign(dataset="d"), cells, reference="a")
    assert 100 * (counts["lost"] - counts["gained"]).sum() / 120 == pytest.approx(drop)

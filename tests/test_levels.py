"""Level sets worked out by hand, and what holds for every scheme and width."""

from math import inf, sqrt

import pytest

from hetspike.levels import MAX_BITS, MIN_BITS, SCHEMES, power_of_two, power_of_two_log, uniform

WIDTHS = range(MIN_BITS, MAX_BITS + 1)


@pytest.mark.parametrize(
    ("bits", "magnitudes", "thresholds"),
    [
        (2, (1,), (0.5,)),
        (3, (1, 2, 3), (0.5, 1.5, 2.5)),
        (4, (1, 2, 3, 4, 5, 6, 7), (0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5)),
    ],
)
def test_uniform_by_hand(bits, magnitudes, thresholds):
    assert uniform(bits) == (magnitudes, thresholds)


@pytest.mark.parametrize(
    ("bits", "magnitudes", "thresholds"),
    [
        (2, (1,), (1 / 2,)),
        (3, (1 / 4, 1 / 2, 1), (1 / 8, 3 / 8, 3 / 4)),
        (
            4,
            (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1),
            (1 / 128, 3 / 128, 3 / 64, 3 / 32, 3 / 16, 3 / 8, 3 / 4),
        ),
    ],
)
def test_power_of_two_by_hand(bits, magnitudes, thresholds):
    assert power_of_two(bits) == (magnitudes, thresholds)


def test_two_bit_power_of_two_is_ternary_like_uniform():
    assert power_of_two(2) == uniform(2)


def test_log_rounding_keeps_the_levels_and_moves_the_thresholds():
    levels = power_of_two_log(3)
    assert levels.magnitudes == power_of_two(3).magnitudes
    assert levels.thresholds == pytest.approx((sqrt(2) / 8, sqrt(2) / 4, sqrt(2) / 2))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("bits", WIDTHS)
def test_levels_fit_into_their_bits_and_thresholds_separate_them(scheme, bits):
    magnitudes, thresholds = SCHEMES[scheme](bits)
    assert 2 * len(magnitudes) + 1 <= 2**bits - 1  # both signs and zero
    assert len(thresholds) == len(magnitudes)
    edges = [*zip((0, *magnitudes), thresholds, (*magnitudes, inf), strict=False)]
    assert all(below < threshold < above for below, threshold, above in edges)

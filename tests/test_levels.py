"""Level sets worked out by hand, and what holds for every scheme and width."""

from itertools import pairwise

import pytest

from hetspike.quantization.levels import (
    SCHEMES,
    Arithmetic,
    additive_power_of_two,
    binary,
    power_of_two,
    uniform,
)

PAIRS = [(name, bits) for name, scheme in SCHEMES.items() for bits in scheme.widths]


def test_binary_is_a_sign_without_zero():
    assert binary(1) == ((1,), ())


@pytest.mark.parametrize(
    ("bits", "magnitudes", "thresholds"),
    [
        (2, (0, 1), (0.5,)),
        (3, (0, 1, 2, 3), (0.5, 1.5, 2.5)),
        (4, (0, 1, 2, 3, 4, 5, 6, 7), (0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5)),
    ],
)
def test_uniform_by_hand(bits, magnitudes, thresholds):
    assert uniform(bits) == (magnitudes, thresholds)


@pytest.mark.parametrize(
    ("bits", "magnitudes", "thresholds"),
    [
        (2, (0, 1), (1 / 2,)),
        (3, (0, 1 / 4, 1 / 2, 1), (1 / 8, 3 / 8, 3 / 4)),
        (
            4,
            (0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1),
            (1 / 128, 3 / 128, 3 / 64, 3 / 32, 3 / 16, 3 / 8, 3 / 4),
        ),
    ],
)
def test_power_of_two_by_hand(bits, magnitudes, thresholds):
    assert power_of_two(bits) == (magnitudes, thresholds)


def test_two_bit_power_of_two_is_ternary_like_uniform():
    assert power_of_two(2) == uniform(2)


# terms {0, 1, 1/2, 1/8} + {0, 1/4}, and {0, 1, 1/4, 1/16} + {0, 1/2, 1/8, 1/32}
@pytest.mark.parametrize(
    ("bits", "unit", "multiples"),
    [
        (4, 1 / 8, (0, 1, 2, 3, 4, 6, 8, 10)),
        (5, 1 / 32, (0, 1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 33, 36, 48)),
    ],
)
def test_additive_power_of_two_by_hand(bits, unit, multiples):
    magnitudes, thresholds = additive_power_of_two(bits)
    assert magnitudes == tuple(unit * multiple for multiple in multiples)
    assert thresholds == tuple(unit * (low + high) / 2 for low, high in pairwise(multiples))
    assert len({sign * magnitude for magnitude in magnitudes for sign in (1, -1)}) == 2**bits - 1


@pytest.mark.parametrize(
    ("scheme", "widths"),
    [
        ("binary", [1]),
        ("uniform", [2, 3, 4, 5, 6, 7, 8]),
        ("pot", [2, 3, 4, 5, 6, 7, 8]),
        ("apot", [4, 5]),
    ],
)
def test_widths_of_every_scheme(scheme, widths):
    assert list(SCHEMES[scheme].widths) == widths


@pytest.mark.parametrize(("scheme", "bits"), PAIRS)
def test_levels_fit_into_their_bits_and_thresholds_separate_them(scheme, bits):
    magnitudes, thresholds = SCHEMES[scheme].levels(bits)
    assert magnitudes[0] >= 0
    assert len({sign * magnitude for magnitude in magnitudes for sign in (1, -1)}) <= 2**bits
    gaps = zip(pairwise(magnitudes), thresholds, strict=True)
    assert all(low < threshold < high for (low, high), threshold in gaps)


@pytest.mark.parametrize(
    ("scheme", "bits", "integers", "unit", "aligned_bits"),
    [
        ("binary", 1, (1,), 1, 2),  # +1 and -1 in two's complement
        ("uniform", 2, (0, 1), 1, 2),
        ("uniform", 4, (0, 1, 2, 3, 4, 5, 6, 7), 1, 4),
        ("pot", 2, (0, 1), 1, 2),
        ("pot", 3, (0, 1, 2, 4), 1 / 4, 4),
        ("pot", 4, (0, 1, 2, 4, 8, 16, 32, 64), 1 / 64, 8),
        ("apot", 4, (0, 1, 2, 3, 4, 6, 8, 10), 1 / 8, 5),
    ],
)
def test_levels_as_integers_by_hand(scheme, bits, integers, unit, aligned_bits):
    levels = SCHEMES[scheme].levels(bits)
    assert levels.integers == (integers, unit)
    assert levels.aligned_bits == aligned_bits


@pytest.mark.parametrize(("scheme", "bits"), PAIRS)
def test_integers_are_the_levels_exactly_and_fit_into_the_aligned_bits(scheme, bits):
    levels = SCHEMES[scheme].levels(bits)
    integers, unit = levels.integers
    assert tuple(unit * integer for integer in integers) == levels.magnitudes
    assert any(integer % 2 for integer in integers)  # no larger unit would do
    assert 2 ** (levels.aligned_bits - 2) <= max(integers) < 2 ** (levels.aligned_bits - 1)
    if scheme == "uniform":
        assert levels.aligned_bits == bits
    if scheme == "pot":
        assert levels.aligned_bits == 2 ** (bits - 1)


@pytest.mark.parametrize(
    ("scheme", "bits", "of_an_integer"),
    [
        ("binary", 1, Arithmetic(0, 0, 1)),
        ("uniform", 2, Arithmetic(0, 0, 1)),  # ternary: one size, nothing to weigh
        ("uniform", 3, Arithmetic(1, 0, 1)),
        ("pot", 2, Arithmetic(0, 0, 1)),
        ("pot", 3, Arithmetic(0, 1, 1)),
        ("pot", 8, Arithmetic(0, 1, 1)),
        ("apot", 4, Arithmetic(0, 2, 2)),  # two powers of two are shifted and added
    ],
)
def test_arithmetic_by_hand(scheme, bits, of_an_integer):
    arithmetic = SCHEMES[scheme].arithmetic
    assert arithmetic(bits, macs=1, acs=0) == of_an_integer
    assert arithmetic(bits, macs=0, acs=1) == Arithmetic(0, 0, 1)  # a spike adds the weight
    multiplications, shifts, additions = of_an_integer
    assert arithmetic(bits, macs=2, acs=3) == (2 * multiplications, 2 * shifts, 2 * additions + 3)

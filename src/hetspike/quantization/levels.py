"""Schemes by name: the levels of a quantized weight, in plain numbers.

A scheme is one function from the stored bits b to its levels. To add one, write it and name it in
`SCHEMES` with the widths that it has. A level stands for a multiple of the channel's learned scale;
the signs are implied: the levels are {+m, -m for every magnitude m}.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

MAX_BITS = 8
BINARY = "binary"  # the scheme in which all others end below two bits


class Levels(NamedTuple):
    """n magnitudes, ascending, 0 among them where a weight may be 0, and the n - 1 thresholds
    between them: rounding climbs to the next magnitude above its threshold."""

    magnitudes: tuple[float, ...]
    thresholds: tuple[float, ...]

    @property
    def integers(self) -> tuple[tuple[int, ...], float]:
        """The magnitudes as multiples of their unit, the largest power of two that divides all.

        >>> power_of_two(3).integers
        ((0, 1, 2, 4), 0.25)
        """
        unit = 1 / max(Fraction(magnitude).denominator for magnitude in self.magnitudes)
        return tuple(int(magnitude / unit) for magnitude in self.magnitudes), unit

    @property
    def aligned_bits(self) -> int:
        """Width of a weight in two's complement, all exponents aligned: b for uniform at b bits.

        >>> power_of_two(4).aligned_bits
        8
        """
        return max(self.integers[0]).bit_length() + 1


class Arithmetic(NamedTuple):
    """Operations that weigh inputs and accumulate them."""

    multiplications: float
    shifts: float
    additions: float


class Scheme(NamedTuple):
    """A scheme: its levels, and the widths in bits that it comes in.

    terms   how many powers of two add up to a level, so that shifts weigh an integer; None where
            it takes a multiplier
    """

    levels: Callable[[int], Levels]
    widths: range
    terms: int | None = None

    def arithmetic(self, bits: int, *, macs: float, acs: float) -> Arithmetic:
        """Operations of so many pairs: a spike adds its weight (ACs), all else is weighed (MACs).

        Where all levels have one size there is nothing to weigh: it is added or subtracted.

        >>> SCHEMES["pot"].arithmetic(4, macs=2, acs=3)
        Arithmetic(multiplications=0, shifts=2, additions=5)
        """
        sizes = sum(magnitude > 0 for magnitude in self.levels(bits).magnitudes)
        if sizes == 1:
            return Arithmetic(0, 0, macs + acs)
        if self.terms is None:
            return Arithmetic(macs, 0, macs + acs)
        return Arithmetic(0, self.terms * macs, self.terms * macs + acs)


def nearest(magnitudes: list[float]) -> Levels:
    """Rounding to the nearest level in the linear domain: thresholds halfway between levels."""
    halfway = tuple((low + high) / 2 for low, high in pairwise(magnitudes))
    return Levels(tuple(magnitudes), halfway)


def binary(bits: int) -> Levels:
    """Levels {±1}: a sign and no zero [BinaryConnect, Courbariaux 2015; XNOR-Net, Rastegari 2016].

    The scale of least squared error is then mean|w| [XNOR-Net, eq. 6].

    >>> binary(1)
    Levels(magnitudes=(1.0,), thresholds=())
    """
    assert bits == 1, "a sign takes one bit"
    return nearest([1.0])


def uniform(bits: int) -> Levels:
    """Symmetric uniform levels {0, ±1, ..., ±Qp}, Qp = 2^(b-1) - 1 [LSQ, Esser 2020, section 2].

    >>> uniform(3).magnitudes
    (0.0, 1.0, 2.0, 3.0)
    """
    return nearest([float(level) for level in range(2 ** (bits - 1))])


def power_of_two(bits: int) -> Levels:
    """Levels {0, ±2^0, ±2^-1, ..., ±2^-(2^(b-1)-2)}, nearest in the linear domain.

    The non-additive levels of APoT's public code; INQ [Zhou 2017, eq. 2-4] rounds the same way,
    at 1.5 * 2^k. One more bit only adds levels near zero: the known rigid resolution of PoT.

    >>> power_of_two(3).magnitudes
    (0.0, 0.25, 0.5, 1.0)
    """
    return nearest([0.0, *(2.0**exponent for exponent in range(2 - 2 ** (bits - 1), 1))])


# b -> the exponents that each of the two terms may take, beside being zero
ADDITIVE_TERMS = {4: ((0, -1, -3), (-2,)), 5: ((0, -2, -4), (-1, -3, -5))}


def additive_power_of_two(bits: int) -> Levels:
    """Sums of two power-of-two terms: finer than PoT near the largest level [APoT, Li 2020, eq. 5].

    The exponents of b = 5 are that equation's for two terms of two bits; those of b = 4 the public
    code's for terms of two bits and one. At b = 3 it is PoT.

    >>> additive_power_of_two(4).magnitudes
    (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.25)
    """
    first, second = ([0.0, *(2.0**exponent for exponent in term)] for term in ADDITIVE_TERMS[bits])
    return nearest(sorted(a + b for a in first for b in second))


SCHEMES: dict[str, Scheme] = {
    BINARY: Scheme(binary, range(1, 2)),
    "uniform": Scheme(uniform, range(2, MAX_BITS + 1)),
    "pot": Scheme(power_of_two, range(2, MAX_BITS + 1), terms=1),
    "apot": Scheme(additive_power_of_two, range(4, 6), terms=2),
}

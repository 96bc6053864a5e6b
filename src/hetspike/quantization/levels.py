"""The registry of schemes, which define the levels of a quantized weight.

A scheme is one function from the number of stored bits b to its levels. To add a scheme, write the
function and name it in `SCHEMES` with the widths in bits that it supports. A weight is a level
times the learned scale of its channel. `Levels` lists the magnitudes; the levels are +m and -m for
every magnitude m.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

MAX_BITS = 8
BINARY = "binary"  # the scheme at one bit, below the widths of all others


class Levels(NamedTuple):
    """The n ascending magnitudes of a scheme, and the n - 1 thresholds between them.

    A value above a threshold is rounded to the magnitude above the threshold. The magnitudes
    include 0 if a weight may be 0.
    """

    magnitudes: tuple[float, ...]
    thresholds: tuple[float, ...]

    @property
    def integers(self) -> tuple[tuple[int, ...], float]:
        """Return the magnitudes as multiples of a unit, and the unit.

        The unit is 1, or the largest power of two below 1 of which all magnitudes are multiples.

        >>> power_of_two(3).integers
        ((0, 1, 2, 4), 0.25)
        """
        unit = 1 / max(Fraction(magnitude).denominator for magnitude in self.magnitudes)
        return tuple(int(magnitude / unit) for magnitude in self.magnitudes), unit

    @property
    def aligned_bits(self) -> int:
        """Return the width of a level in two's complement, as a multiple of the unit.

        It is b for uniform at b bits, and larger for PoT, whose exponents have to be aligned.

        >>> power_of_two(4).aligned_bits
        8
        """
        return max(self.integers[0]).bit_length() + 1


class Arithmetic(NamedTuple):
    """The numbers of operations that multiply inputs by weights and accumulate the products."""

    multiplications: float
    shifts: float
    additions: float


class Scheme(NamedTuple):
    """A scheme: its levels, and the widths in bits that it supports.

    terms   number of powers of two that add up to a level, if so many shifts can replace a
            multiplication by it; None if a multiplier is needed
    """

    levels: Callable[[int], Levels]
    widths: range
    terms: int | None = None

    def arithmetic(self, bits: int, *, macs: float, acs: float) -> Arithmetic:
        """Return the operations of some pairs of an input and a weight.

        macs   pairs whose input is multiplied by the weight
        acs    pairs whose input is a spike, for which the weight is added

        If the levels have only one magnitude besides 0, an input is added or subtracted as it is.

        >>> SCHEMES["pot"].arithmetic(4, macs=2, acs=3)
        Arithmetic(multiplications=0, shifts=2, additions=5)
        """
        positive = sum(magnitude > 0 for magnitude in self.levels(bits).magnitudes)
        if positive == 1:
            return Arithmetic(0, 0, macs + acs)
        if self.terms is None:
            return Arithmetic(macs, 0, macs + acs)
        return Arithmetic(0, self.terms * macs, self.terms * macs + acs)


def nearest(magnitudes: list[float]) -> Levels:
    """Make levels with rounding to the nearest one: thresholds are halfway between magnitudes."""
    halfway = tuple((low + high) / 2 for low, high in pairwise(magnitudes))
    return Levels(tuple(magnitudes), halfway)


def binary(bits: int) -> Levels:
    """Levels {±1}: a sign and no zero [BinaryConnect, Courbariaux 2015; XNOR-Net, Rastegari 2016].

    The scale of least squared error is mean|w| [XNOR-Net, eq. 6].

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
    """Levels {0, ±2^0, ±2^-1, ..., ±2^-(2^(b-1)-2)}, with rounding to the nearest level.

    They are the non-additive levels of APoT's public code. INQ [Zhou 2017, eq. 2-4] rounds in the
    same way, at 1.5 * 2^k. One more bit only adds levels near zero, known as the rigid resolution
    of PoT.

    >>> power_of_two(3).magnitudes
    (0.0, 0.25, 0.5, 1.0)
    """
    return nearest([0.0, *(2.0**exponent for exponent in range(2 - 2 ** (bits - 1), 1))])


# b -> the exponents of each of the two terms; a term may also be zero
ADDITIVE_TERMS = {4: ((0, -1, -3), (-2,)), 5: ((0, -2, -4), (-1, -3, -5))}


def additive_power_of_two(bits: int) -> Levels:
    """Sums of two power-of-two terms: finer than PoT near the largest level [APoT, Li 2020, eq. 5].

    For b = 5 the exponents are those of the equation, for two terms of two bits. For b = 4 they are
    those of the public code, for terms of two bits and one bit. For b = 3 the levels would be PoT.

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

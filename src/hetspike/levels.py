"""Schemes by name: which values a quantized weight may take. Plain numbers, no tensors.

A scheme is one function from the stored bits b to its levels. To add one, write it and name it in
`SCHEMES`. A level stands for a multiple of the channel's learned scale; zero and the signs are
implied: the levels are {0, +m, -m for every magnitude m}.
"""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

MIN_BITS, MAX_BITS = 2, 8


class Levels(NamedTuple):
    """n positive magnitudes, ascending, and the threshold above which rounding climbs to each."""

    magnitudes: tuple[float, ...]
    thresholds: tuple[float, ...]


def nearest(magnitudes: list[float]) -> Levels:
    """Rounding to the nearest level in the linear domain: thresholds halfway between levels."""
    steps = zip([0.0, *magnitudes], magnitudes, strict=False)
    return Levels(tuple(magnitudes), tuple((low + high) / 2 for low, high in steps))


def uniform(bits: int) -> Levels:
    """Symmetric uniform levels {0, ±1, ..., ±Qp}, Qp = 2^(b-1) - 1 [LSQ, Esser 2020, section 2].

    >>> uniform(3).magnitudes
    (1.0, 2.0, 3.0)
    """
    return nearest([float(level) for level in range(1, 2 ** (bits - 1))])


def power_of_two(bits: int) -> Levels:
    """Levels {0, ±2^0, ±2^-1, ..., ±2^-(2^(b-1)-2)}, nearest in the linear domain.

    The non-additive levels of APoT's public code; INQ [Zhou 2017, eq. 2-4] rounds the same way,
    at 1.5 * 2^k. One more bit only adds levels near zero: the known rigid resolution of PoT.

    >>> power_of_two(3).magnitudes
    (0.25, 0.5, 1.0)
    """
    return nearest([2.0**exponent for exponent in range(2 - 2 ** (bits - 1), 1)])


def power_of_two_log(bits: int) -> Levels:
    """The same levels rounded in the log domain, at sqrt(2) * 2^k [DeepShift, Elhoushi 2019]."""
    magnitudes = power_of_two(bits).magnitudes
    return Levels(magnitudes, tuple(magnitude / sqrt(2) for magnitude in magnitudes))


SCHEMES: dict[str, Callable[[int], Levels]] = {
    "uniform": uniform,
    "pot": power_of_two,
    "pot-log": power_of_two_log,
}

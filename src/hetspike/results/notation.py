"""How a value is written in a cell of a table: with its spread."""

import math


def with_spread(value: float, low: float, high: float, *, spec: str, unit: str = "") -> str:
    """8.718, 8.5, 9 with spec "#.3g" and unit "x" -> "8.72x [8.50, 9.00]".

    The value stands alone where all three print alike. One that does not exist (NaN) is a dash.
    """
    if math.isnan(value):
        return "-"
    shown, *ends = (format(each, spec) for each in (value, low, high))
    return f"{shown}{unit}" if set(ends) == {shown} else f"{shown}{unit} [{', '.join(ends)}]"


def with_deviation(mean: float, deviation: float, n: float) -> str:
    """As in "78.2 ± 1.1 (3)", n in brackets; a single run has no deviation."""
    return f"{mean:.1f} (1)" if n == 1 else f"{mean:.1f} ± {deviation:.1f} ({n:.0f})"

"""How a value is written in a cell of a table: with its spread, its origin told once."""

import math

import pandas as pd

from hetspike.names import is_stand_in
from hetspike.results.tables import MEASURES


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


def spreads(
    table: pd.DataFrame, measure: str, *, spec: str = MEASURES["drop"].spec, unit: str = ""
) -> list[str]:
    """A measure of every row with its interval; percentage points where nothing else is said."""
    rows = table[[measure, f"{measure}_low", f"{measure}_high"]].itertuples(index=False)
    return [with_spread(*row, spec=spec, unit=unit) for row in rows]


def on_first_row(names: pd.Series) -> pd.Series:
    """Each name where it stands first, and nothing below."""
    return names.mask(names.duplicated(), "")


def origin(table: pd.DataFrame) -> str:
    """A sentence for captions where some of a table's datasets are simulated."""
    simulated = table["dataset"].map(is_stand_in).any()
    return "Datasets named sim-* are simulated stand-ins, not the paper's. " if simulated else ""

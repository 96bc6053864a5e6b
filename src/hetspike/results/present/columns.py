"""What a table for people is made of: columns of text, a caption, and the rows behind them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from hetspike.names import is_stand_in
from hetspike.results.claims import Claims
from hetspike.results.notation import with_deviation, with_spread

Row = Mapping[Any, Any]
Write = Callable[[Row], Any]
Cell = str | Write  # a format of what a row names, or a function of the row

STAND_INS = "Datasets named sim-* are simulated stand-ins, not the paper's. "
DATASET: dict[str, Cell] = {"Dataset": "{dataset}"}
NETWORK = DATASET | {"Network": "{cell}"}


class Measured(NamedTuple):
    """All that the tables of a study are made from, as the functions that make them take it."""

    linear: pd.DataFrame  # predictions of the linear classifiers
    predictions: pd.DataFrame
    layers: pd.DataFrame
    networks: pd.DataFrame
    cells: pd.DataFrame
    comparison: pd.DataFrame  # `results.comparison.comparison_table`
    ablations: pd.DataFrame  # `results.comparison.ablation_table`
    firing: pd.DataFrame  # `results.firing.firing_table`
    histories: pd.DataFrame  # dataset, cell, seed and the fields of `training.history.Epoch`
    described: pd.DataFrame  # `results.tables.describe_datasets`
    spent: pd.DataFrame  # `results.cost_tables.mean_and_range`
    results: pd.DataFrame
    power: pd.DataFrame  # `results.power.power_table`
    claims: Claims
    verdicts: pd.DataFrame
    paper_size: pd.DataFrame  # operations of a network of the paper's size, without an event


class Table(NamedTuple):
    """How a table is made and shown.

    rows      what was measured (for a study, `Measured`) -> the numbers, as they stand in the csv
    columns   heading -> cell; a dataset is named on its first row. Where there are none, what is
              arranged is shown as it is
    about     what a reader must know; {stand_ins} is a sentence on simulated datasets, where there
              are some, and {seeds} how many there are
    arranged  the numbers -> what the cells are made from
    """

    rows: Callable[[Any], pd.DataFrame]
    columns: Mapping[str, Cell]
    about: str
    arranged: Callable[[pd.DataFrame], pd.DataFrame] = pd.DataFrame

    def shown(self, table: pd.DataFrame) -> pd.DataFrame:
        arranged = self.arranged(table)
        if not self.columns:
            return arranged
        rows, shown = arranged.to_dict("records"), pd.DataFrame()
        for heading, cell in self.columns.items():
            write = cell.format_map if isinstance(cell, str) else cell
            shown[heading] = [write(row) for row in rows]
        return shown.assign(Dataset=shown["Dataset"].mask(shown["Dataset"].duplicated(), ""))

    def caption(self, table: pd.DataFrame) -> str:
        simulated = table["dataset"].map(is_stand_in).any()
        seeds = f"{table['n'].max():.0f}" if "n" in table else ""
        return self.about.format(stand_ins=STAND_INS if simulated else "", seeds=seeds)


def spread(measure: str, spec: str = "z.1f", unit: str = "", ends: str = "low high") -> Write:
    """A measure with its interval; percentage points where nothing else is said."""
    names = [measure, *(f"{measure}_{end}" for end in ends.split())]
    return lambda row: with_spread(*(row[name] for name in names), spec=spec, unit=unit)


def number(measure: str, spec: str) -> Write:
    """A number, or a dash where there is none."""
    return lambda row: "-" if pd.isna(row[measure]) else format(row[measure], spec)


def factor(measure: str) -> Write:
    """How many times, with its interval: three digits, as in the paper."""
    return spread(measure, "#.3g", "x")


def deviation(measure: str) -> Write:
    """A mean over seeds with its standard deviation and the number of seeds."""
    return lambda row: with_deviation(row[measure], row[f"{measure}_sd"], row["n"])

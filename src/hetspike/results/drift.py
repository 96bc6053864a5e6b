"""Drift: what moved between published numbers and new ones, and how far each may.

config/tolerances.yaml holds exactly the fields of `Tolerances`.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from math import inf, isfinite
from numbers import Real
from typing import Annotated, Any, NamedTuple, Self

import pandas as pd
from pydantic import Field

from hetspike.errors import UserError
from hetspike.settings import Settings


class Tolerance(Settings):
    """How far some measures may move on another class of machine."""

    measures: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="<column> or <table>.<column>; * in a name stands for anything"
    )
    absolute: Annotated[float, Field(ge=0, allow_inf_nan=True)] = Field(
        0, description="in the measure's unit; .inf: text, too"
    )
    relative: Annotated[float, Field(ge=0, le=1)] = Field(
        0, description="of the published value, on top of absolute"
    )
    texts: tuple[str, ...] = Field(
        (), description="texts that any other one may have become, or may have come from"
    )
    studies: tuple[str, ...] = Field((), description="the studies it holds for; none: every one")
    why: str = Field(description="where this size comes from")


class Tolerances(Settings):
    """The first that names a measure counts; what none names may not move."""

    tolerances: tuple[Tolerance, ...]

    def of(self, study: str) -> Self:
        """Those that hold for a study."""
        held = [each for each in self.tolerances if not each.studies or study in each.studies]
        return self.model_copy(update={"tolerances": tuple(held)})

    def allowed(self, table: str, column: str, published: Any, found: Any) -> float:
        """How far a published value may move to the one that was found."""
        measure = (column, f"{table}.{column}")
        for tolerance in self.tolerances:
            if any(fnmatch(each, name) for each in measure for name in tolerance.measures):
                if {published, found} & {*tolerance.texts}:
                    return inf
                size = abs(published) if _is_number(published) else 0
                return tolerance.absolute + tolerance.relative * size
        return 0.0


EXACT = Tolerances(tolerances=())


class Move(NamedTuple):
    """A value that differs; of what exists on one side alone, `column` or `row` may be empty.

    moved    distance in the measure's unit, infinite between texts and where a side is missing
    allowed  how far it may move
    """

    table: str
    row: str
    column: str
    published: Any
    found: Any
    moved: float
    allowed: float

    @property
    def beyond(self) -> bool:
        return bool(self.moved > self.allowed)

    @property
    def badness(self) -> tuple[bool, float, float]:
        """Beyond the tolerance, how many tolerances, and which part of the published value."""
        size = abs(self.published) if _is_number(self.published) else 0
        return self.beyond, _ratio(self.moved, self.allowed), _ratio(self.moved, size)


def moves(
    published: Mapping[str, pd.DataFrame],
    found: Mapping[str, pd.DataFrame],
    tolerances: Tolerances,
) -> list[Move]:
    """Every value that differs between the tables of one name, the worst first.

    A row is known by its leading columns, as many as tell all rows apart. Raises UserError where
    not even all of them do. Tables, rows and columns that vanished or appeared are one move each,
    and never within a tolerance.
    """
    made = [
        Move(name, "", "", was, now, inf, 0)
        for name, was, now in _on_one_side(list(published), list(found))
    ]
    for name, before in published.items():
        if name in found:
            made += _moves_within(name, before, found[name], tolerances)
    return sorted(made, key=lambda move: move.badness, reverse=True)


def _moves_within(
    name: str, before: pd.DataFrame, now: pd.DataFrame, tolerances: Tolerances
) -> Iterator[Move]:
    for column, was, became in _on_one_side(list(before), list(now)):
        yield Move(name, "", column, was, became, inf, 0)
    shared = [str(column) for column in before if column in now]
    before, now = _by_row(name, before[shared], now[shared])
    for row, was, became in _on_one_side(list(before.index), list(now.index)):
        yield Move(name, row, "", was, became, inf, 0)
    for row in before.index.intersection(now.index):
        for column in shared:
            values = before.at[row, column], now.at[row, column]
            if distance := _distance(*values):
                allowed = tolerances.allowed(name, column, *values)
                yield Move(name, row, column, *values, distance, allowed)


def _on_one_side(before: list[Any], now: list[Any]) -> Iterator[tuple[str, str, str]]:
    """A name with what it was and is, where these differ."""
    yield from ((name, "there", "vanished") for name in before if name not in now)
    yield from ((name, "", "appeared") for name in now if name not in before)


def _by_row(
    name: str, before: pd.DataFrame, now: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables under the names of their rows."""
    for length in range(1, before.shape[1] + 1):
        indices = [
            pd.Index([" ".join(map(str, row[:length])) for row in table.values.tolist()])
            for table in (before, now)
        ]
        if all(index.is_unique for index in indices):
            return before.set_index(indices[0]), now.set_index(indices[1])
    raise UserError(f"table {name}: two rows are the same: make it again")


def _distance(published: Any, found: Any) -> float:
    if published == found or (pd.isna(published) and pd.isna(found)):
        return 0.0
    if _is_number(published) and _is_number(found):
        return abs(float(found) - float(published))
    return inf


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and isfinite(value)


def _ratio(part: float, whole: float) -> float:
    if part == whole == inf:
        return 1.0
    return part / float(whole) if whole else inf

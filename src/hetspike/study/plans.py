"""Parts of a study's configuration: datasets, searches and distillation; and the type of a row."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from hetspike.errors import shortened
from hetspike.names import is_plain, plain
from hetspike.networks import AnyNetwork
from hetspike.quantization.levels import SCHEMES
from hetspike.search import SEARCHES
from hetspike.settings import (
    Augmentation,
    Distillation,
    Float,
    Framing,
    Int,
    Recipe,
    Settings,
)

MOST_ROWS = 500  # more would not be a readable table


def one_of(kind: str, known: Mapping[str, Any]) -> BeforeValidator:
    """Make a validator for names in `known`; its error lists them."""

    def check(name: Any) -> Any:
        if not isinstance(name, str) or name not in known:
            shown = shortened(str(name), 40)
            raise ValueError(f"unknown {kind} '{shown}': use one of {', '.join(known)}")
        return name

    return BeforeValidator(check)


def check_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse repeated values: a repeated seed would count as two seeds, a repeated row as two."""
    if len(set(values)) < len(values):
        shown = shortened(", ".join(map(str, values)))
        raise ValueError(f"{shown}: name each value once")
    return values


Scheme = Annotated[str, one_of("scheme", SCHEMES)]
Widths = Annotated[tuple[Int, ...], Field(min_length=1, max_length=8), AfterValidator(check_once)]
Schemes = dict[Scheme, Widths]
Candidates = Annotated[Schemes, Field(min_length=1)]
SearchName = Annotated[str, one_of("search", SEARCHES)]
# part of the names of folders and files, which have a limited length
Name = Annotated[str, Field(max_length=40, pattern=r"^[a-z0-9][a-z0-9-]*$")]


class Row(NamedTuple):
    """One row of the study: one way to make a network.

    method     a scheme, a key of `searches`, or the name of a float network
    setting    the bits of a scheme, the budget of a search, or None for float
    searched   whether the method is a key of `searches`
    draw       number of the draw, for a search with several draws
    distilled  whether QAT learns from the float network as well as from labels
    times      by what the epochs of its training are multiplied
    against    the row with which this one is compared because it differs in one part; or ""
    """

    name: str
    method: str
    setting: float | None
    searched: bool = False
    draw: int = 0
    distilled: bool = False
    times: int = 1
    against: str = ""

    @property
    def plain(self) -> str:
        """Return the name of the row that this one repeats; it has the same assignment."""
        return plain(self.name)

    @property
    def repeated(self) -> bool:
        """Whether this row repeats another one with another QAT."""
        return not is_plain(self.name)


class DatasetPlan(Settings):
    """The settings of a dataset in a study."""

    source: dict[str, Any] = Field(description="keyword arguments of the dataset's function")
    framing: Framing
    network: AnyNetwork
    augmentation: Augmentation | None = Field(
        None, description="random changes of the recordings in training"
    )
    float_training: Recipe | None = Field(
        None, description="training of this dataset's float networks; None: as in the study"
    )


class SearchPlan(Settings):
    """The settings of a search in a study; each budget and draw is one row."""

    search: SearchName
    budgets: Annotated[
        tuple[Float, ...], Field(min_length=1, max_length=100), AfterValidator(check_once)
    ]
    draws: Annotated[int, Field(gt=0, le=100)] = Field(
        1, description="number of runs with different seeds, one row each"
    )
    candidates: Candidates | None = Field(
        None, description="candidates of this search; None: those of the study"
    )
    against: Name | None = Field(
        None, description="search that differs from this one in one part, for the ablations"
    )
    settings: dict[str, Any]


RowNames = Annotated[
    tuple[str, ...], Field(min_length=1, max_length=MOST_ROWS), AfterValidator(check_once)
]


class DistillationPlan(Distillation):
    """The settings of distillation in a study."""

    rows: RowNames = Field(
        description="rows that are also trained with distillation, each as a second row"
    )


class LongerPlan(Settings):
    """Which rows are also trained for more epochs."""

    rows: RowNames = Field(description="rows that are repeated, each as a row for each number")
    times: Annotated[
        tuple[Annotated[Int, Field(gt=1, le=100)], ...],
        Field(min_length=1, max_length=10),
        AfterValidator(check_once),
    ] = Field(description="by what the epochs are multiplied")

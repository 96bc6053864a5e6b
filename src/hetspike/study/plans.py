"""Parts of a study: datasets, searches, distilled rows, and the row itself."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from hetspike.errors import shortened
from hetspike.names import DISTILLED
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

MOST_ROWS = 500  # of a table that somebody reads


def one_of(kind: str, known: Mapping[str, Any]) -> BeforeValidator:
    """A name that is in `known`; the message lists what there is."""

    def check(name: Any) -> Any:
        if not isinstance(name, str) or name not in known:
            said = shortened(str(name), 40)
            raise ValueError(f"unknown {kind} '{said}': use one of {', '.join(known)}")
        return name

    return BeforeValidator(check)


def check_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """No value twice: a repeated seed would count as another, a repeated row as a second one."""
    if len(set(values)) < len(values):
        said = shortened(", ".join(map(str, values)))
        raise ValueError(f"{said}: name each value once")
    return values


Scheme = Annotated[str, one_of("scheme", SCHEMES)]
Widths = Annotated[tuple[Int, ...], Field(min_length=1, max_length=8), AfterValidator(check_once)]
Schemes = dict[Scheme, Widths]
Candidates = Annotated[Schemes, Field(min_length=1)]
SearchName = Annotated[str, one_of("search", SEARCHES)]
# of folders and files, whose names take more than this one
Name = Annotated[str, Field(max_length=40, pattern=r"^[a-z0-9][a-z0-9-]*$")]


class Cell(NamedTuple):
    """One row of the study.

    method     a scheme, a row of `searches`, or the name of a float network
    setting    a scheme's bits, a search's budget, or None for float
    searched   whether the method is a row of `searches`
    draw       which of several draws of the same search
    distilled  whether it learns from the float network as well as from labels
    against    the cell that it differs from in one part, so that the part can be judged; or ""
    """

    name: str
    method: str
    setting: float | None
    searched: bool = False
    draw: int = 0
    distilled: bool = False
    against: str = ""

    @property
    def plain(self) -> str:
        """The row that differs in nothing but distillation: they share an assignment."""
        return self.name.removesuffix(DISTILLED)


class DatasetPlan(Settings):
    source: dict[str, Any]
    framing: Framing
    network: AnyNetwork
    augmentation: Augmentation | None = Field(
        None, description="what may be done to a recording in training; its label stays"
    )
    float_training: Recipe | None = Field(
        None, description="of this dataset, where it is not the study's"
    )


class SearchPlan(Settings):
    search: SearchName
    budgets: Annotated[
        tuple[Float, ...], Field(min_length=1, max_length=100), AfterValidator(check_once)
    ]
    draws: Annotated[int, Field(gt=0, le=100)] = Field(
        1, description="runs with seeds of their own, a row each"
    )
    candidates: Candidates | None = Field(
        None, description="what this row chooses from, where it is not the study's"
    )
    against: Name | None = Field(
        None, description="row that this one differs from in one part: what the part adds"
    )
    settings: dict[str, Any]


class DistillationPlan(Distillation):
    rows: Annotated[
        tuple[str, ...], Field(min_length=1, max_length=MOST_ROWS), AfterValidator(check_once)
    ] = Field(description="trained a second time with distillation, as rows of their own")

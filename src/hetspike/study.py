"""A study as one checked object: which datasets, which rows, which settings, under which names.

The configuration file holds exactly the fields of `Study`. A dataset's `source` holds the keyword
arguments of its function in `hetspike.events`, a search's `settings` those of its settings class.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    create_model,
    model_validator,
)

from hetspike.config import Framing, Network, Recipe, Settings, checked
from hetspike.events import DATASETS
from hetspike.levels import MAX_BITS, MIN_BITS, SCHEMES
from hetspike.names import FLOAT, FLOAT_TUNED
from hetspike.search import SEARCHES

Bits = Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)]


def one_of(kind: str, known: Mapping[str, Any]) -> BeforeValidator:
    """A name that is in `known`; the message lists what there is."""

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"unknown {kind} '{name}': use one of {', '.join(known)}")
        return name

    return BeforeValidator(check)


def check_once(values: tuple[float, ...]) -> tuple[float, ...]:
    """No value twice: a repeated seed would count as another, a repeated row as a second one."""
    if len(set(values)) < len(values):
        raise ValueError(f"{', '.join(map(str, values))}: name each value once")
    return values


Scheme = Annotated[str, one_of("scheme", SCHEMES)]
Widths = Annotated[tuple[Bits, ...], AfterValidator(check_once)]


class Cell(NamedTuple):
    """One row of the study: `setting` is a scheme's bits, a search's budget, or None for float."""

    name: str
    method: str
    setting: float | None


class DatasetPlan(Settings):
    source: dict[str, Any]
    framing: Framing
    network: Network


class SearchPlan(Settings):
    budgets: Annotated[tuple[float, ...], AfterValidator(check_once)]
    settings: dict[str, Any]


class Study(Settings):
    study: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] = Field(
        description="name of the folder under results/"
    )
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1), AfterValidator(check_once)]
    datasets: Annotated[
        dict[Annotated[str, one_of("dataset", DATASETS)], DatasetPlan], Field(min_length=1)
    ]
    float_training: Recipe
    qat: Recipe = Field(description="fine-tuning of every quantized row and of float-tuned")
    boundary_layers: Literal["searched", "8-bit", "float"] = Field(
        description="first convolution and classifier: like the others, 8-bit uniform, or float"
    )
    schemes: dict[Scheme, Widths] = Field(description="rows of one scheme and width")
    candidates: dict[Scheme, Widths] = Field(description="what searches choose from")
    searches: dict[Annotated[str, one_of("search", SEARCHES)], SearchPlan]

    @model_validator(mode="after")
    def check_heads(self) -> "Study":
        for name, plan in self.datasets.items():
            if plan.network.width % plan.network.heads:
                raise ValueError(
                    f"datasets.{name}.network.heads: {plan.network.heads} heads do not divide "
                    f"width {plan.network.width}"
                )
        return self

    @model_validator(mode="after")
    def check_cells(self) -> "Study":
        names = [cell.name for cell in self.cells]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two rows are called {', '.join(twice)}: change one of them")
        return self

    @model_validator(mode="after")
    def check_budgets(self) -> "Study":
        widths = [bits for scheme in self.candidates.values() for bits in scheme]
        for name, plan in self.searches.items():
            for budget in plan.budgets:
                if not widths or not min(widths) <= budget <= max(widths):
                    raise ValueError(
                        f"searches.{name}.budgets: budget {budget:g} is out of reach, the "
                        f"candidates allow {min(widths, default=0)} to {max(widths, default=0)} "
                        "effective bits"
                    )
        return self

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The study's rows in the order of the tables."""
        return (
            Cell(FLOAT, FLOAT, None),
            Cell(FLOAT_TUNED, FLOAT_TUNED, None),
            *(Cell(f"{s}-{b}", s, b) for s, widths in self.schemes.items() for b in widths),
            *(Cell(f"{s}-{b:g}", s, b) for s, plan in self.searches.items() for b in plan.budgets),
        )


def parse_study(config: Mapping[str, Any]) -> Study:
    """Check a configuration. Raises UserError with one line that names every wrong key."""
    study = checked(Study, config, "configuration")
    for name, dataset in study.datasets.items():
        checked(
            _keywords_of(DATASETS[name]),
            dataset.source,
            "configuration",
            "datasets",
            name,
            "source",
        )
    for name, plan in study.searches.items():
        checked(SEARCHES[name], plan.settings, "configuration", "searches", name, "settings")
    return study


def _keywords_of(function: Callable[..., Any]) -> type[Settings]:
    """The keyword arguments of a function as a model; those with a default may be left out."""
    fields: dict[str, Any] = {
        p.name: (p.annotation, ... if p.default is p.empty else p.default)
        for p in inspect.signature(function).parameters.values()
    }
    return create_model(function.__name__, __base__=Settings, **fields)

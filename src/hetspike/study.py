"""A study as one checked object: which datasets, which rows, which settings, under which names.

The configuration file holds exactly the fields of `Study`. A dataset's `source` holds the keyword
arguments of its function in `hetspike.events`, a search's `settings` those of its settings class.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    create_model,
    model_validator,
)

from hetspike.config import (
    Augmentation,
    Distillation,
    Framing,
    Network,
    Recipe,
    Settings,
    checked,
)
from hetspike.events import DATASETS
from hetspike.levels import SCHEMES
from hetspike.names import DISTILLED, FLOAT, FLOAT_TUNED
from hetspike.search import SEARCHES


def one_of(kind: str, known: Mapping[str, Any]) -> BeforeValidator:
    """A name that is in `known`; the message lists what there is."""

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"unknown {kind} '{name}': use one of {', '.join(known)}")
        return name

    return BeforeValidator(check)


def check_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """No value twice: a repeated seed would count as another, a repeated row as a second one."""
    if len(set(values)) < len(values):
        raise ValueError(f"{', '.join(map(str, values))}: name each value once")
    return values


Scheme = Annotated[str, one_of("scheme", SCHEMES)]
Widths = Annotated[tuple[int, ...], AfterValidator(check_once)]
Candidates = dict[Scheme, Widths]
SearchName = Annotated[str, one_of("search", SEARCHES)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]  # of folders and files


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
    network: Network
    augmentation: Augmentation | None = Field(
        None, description="what may be done to a recording in training; its label stays"
    )
    float_training: Recipe | None = Field(
        None, description="of this dataset, where it is not the study's"
    )


class SearchPlan(Settings):
    search: SearchName
    budgets: Annotated[tuple[float, ...], AfterValidator(check_once)]
    draws: PositiveInt = Field(1, description="runs with seeds of their own, a row each")
    candidates: Candidates | None = Field(
        None, description="what this row chooses from, where it is not the study's"
    )
    against: Name | None = Field(
        None, description="row that this one differs from in one part: what the part adds"
    )
    settings: dict[str, Any]


class DistillationPlan(Distillation):
    rows: Annotated[tuple[str, ...], AfterValidator(check_once)] = Field(
        description="trained a second time with distillation, as rows of their own"
    )


class Study(Settings):
    study: Name = Field(description="name of the folder under results/")
    shares: Name | None = Field(
        None,
        description="study whose recordings, networks and searches are taken where there are "
        "some; what the two studies both name must have the same settings",
    )
    kernels: Literal["fastest", "portable"] = Field(
        "fastest",
        description="instructions to compute with: all that a machine has, or those that every "
        "x86-64 server has, for the same bits on each; no part of what a network is",
    )
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1), AfterValidator(check_once)]
    datasets: Annotated[
        dict[Annotated[str, one_of("dataset", DATASETS)], DatasetPlan], Field(min_length=1)
    ]
    float_training: Recipe
    qat: Recipe = Field(description="fine-tuning of every quantized row and of float-tuned")
    device: Literal["cpu", "gpu-if-present"] = Field(
        "cpu", description="where networks are trained and searches run; the test is on the CPU"
    )
    boundary_layers: Literal["searched", "8-bit", "float"] = Field(
        description="first convolution and classifier: like the others, 8-bit uniform, or float"
    )
    schemes: Candidates = Field(description="rows of one scheme and width")
    candidates: Candidates = Field(description="what searches choose from")
    searches: dict[Name, SearchPlan] = Field(description="rows of searched networks")
    distillation: DistillationPlan | None = Field(
        None, description="how rows learn from the float network, and which"
    )

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
    def check_widths(self) -> "Study":
        plans = {"schemes": self.schemes, "candidates": self.candidates} | {
            f"searches.{name}.candidates": plan.candidates
            for name, plan in self.searches.items()
            if plan.candidates
        }
        for key, plan in plans.items():
            for scheme, widths in plan.items():
                possible = SCHEMES[scheme].widths
                if wrong := [str(bits) for bits in widths if bits not in possible]:
                    raise ValueError(
                        f"{key}.{scheme}: {', '.join(wrong)} is not a width of {scheme}, which "
                        f"takes {possible[0]} to {possible[-1]} bits"
                    )
        return self

    @model_validator(mode="after")
    def check_cells(self) -> "Study":
        names = [cell.name for cell in self.cells]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two rows are called {', '.join(twice)}: change one of them")
        return self

    @model_validator(mode="after")
    def check_distilled_rows(self) -> "Study":
        rows = [FLOAT_TUNED, *(cell.name for cell in self._quantized_cells())]
        for name in self.distillation.rows if self.distillation else ():
            if name not in rows:
                raise ValueError(
                    f"distillation.rows: there is no row '{name}' to repeat: use some of "
                    f"{', '.join(rows)}"
                )
        return self

    @model_validator(mode="after")
    def check_ablations(self) -> "Study":
        for name, plan in self.searches.items():
            other = self.searches.get(plan.against) if plan.against else plan
            if other is None or not set(plan.budgets) & set(other.budgets):
                raise ValueError(
                    f"searches.{name}.against: '{plan.against}' is no row of searches with a "
                    "budget of this one"
                )
        return self

    @model_validator(mode="after")
    def check_budgets(self) -> "Study":
        for name, plan in self.searches.items():
            widths = [bits for each in self.candidates_of(name).values() for bits in each]
            for budget in plan.budgets:
                if not widths or not min(widths) <= budget <= max(widths):
                    raise ValueError(
                        f"searches.{name}.budgets: budget {budget:g} is out of reach, the "
                        f"candidates allow {min(widths, default=0)} to {max(widths, default=0)} "
                        "effective bits"
                    )
        return self

    def candidates_of(self, row: str) -> Candidates:
        """What the search of that row chooses from."""
        own = self.searches[row].candidates
        return self.candidates if own is None else own

    def float_training_of(self, dataset: str) -> Recipe:
        """The recipe of a dataset's float networks."""
        return self.datasets[dataset].float_training or self.float_training

    def recordings_made_by(self, dataset: str) -> dict[str, Any]:
        """The settings that make the events of a dataset."""
        return {dataset: {"source": self.datasets[dataset].source}}

    def frames_made_by(self, dataset: str) -> dict[str, Any]:
        """The settings that make the frames of a dataset."""
        framing = self.datasets[dataset].framing.model_dump()
        return {dataset: {"source": self.datasets[dataset].source, "framing": framing}}

    def search_made_by(self, dataset: str, cell: Cell) -> dict[str, Any]:
        """The settings that make the assignment of a searched cell, but for names and seed."""
        plan = self.searches[cell.method]
        return self._float_made_by(dataset) | {
            "boundary_layers": self.boundary_layers,
            "search": {
                "search": plan.search,
                "settings": plan.settings,
                "candidates": self.candidates_of(cell.method),
                "budget": cell.setting,
                "draw": cell.draw,
            },
        }

    def network_made_by(self, dataset: str, cell: Cell) -> dict[str, Any]:
        """The settings that make a network of this cell, but for names and seed."""
        made_by = self._float_made_by(dataset)
        if cell.name == FLOAT:
            return made_by
        made_by |= {"qat": self.qat.model_dump(), "boundary_layers": self.boundary_layers}
        if cell.searched:
            made_by |= self.search_made_by(dataset, cell)
        elif cell.setting is not None:
            made_by["levels"] = {"scheme": cell.method, "bits": cell.setting}
        if cell.distilled and self.distillation:
            made_by["distillation"] = self.distillation.model_dump(exclude={"rows"})
        return made_by

    def _float_made_by(self, dataset: str) -> dict[str, Any]:
        return {
            dataset: self.datasets[dataset].model_dump(exclude={"float_training"}),
            "float_training": self.float_training_of(dataset).model_dump(),
        }

    def fingerprint(self, dataset: str, cell: Cell) -> str:
        """SHA-256 of the settings that make a network of this cell, but for names and seed."""
        made_by = json.dumps(self.network_made_by(dataset, cell), sort_keys=True)
        return hashlib.sha256(made_by.encode()).hexdigest()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The study's rows in the order of the tables."""
        plain = (
            Cell(FLOAT, FLOAT, None),
            Cell(FLOAT_TUNED, FLOAT_TUNED, None),
            *self._quantized_cells(),
        )
        again = self.distillation.rows if self.distillation else ()
        return plain + tuple(
            cell._replace(name=cell.name + DISTILLED, distilled=True, against=cell.name)
            for cell in plain
            if cell.name in again
        )

    def _quantized_cells(self) -> Iterator[Cell]:
        for scheme, widths in self.schemes.items():
            for bits in widths:
                yield Cell(f"{scheme}-{bits}", scheme, bits)
        for row, plan in self.searches.items():
            other = self.searches.get(plan.against or "")
            for budget in plan.budgets:
                compared = other is not None and budget in other.budgets
                for draw in range(plan.draws):
                    which = f"{budget:g}-{draw + 1}" if plan.draws > 1 else f"{budget:g}"
                    against = f"{plan.against}-{which}" if compared else ""
                    yield Cell(
                        f"{row}-{which}", row, budget, searched=True, draw=draw, against=against
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
        checked(SEARCHES[plan.search], plan.settings, "configuration", "searches", name, "settings")
    return study


def _keywords_of(function: Callable[..., Any]) -> type[Settings]:
    """The keyword arguments of a function as a model; those with a default may be left out."""
    fields: dict[str, Any] = {
        p.name: (p.annotation, ... if p.default is p.empty else p.default)
        for p in inspect.signature(function).parameters.values()
    }
    return create_model(function.__name__, __base__=Settings, **fields)

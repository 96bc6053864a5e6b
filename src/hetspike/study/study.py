"""A study as one checked object: its datasets, rows and settings.

The configuration file contains exactly the fields of `Study`. The `source` of a dataset contains
the keyword arguments of its function in `hetspike.data.events`. The `settings` of a search contain
the fields of its settings class in `hetspike.search.SEARCHES`.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model, model_validator

from hetspike.data.events import DATASETS
from hetspike.data.events.catalogue import extent
from hetspike.data.events.protocols import check_protocol
from hetspike.errors import UserError, shortened
from hetspike.names import DISTILLED, FLOAT, FLOAT_TUNED, LONGER
from hetspike.quantization.levels import SCHEMES
from hetspike.search import SEARCHES
from hetspike.settings import SEED_DRAWS, Recipe, Seed, Settings, checked
from hetspike.study.plans import (
    MOST_ROWS,
    Candidates,
    DatasetPlan,
    DistillationPlan,
    LongerPlan,
    Name,
    Row,
    Schemes,
    SearchPlan,
    check_once,
    one_of,
)

MOST_NETWORKS = 5_000  # Snakemake lists their jobs in a minute
MOST_WEIGHTS = 2**30  # 16 GB in training
# values of the largest tensor for a recording and for a batch; backward keeps about 50 such tensors
LARGEST = 2**26, 2**31


class Study(Settings):
    """The configuration of a study."""

    study: Name = Field(description="name of the folder under results/")
    shares: Name | None = Field(
        None,
        description="another study, whose recordings, networks and searches are used where they "
        "exist; the settings of both studies must agree for them",
    )
    kernels: Literal["fastest", "portable"] = Field(
        "fastest",
        description="instructions of the processor: all, or those that every x86-64 server has, "
        "for the same bits on each; not one of the settings that make a network",
    )
    seeds: Annotated[
        tuple[Seed, ...], Field(min_length=1, max_length=100), AfterValidator(check_once)
    ]
    datasets: Annotated[
        dict[Annotated[str, one_of("dataset", DATASETS)], DatasetPlan], Field(min_length=1)
    ]
    float_training: Recipe | None = Field(
        None, description="training of float networks, for datasets without `float_training`"
    )
    qat: Recipe = Field(description="fine-tuning of every quantized row and of float-tuned")
    device: Literal["cpu", "gpu-if-present"] = Field(
        "cpu", description="where networks are trained and searches run; the test is on the CPU"
    )
    boundary_layers: Literal["searched", "8-bit", "float"] = Field(
        description="first and last layer: like the others, 8-bit uniform, or float"
    )
    schemes: Schemes = Field(description="rows with one scheme and width for all layers")
    candidates: Candidates | None = Field(
        None, description="candidates of a layer, for searches without `candidates`"
    )
    searches: Annotated[dict[Name, SearchPlan], Field(max_length=100)] = Field(
        description="rows with a searched assignment"
    )
    distillation: DistillationPlan | None = Field(
        None, description="rows that also learn from the float network, and how"
    )

    longer: LongerPlan | None = Field(
        None, description="rows that are also trained for more epochs, for the table of effort"
    )

    @model_validator(mode="after")
    def check_shares(self) -> "Study":
        if self.shares == self.study:
            raise ValueError("shares: a study has its own networks anyway: remove the key")
        return self

    @model_validator(mode="after")
    def check_size(self) -> "Study":
        rows = 2 + sum(map(len, self.schemes.values()))
        rows += sum(len(plan.budgets) * plan.draws for plan in self.searches.values())
        rows += len(self.distillation.rows) if self.distillation else 0
        rows += len(self.longer.rows) * len(self.longer.times) if self.longer else 0
        if rows == 2:
            raise ValueError("schemes and searches are empty: name a row to quantize")
        networks = len(self.datasets) * len(self.seeds) * rows
        if rows > MOST_ROWS or networks > MOST_NETWORKS:
            raise ValueError(
                f"{len(self.datasets)} datasets, {len(self.seeds)} seeds and {rows:,} rows make "
                f"{networks:,} networks: at most {MOST_ROWS} rows and {MOST_NETWORKS:,} networks go"
            )
        return self

    @model_validator(mode="after")
    def check_defaults(self) -> "Study":
        """Refuse a default that no part of the study uses, and require one that a part needs."""
        without = [name for name, plan in self.datasets.items() if not plan.float_training]
        if without and not self.float_training:
            raise ValueError(
                f"key 'float_training' is missing: add it, {without[0]} has none of its own"
            )
        if self.float_training and not without:
            raise ValueError(
                "float_training: every dataset has one of its own, none takes this: remove it"
            )
        without = [name for name, plan in self.searches.items() if not plan.candidates]
        if without and not self.candidates:
            raise ValueError(
                f"key 'candidates' is missing: add it, searches.{without[0]} has none of its own"
            )
        if self.candidates and not without:
            raise ValueError("candidates: no row of searches chooses from them: remove the key")
        return self

    @model_validator(mode="after")
    def check_networks(self) -> "Study":
        for name, plan in self.datasets.items():
            if (weights := plan.network.weights) > MOST_WEIGHTS:
                raise ValueError(
                    f"datasets.{name}.network: {weights / 1e6:,.0f} million weights are more than "
                    "a machine trains: take a smaller network"
                )
        return self

    @model_validator(mode="after")
    def check_widths(self) -> "Study":
        plans = {"schemes": self.schemes, "candidates": self.candidates} | {
            f"searches.{name}.candidates": plan.candidates for name, plan in self.searches.items()
        }
        for key, plan in plans.items():
            for scheme, widths in (plan or {}).items():
                possible = SCHEMES[scheme].widths
                if wrong := [str(bits) for bits in widths if bits not in possible]:
                    raise ValueError(
                        f"{key}.{scheme}: {', '.join(wrong)} is not a width of {scheme}, which "
                        f"takes {possible[0]} to {possible[-1]} bits"
                    )
        return self

    @model_validator(mode="after")
    def check_row_names(self) -> "Study":
        names = [row.name for row in self.rows]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two rows are called {twice[0]}: change one of them")
        return self

    @model_validator(mode="after")
    def check_draws(self) -> "Study":
        for name, plan in self.searches.items():
            if plan.draws > 1 and max(self.seeds) >= SEED_DRAWS:
                raise ValueError(
                    f"searches.{name}.draws: draws of one seed could be those of another: take "
                    f"seeds below {SEED_DRAWS}"
                )
        return self

    @model_validator(mode="after")
    def check_repeated_rows(self) -> "Study":
        tuned = [FLOAT_TUNED, *(row.name for row in self._quantized_rows())]
        for key, plan, rows in (
            ("distillation", self.distillation, tuned),
            ("longer", self.longer, [FLOAT, *tuned]),
        ):
            for name in plan.rows if plan else ():
                if name not in rows:
                    raise ValueError(
                        f"{key}.rows: there is no row '{shortened(name, 40)}' to repeat: use "
                        f"some of {shortened(', '.join(rows), 120)}"
                    )
        return self

    @model_validator(mode="after")
    def check_ablations(self) -> "Study":
        for name, plan in self.searches.items():
            if plan.against is None:
                continue
            other = self.searches.get(plan.against)
            key = f"searches.{name}.against"
            if other is None or not set(plan.budgets) & set(other.budgets):
                raise ValueError(
                    f"{key}: '{plan.against}' is no row of searches with a budget of this one"
                )
            if plan.draws != other.draws:
                raise ValueError(
                    f"{key}: '{plan.against}' has {other.draws} draws, this one {plan.draws}: give "
                    "both as many"
                )
            same = {"budgets", "against"}
            if plan.model_dump(exclude=same) == other.model_dump(exclude=same):
                raise ValueError(f"{key}: '{plan.against}' differs in nothing from this one")
        return self

    @model_validator(mode="after")
    def check_budgets(self) -> "Study":
        for name, plan in self.searches.items():
            widths = [bits for each in self.candidates_of(name).values() for bits in each]
            for budget in plan.budgets:
                if not min(widths) <= budget <= max(widths):
                    raise ValueError(
                        f"searches.{name}.budgets: budget {budget:g} is out of reach, the "
                        f"candidates allow {min(widths)} to {max(widths)} effective bits"
                    )
        return self

    def candidates_of(self, search: str) -> Schemes:
        """Return the candidates of a search."""
        candidates = self.searches[search].candidates or self.candidates
        assert candidates, "check_defaults"
        return candidates

    def float_training_of(self, dataset: str, times: int = 1) -> Recipe:
        """Return the recipe of a dataset's float networks, with so many times its epochs."""
        recipe = self.datasets[dataset].float_training or self.float_training
        assert recipe, "check_defaults"
        return _longer(recipe, times)

    def qat_of(self, row: Row) -> Recipe:
        """Return the recipe of QAT of a row."""
        return _longer(self.qat, row.times)

    def recordings_made_by(self, dataset: str) -> dict[str, Any]:
        """Return the settings that make the events of a dataset."""
        return {dataset: {"source": self.datasets[dataset].source}}

    def frames_made_by(self, dataset: str) -> dict[str, Any]:
        """Return the settings that make the frames of a dataset."""
        framing = self.datasets[dataset].framing.model_dump()
        return {dataset: {"source": self.datasets[dataset].source, "framing": framing}}

    def search_made_by(self, dataset: str, row: Row) -> dict[str, Any]:
        """Return the settings that make the assignment of a searched row, except names and seed."""
        plan = self.searches[row.method]
        return self._float_made_by(dataset) | {
            "boundary_layers": self.boundary_layers,
            "search": {
                "search": plan.search,
                "settings": plan.settings,
                "candidates": self.candidates_of(row.method),
                "budget": row.setting,
                "draw": row.draw,
            },
        }

    def network_made_by(self, dataset: str, row: Row) -> dict[str, Any]:
        """Return the settings that make a network of a row, except names and seed."""
        if row.method == FLOAT:
            return self._float_made_by(dataset, row.times)
        made_by = self._float_made_by(dataset)
        made_by |= {"qat": self.qat_of(row).model_dump(), "boundary_layers": self.boundary_layers}
        if row.searched:
            made_by |= self.search_made_by(dataset, row)
        elif row.setting is not None:
            made_by["levels"] = {"scheme": row.method, "bits": row.setting}
        if row.distilled and self.distillation:
            made_by["distillation"] = self.distillation.model_dump(exclude={"rows"})
        return made_by

    def _float_made_by(self, dataset: str, times: int = 1) -> dict[str, Any]:
        return {
            dataset: self.datasets[dataset].model_dump(exclude={"float_training"}),
            "float_training": self.float_training_of(dataset, times).model_dump(),
        }

    def fingerprint(self, dataset: str, row: Row) -> str:
        """Return the SHA-256 of the settings that make a network of a row."""
        made_by = json.dumps(self.network_made_by(dataset, row), sort_keys=True)
        return hashlib.sha256(made_by.encode()).hexdigest()

    @property
    def rows(self) -> tuple[Row, ...]:
        """Return the study's rows in the order of the tables."""
        plain = (
            Row(FLOAT, FLOAT, None),
            Row(FLOAT_TUNED, FLOAT_TUNED, None),
            *self._quantized_rows(),
        )
        again = self.distillation.rows if self.distillation else ()
        distilled = (
            row._replace(name=row.name + DISTILLED, distilled=True, against=row.name)
            for row in plain
            if row.name in again
        )
        longer = (
            row._replace(name=f"{row.name}{LONGER}{times}", times=times, against=row.name)
            for row in plain
            if self.longer and row.name in self.longer.rows
            for times in self.longer.times
        )
        return *plain, *distilled, *longer

    def _quantized_rows(self) -> Iterator[Row]:
        for scheme, widths in self.schemes.items():
            for bits in widths:
                yield Row(f"{scheme}-{bits}", scheme, bits)
        for row, plan in self.searches.items():
            other = self.searches.get(plan.against or "")
            for budget in plan.budgets:
                compared = other is not None and budget in other.budgets
                for draw in range(plan.draws):
                    which = f"{budget:g}-{draw + 1}" if plan.draws > 1 else f"{budget:g}"
                    against = f"{plan.against}-{which}" if compared else ""
                    yield Row(
                        f"{row}-{which}", row, budget, searched=True, draw=draw, against=against
                    )


def _longer(recipe: Recipe, times: int) -> Recipe:
    return recipe.model_copy(update={"epochs": recipe.epochs * times})


def parse_study(config: Any, source: str = "configuration") -> Study:
    """Return a configuration as a study. Raises UserError with one line that names wrong keys."""
    study = checked(Study, config, source)
    datasets, searches = {}, {}
    for name, dataset in study.datasets.items():
        function = DATASETS[name]
        keys = "datasets", name, "source"
        keywords: Any = checked(_keywords_of(function), dataset.source, source, *keys)
        datasets[name] = dataset.model_copy(update={"source": _as_given(keywords)})
        if "protocol_seed" in inspect.signature(function).parameters:
            check_protocol(name, keywords.protocol, keywords.protocol_seed)
    for name, plan in study.searches.items():
        keys = "searches", name, "settings"
        settings = checked(SEARCHES[plan.search], plan.settings, source, *keys)
        searches[name] = plan.model_copy(update={"settings": _as_given(settings)})
    study = study.model_copy(update={"datasets": datasets, "searches": searches})
    _check_memory(study, source)
    return study


def _as_given(settings: Settings) -> dict[str, Any]:
    """Return the checked values of the keys in the configuration; a text "3" is now a number."""
    return settings.model_dump(mode="json", exclude_unset=True)


def _check_memory(study: Study, source: str) -> None:
    """Raise UserError for tensors that are too large for any machine."""
    for name, plan in study.datasets.items():
        if not (size := extent(name, plan.source)):
            continue
        width, height = size.sensor
        batch = max(study.float_training_of(name).batch_size, study.qat.batch_size)
        recording = plan.framing.steps * plan.network.largest(height, width)
        if recording > LARGEST[0] or recording * batch > LARGEST[1]:
            raise UserError(
                f"{source}: datasets.{name}: a tensor of {recording * batch:.2g} numbers for a "
                f"batch of {batch}, {recording:.2g} for a recording, fits no machine: take more "
                "pools, a smaller width, fewer steps or a smaller batch_size"
            )


def _keywords_of(function: Callable[..., Any]) -> type[Settings]:
    """Make a settings class of the keyword arguments of a function, with their defaults."""
    fields: dict[str, Any] = {
        p.name: (p.annotation, ... if p.default is p.empty else p.default)
        for p in inspect.signature(function).parameters.values()
    }
    return create_model(function.__name__, __base__=Settings, **fields)

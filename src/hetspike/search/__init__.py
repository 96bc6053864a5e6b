"""The registry of searches, which find an assignment {layer: (scheme, bits)} within a budget.

A search is one module of this package with one of two functions:

    scores   scores [L, K] of each layer and candidate. They do not depend on the budget, and the
             assignment of the highest total within it is chosen (see `fisher`)
    search   the assignment itself (see `dnas`)

To add a search, write the module and name it in `SEARCHES` with its settings class, which tells by
`needs_budget` which of the two it is. `load` imports a module when it is needed, so that importing
the registry is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hetspike.settings import DnasSettings, SearchSettings, SensitivitySettings

if TYPE_CHECKING:
    from torch import nn

    from hetspike.data.samples import Samples
    from hetspike.quantization.quantizer import Choice
    from hetspike.search.space import Space

SEARCHES: dict[str, type[SearchSettings]] = {
    "random": SearchSettings,
    "sensitivity": SensitivitySettings,
    "fisher": SensitivitySettings,
    "dnas": DnasSettings,
}


def load(name: str) -> Any:
    """Import the module of this name."""
    return import_module(f"{__name__}.{name}")


def search(
    name: str, model: nn.Module, train: Samples, space: Space, budget: float, **how: Any
) -> dict[str, Choice]:
    """Run the search of this name; return its choice for each layer of the space.

    `how` has its settings, the seed, and `say`, which receives lines about its progress.

    Raises UserError if no assignment meets the budget, and what the search raises.
    """
    space.check(budget)
    if SEARCHES[name].needs_budget:
        return load(name).search(model, train, space, budget, **how)
    return space.best(load(name).scores(model, train, space, **how), budget)

"""The registry of searches, which find an assignment {layer: (scheme, bits)} within a budget.

A search is one module of this package with a function `search` (see `dnas` for its signature). To
add a search, write the module and name it in `SEARCHES` with its settings class. `load` imports a
module when it is needed, so that importing the registry is fast.
"""

from collections.abc import Callable
from importlib import import_module

from hetspike.settings import DnasSettings, SearchSettings, SensitivitySettings

SEARCHES: dict[str, type[SearchSettings]] = {
    "random": SearchSettings,
    "sensitivity": SensitivitySettings,
    "fisher": SensitivitySettings,
    "dnas": DnasSettings,
}


def load(name: str) -> Callable:
    """Import the module of this name and return its function `search`."""
    return import_module(f"{__name__}.{name}").search

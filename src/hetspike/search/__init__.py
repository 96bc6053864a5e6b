"""Searches by name: a budget of effective bits and data in, {layer: (scheme, bits)} out.

A search is one module of this package with a function `search` (see `dnas` for its signature). To
add one, write the module and name it here with the settings it takes. The modules are imported
by `load` when they are needed, so that looking up a name stays cheap.
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
    """Return the function `search` of the module of that name."""
    return import_module(f"{__name__}.{name}").search

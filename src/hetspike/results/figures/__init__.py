"""Figures of a study.

A figure is a `Picture` in the `FIGURES` of a module of this package, under the name of its files:
where that holds `{dataset}` or `{search}`, there is one for each of the study. To add one, write it
there, or in a new module, and name it here with its module: the study draws it and the report shows
it, in the order of the names. The modules are imported by `load` when they are needed, so that
looking up a name stays cheap. `style` renders figures.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hetspike.results.figures.style import Picture

MODULES = {
    "samples-{dataset}": "samples",
    "training-{dataset}": "training",
    "accuracy-{dataset}": "accuracy",
    "assignments-{search}": "layers",
    "energy": "energy",
    "energy-range": "energy",
    "spike-rates": "layers",
    "firing-{dataset}": "firing",
}


def load(name: str) -> Picture:
    """Return the figure of that name."""
    return import_module(f"{__name__}.{MODULES[name]}").FIGURES[name]


def drawn_in(file: str) -> tuple[Picture, dict[str, str]]:
    """Return the figure in a file of this name, without its ending, and what it is of.

    >>> drawn_in("accuracy-sim-gestures")[1], drawn_in("energy")[1]
    ({'dataset': 'sim-gestures'}, {})
    """
    for name in MODULES:
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>.+)", name)
        if found := re.fullmatch(pattern, file):
            return load(name), found.groupdict()
    raise LookupError(f"no figure has files named {file}")

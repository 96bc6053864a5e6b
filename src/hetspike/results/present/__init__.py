"""Tables for people: values carry their spread ("0.4 [-0.6, 1.5]"), headings their units.

A table is a `Table` in the `TABLES` of a module of this package: how it is made, its columns and
its caption. To add one, write it there, or in a new module, and name it here with its module: the
study writes it and the report shows it, in the order of the names. The modules are imported by
`load` when they are needed, so that looking up a name stays cheap. `forms` writes tables.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hetspike.results.present.columns import Table

SUMMARY = "summary"  # the results once more, for people alone
MODULES = {
    SUMMARY: "accuracy",
    "claims": "costs",
    "results": "accuracy",
    "comparison": "accuracy",
    "ablations": "accuracy",
    "effort": "accuracy",
    "significance": "accuracy",
    "sizes": "costs",
    "energy": "costs",
    "energy-references": "costs",
    "dataflows": "costs",
    "paper-energy": "costs",
    "energy-claims": "costs",
    "order": "costs",
    "integer": "costs",
    "firing": "firing",
    "datasets": "datasets",
    "power": "power",
}


def load(name: str) -> Table:
    """The table of that name."""
    return import_module(f"{__name__}.{MODULES[name]}").TABLES[name]

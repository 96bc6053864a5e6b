"""Names with a meaning: the cells that every study has, and what other names tell."""

from collections.abc import Iterable

FLOAT = "float"
FLOAT_TUNED = "float-tuned"  # trained on as long as quantized cells: the reference of every drop
DISTILLED = "-kd"  # ends the name of a cell whose QAT learned from the float network as well
LINEAR = "linear"  # a linear classifier on summed event counts: what the sum alone gives away

VIEWS = {  # of energy, and their headings
    "bits_linear": "Weight bits",
    "field": "MAC and AC",
    "ops": "Operations",
    "memory": "Memory",
    "total": "Operations and memory",
}


def is_stand_in(dataset: str) -> bool:
    """Simulated stand-ins, and nothing else, are named sim-*."""
    return dataset.startswith("sim-")


def search_of(row: str, rows: Iterable[str]) -> tuple[str, str]:
    """The search that a row belongs to, and what its name adds: its candidates are others.

    >>> search_of("fisher-binary", ["fisher", "fisher-binary"])
    ('fisher', 'binary')
    """
    for other in sorted(rows, key=len):
        if row.startswith(f"{other}-"):
            return other, row.removeprefix(f"{other}-")
    return row, ""

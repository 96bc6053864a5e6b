"""Names of rows and datasets that the package interprets."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

FLOAT = "float"
FLOAT_TUNED = "float-tuned"  # float, with the extra epochs of QAT: the reference of every drop
DISTILLED = "-kd"  # ends the name of a row whose QAT learned from the float network as well
LONGER = "-x"  # before the number of times that the epochs of the training were multiplied by
REPEATED = re.compile(rf"({DISTILLED}|{LONGER}\d+)$")


def plain(row: str) -> str:
    """Return the name of the row that a row repeats with another training, or its own name.

    >>> plain("fisher-3.14-kd"), plain("uniform-2-x4"), plain("pot-3")
    ('fisher-3.14', 'uniform-2', 'pot-3')
    """
    return REPEATED.sub("", row)


def is_plain(row: str) -> bool:
    """Return whether a row repeats no other row."""
    return plain(row) == row


def is_stand_in(dataset: str) -> bool:
    """Return whether a dataset is a simulated stand-in. Only stand-ins are named sim-*."""
    return dataset.startswith("sim-")


def protocol_of(source: Mapping[str, Any]) -> str:
    """Return the protocol of a dataset that has several protocols, else an empty text.

    >>> protocol_of({"protocol": "random", "protocol_seed": 0, "validation": 0.1})
    'random-0'
    >>> protocol_of({"protocol": "first90"}), protocol_of({"seed": 1})
    ('first90', '')
    """
    parts = (source.get(key) for key in ("protocol", "protocol_seed"))
    return "-".join(str(part) for part in parts if part is not None)


def labelled(dataset: str, source: Mapping[str, Any]) -> str:
    """Return a dataset's name in tables and figures, with its protocol where it has several.

    >>> labelled("cifar10-dvs", {"protocol": "first90"}), labelled("sim-gestures", {"seed": 1})
    ('cifar10-dvs (first90)', 'sim-gestures')
    """
    protocol = protocol_of(source)
    return f"{dataset} ({protocol})" if protocol else dataset


def search_of(row: str, rows: Iterable[str]) -> tuple[str, str]:
    """Split the name of a search into the shorter search that it starts with and the rest.

    >>> search_of("fisher-binary", ["fisher", "fisher-binary"])
    ('fisher', 'binary')
    """
    for other in sorted(rows, key=len):
        if row.startswith(f"{other}-"):
            return other, row.removeprefix(f"{other}-")
    return row, ""

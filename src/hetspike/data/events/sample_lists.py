"""Which recordings the splits consist of, as lists to be kept, hashed and compared.

    listing          split, name: all recordings of a study, in order
    dealt, freeze    split, name: what a protocol says of a complete archive, frozen

A frozen list knows training and test recordings, whatever part of the former is for validation, and
recordings without the ending of their file, since an archive may come in two formats.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping

from hetspike.data.events.recordings import SPLITS, OnDemand, Splits
from hetspike.errors import UserError

ENDING = re.compile(r"\.\w+$", re.ASCII)


def listing(splits: Splits) -> str:
    """A csv of split and name; empty where recordings have no names, such as simulated ones."""
    rows = [
        (split, name)
        for split in SPLITS
        if isinstance(recordings := splits[split], OnDemand)
        for name in recordings.names
    ]
    return _csv(rows) if rows else ""


def dealt(splits: Splits) -> dict[str, str]:
    """Name of each recording, without the file's ending -> training or test."""
    return {
        ENDING.sub("", name): "test" if split == "test" else "training"
        for split, recordings in splits.items()
        if isinstance(recordings, OnDemand)
        for name in recordings.names
    }


def freeze(parts: Mapping[str, str]) -> str:
    """What `dealt` returns as csv, sorted; `thaw` reads it back."""
    return _csv(sorted((split, name) for name, split in parts.items()))


def thaw(frozen: str) -> dict[str, str]:
    return {row["name"]: row["split"] for row in csv.DictReader(io.StringIO(frozen))}


def check_frozen(splits: Splits, frozen: str, where: str) -> None:
    """Raise UserError where a complete archive is dealt otherwise than its frozen list says.

    An archive of fewer recordings than the list is a part, which the list says nothing about.
    """
    expected, found = thaw(frozen), dealt(splits)
    if len(found) < len(expected):
        return
    for name in sorted({*expected, *found}):
        listed, given = (part.get(name, "absent") for part in (expected, found))
        if listed != given:
            raise UserError(
                f"{where} has '{name}' as {listed}, the archive gives it as {given}: use the "
                "archive and this package as published"
            )


def _csv(rows: Iterable[tuple[str, str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([("split", "name"), *rows])
    return file.getvalue()

"""Which recordings the splits consist of, as lists to be kept, hashed and compared.

    listing          split, name: all recordings of a study, in order
    dealt, freeze    split, names, numbers: what a protocol says of a complete archive, frozen

A frozen list knows training and test recordings, whatever part of the former is for validation, and
recordings without the ending of their file, since an archive may come in two formats. Names that
differ in the number at their end share a line; numbers in a row are a range, 0-899 or 0001-0090.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping

from hetspike.data.events.recordings import SPLITS, OnDemand, Splits
from hetspike.errors import UserError

ENDING = re.compile(r"\.\w+$", re.ASCII)
NUMBERED = re.compile(r"(?P<stem>.*?)(?P<number>\d*)", re.ASCII | re.DOTALL)


def listing(splits: Splits) -> str:
    """A csv of split and name; empty where recordings have no names, such as simulated ones."""
    rows = [
        (split, name)
        for split in SPLITS
        if isinstance(recordings := splits[split], OnDemand)
        for name in recordings.names
    ]
    return _csv("split,name", rows) if rows else ""


def dealt(splits: Splits) -> dict[str, str]:
    """Name of each recording, without the file's ending -> training or test."""
    return {
        ENDING.sub("", name): "test" if split == "test" else "training"
        for split, recordings in splits.items()
        if isinstance(recordings, OnDemand)
        for name in recordings.names
    }


def freeze(parts: Mapping[str, str]) -> str:
    """What `dealt` returns as csv; `thaw` reads it back."""
    rows = [
        (split, stem, numbers)
        for split in ("training", "test")
        for stem, numbers in compact(name for name, part in parts.items() if part == split)
    ]
    return _csv("split,names,numbers", rows)


def thaw(frozen: str) -> dict[str, str]:
    rows = csv.DictReader(io.StringIO(frozen))
    return {name: row["split"] for row in rows for name in expand(row["names"], row["numbers"])}


def compact(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What names have in common, and the numbers at their ends; in order.

    >>> list(compact(["cat_9", "cat_10", "cat_12", "a[5:7]"]))
    [('a[5:7]', ''), ('cat_', '9-10 12')]
    """
    numbers: dict[str, list[str]] = {}
    for name in names:
        match = NUMBERED.fullmatch(name)
        assert match is not None, "every name has a stem and a number, either may be empty"
        numbers.setdefault(match["stem"], []).append(match["number"])
    for stem, found in sorted(numbers.items()):
        if "" in found:
            yield stem, ""
        runs: list[list[str]] = []
        for number in sorted(filter(None, found), key=lambda each: (int(each), each)):
            if runs and number == _after(runs[-1][-1]):
                runs[-1].append(number)
            else:
                runs.append([number])
        if runs:
            yield stem, " ".join("-".join(dict.fromkeys((run[0], run[-1]))) for run in runs)


def expand(stem: str, numbers: str) -> list[str]:
    """The names that `compact` put together.

    >>> expand("image_", "0009-0011 0013")
    ['image_0009', 'image_0010', 'image_0011', 'image_0013']
    """
    names = []
    for run in numbers.split(" "):
        number, _, last = run.partition("-")
        names.append(stem + number)
        while last and number != last:
            number = _after(number)
            names.append(stem + number)
    return names


def _after(number: str) -> str:
    """The next number, as long as this one: 0009 -> 0010."""
    return f"{int(number) + 1:0{len(number)}d}"


def check_frozen(splits: Splits, frozen: str, where: str) -> None:
    """Raise UserError where a complete archive is dealt otherwise than its frozen list says.

    An archive of fewer recordings than the list is a part, which the list says nothing about.
    """
    expected, found = thaw(frozen), dealt(splits)
    if len(found) < len(expected):
        return
    names = (
        name for stem, numbers in compact({*expected, *found}) for name in expand(stem, numbers)
    )
    for name in names:
        listed, given = (part.get(name, "absent") for part in (expected, found))
        if listed != given:
            raise UserError(
                f"{where} has '{name}' as {listed}, the archive gives it as {given}: use the "
                "archive and this package as published"
            )


def _csv(heading: str, rows: Iterable[tuple[str, ...]]) -> str:
    file = io.StringIO()
    file.write(f"{heading}\n")
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()

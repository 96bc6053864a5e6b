"""Sharing of files between studies: only what the same settings made."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hetspike.atomic import intact
from hetspike.errors import UserError

MISSING = "not set"


class Job(NamedTuple):
    """A job that another study may have run, with paths in the folder of a study."""

    record: str  # json with the `settings` that made the files, and the `device` that ran it
    files: tuple[str, ...]
    made_by: Mapping[str, Any]  # the settings that are asked for
    device: str | None  # that has to have run it; None: whichever


def offered(folder: Path, jobs: Iterable[Job]) -> set[str]:
    """Return the files that a study offers, of jobs whose files are all there.

    Raises UserError, with the key, where other settings made one than are asked for, and where it
    is not known which.
    """
    found: set[str] = set()
    for job in jobs:
        there = [name for name in job.files if (folder / name).exists()]
        if not there:
            continue
        if key := _difference(folder, there[0], job):
            raise UserError(
                f"{folder / there[0]} is shared but was made by other settings, {key}: set both "
                "studies alike, or remove `shares`"
            )
        if len(there) == len(job.files):
            found.update(job.files)
    return found


def _difference(folder: Path, file: str, job: Job) -> str:
    """The first setting that differs, as a line tells it, or nothing."""
    record = folder / job.record
    remedy = f"delete {folder / file}, or run the study in {folder} again"
    if not record.exists():
        raise UserError(f"{folder / file} is shared but does not say what made it: {remedy}")
    content = intact(record, remedy)
    try:
        said = json.loads(content)
        settings, device = said["settings"], said.get("device")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UserError(f"{record} holds no settings: {remedy}") from None
    if job.device not in (None, device):
        return f"device: {device} there, {job.device} here"
    theirs = dict(_flat(settings))
    ours = dict(_flat(json.loads(json.dumps(job.made_by))))
    for key in sorted(theirs.keys() | ours.keys()):
        values = [json.dumps(each[key]) if key in each else MISSING for each in (theirs, ours)]
        if values[0] != values[1]:
            return f"{key}: {values[0]} there, {values[1]} here"
    return ""


def _flat(settings: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting under its dotted key; lists are values."""
    if not isinstance(settings, dict) or (key and not settings):
        yield key, settings
        return
    for name, value in settings.items():
        yield from _flat(value, f"{key}.{name}" if key else name)

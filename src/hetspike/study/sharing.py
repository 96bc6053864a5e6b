"""Sharing of files between studies, for files that the same settings made."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hetspike.atomic import intact
from hetspike.errors import UserError

MISSING = "not set"


class Job(NamedTuple):
    """A job that another study may have run; paths are relative to the folder of a study."""

    record: str  # json with the `settings` that made the files, and the `device` of the job
    files: tuple[str, ...]
    made_by: Mapping[str, Any]  # settings that must have made the files
    device: str | None  # device that must have run the job; None: any


def offered(folder: Path, jobs: Iterable[Job]) -> set[str]:
    """Return the files of a study that another study can use.

    A job must have all its files. Raises UserError if other settings made a file than the job
    requires, with the key that differs, and if the settings of a file are not known.
    """
    files: set[str] = set()
    for job in jobs:
        existing = [name for name in job.files if (folder / name).exists()]
        if not existing:
            continue
        if difference := _difference(folder, existing[0], job):
            raise UserError(
                f"{folder / existing[0]} is shared but was made by other settings, {difference}: "
                "set both studies alike, or remove `shares`"
            )
        if len(existing) == len(job.files):
            files.update(job.files)
    return files


def _difference(folder: Path, file: str, job: Job) -> str:
    """Return a text with the first setting that differs, or an empty text."""
    record = folder / job.record
    remedy = f"delete {folder / file}, or run the study in {folder} again"
    if not record.exists():
        raise UserError(f"{folder / file} is shared but does not say what made it: {remedy}")
    content = intact(record, remedy)
    try:
        entries = json.loads(content)
        settings, device = entries["settings"], entries.get("device")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UserError(f"{record} holds no settings: {remedy}") from None
    if job.device not in (None, device):
        return f"device: {device} there, {job.device} here"
    theirs = dict(_flat(settings))
    ours = dict(_flat(json.loads(json.dumps(job.made_by))))
    for key in sorted(theirs.keys() | ours.keys()):
        there, here = (json.dumps(each[key]) if key in each else MISSING for each in (theirs, ours))
        if there != here:
            return f"{key}: {there} there, {here} here"
    return ""


def _flat(settings: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting with its dotted key; a list is one value."""
    if not isinstance(settings, dict) or (key and not settings):
        yield key, settings
        return
    for name, value in settings.items():
        yield from _flat(value, f"{key}.{name}" if key else name)

"""Splits on disk, read back: their events, or which recordings they are."""

import hashlib
from typing import Any

from reading import foreign, read_arrays

from hetspike.atomic import REMEDY
from hetspike.data.events import DATASETS
from hetspike.data.events.recordings import OnDemand, Recordings
from hetspike.errors import UserError


def md5_of(recordings: Recordings | OnDemand) -> str:
    """Of the arrays of one split; the file around them differs from Python to Python."""
    found = hashlib.md5()
    for _, array in sorted(recordings.to_arrays().items()):
        found.update(array.tobytes())
    return found.hexdigest()


def read_split(
    path: str, dataset: str, split: str, source: dict[str, Any]
) -> Recordings | OnDemand:
    """The recordings of one split; those that are too many to keep are read where they lie."""
    arrays = read_arrays(path)
    if "names" not in arrays:
        try:
            return Recordings.from_arrays(arrays)
        except (LookupError, TypeError, ValueError) as error:
            raise foreign(path, error) from None
    recordings = DATASETS[dataset](**source)[split]
    if not isinstance(recordings, OnDemand) or [*recordings.names] != arrays["names"].tolist():
        raise UserError(f"{path} names other recordings than there are now: {REMEDY}")
    return recordings

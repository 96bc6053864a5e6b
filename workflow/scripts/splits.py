"""Splits on disk, read back: their events, or which recordings they are."""

import hashlib
from typing import Any

import numpy as np

from hetspike.events import DATASETS
from hetspike.events.recordings import OnDemand, Recordings


def md5_of(path: str) -> str:
    """Of the arrays of one split; the file around them differs from Python to Python."""
    found = hashlib.md5()
    with np.load(path) as arrays:
        for name in sorted(arrays.files):
            found.update(arrays[name].tobytes())
    return found.hexdigest()


def read_split(
    path: str, dataset: str, split: str, source: dict[str, Any]
) -> Recordings | OnDemand:
    """The recordings of one split; those that are too many to keep are read where they lie."""
    with np.load(path) as arrays:
        if "events" in arrays:
            return Recordings.from_arrays(arrays)
        names = arrays["names"].tolist()
    recordings = DATASETS[dataset](**source)[split]
    assert isinstance(recordings, OnDemand) and list(recordings.names) == names
    return recordings

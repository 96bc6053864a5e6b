"""Splits on disk, read back: their events, or which recordings they are."""

from typing import Any

import numpy as np

from hetspike.events import DATASETS
from hetspike.events.recordings import OnDemand, Recordings


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

"""Event recordings as arrays: the types that every dataset returns, simulated or recorded."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# tonic's field names; t in microseconds from the start of the recording, p True for brighter
EVENT = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Labels, groups and classes of R recordings.

    labels   [R] class index of each recording
    groups   [R] number of the subject, image or region of each recording; no two splits share one
    """

    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    sensor_size: tuple[int, int]  # width, height in pixels
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def missing(self) -> list[str]:
        """Return the classes without a recording."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return [name for name, count in zip(self.classes, counts, strict=True) if not count]

    def to_arrays(self) -> dict[str, NDArray]:
        """Return plain arrays for `numpy.savez`."""
        return {
            "labels": self.labels,
            "groups": self.groups,
            "sensor_size": np.asarray(self.sensor_size),
            "classes": np.asarray(self.classes),
        }


@dataclass(frozen=True, kw_only=True)
class Recordings(Labelled):
    """R labelled recordings in memory, with their events in one array.

    events   [E] structured EVENT, sorted by t within a recording
    offsets  [R + 1]; recording i is events[offsets[i]:offsets[i + 1]]
    """

    events: NDArray[np.void]
    offsets: NDArray[np.int64]

    def __getitem__(self, index: int) -> NDArray[np.void]:
        return self.events[self.offsets[index] : self.offsets[index + 1]]

    @classmethod
    def from_list(
        cls,
        recordings: Sequence[NDArray[np.void]],
        labels: Iterable[int],
        groups: Iterable[int],
        sensor_size: tuple[int, int],
        classes: Sequence[str],
    ) -> "Recordings":
        """Join recordings, each [E_i] structured EVENT."""
        return cls(
            events=np.concatenate([*recordings, np.empty(0, EVENT)]),
            offsets=np.cumsum([0, *(len(r) for r in recordings)], dtype=np.int64),
            labels=np.asarray(list(labels), dtype=np.int64),
            groups=np.asarray(list(groups), dtype=np.int64),
            sensor_size=sensor_size,
            classes=tuple(classes),
        )

    def to_arrays(self) -> dict[str, NDArray]:
        """Return plain arrays for `numpy.savez`; `from_arrays` restores the recordings exactly."""
        return {"events": self.events, "offsets": self.offsets, **super().to_arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> "Recordings":
        width, height = (int(n) for n in arrays["sensor_size"])
        return cls(
            events=arrays["events"],
            offsets=arrays["offsets"],
            labels=arrays["labels"],
            groups=arrays["groups"],
            sensor_size=(width, height),
            classes=tuple(str(name) for name in arrays["classes"]),
        )


@dataclass(frozen=True, kw_only=True)
class OnDemand(Labelled):
    """R labelled recordings that are read or simulated one at a time, when they are used.

    names    unique name of each recording in its archive; a list of them documents the split
    read     index of a recording -> its events [E], structured EVENT, sorted by t; always the same
    """

    names: tuple[str, ...]
    read: Callable[[int], NDArray[np.void]]

    def __getitem__(self, index: int) -> NDArray[np.void]:
        return self.read(index)

    def to_arrays(self) -> dict[str, NDArray]:
        """Return all but the events for `numpy.savez`: a list of the recordings of the split."""
        return {"names": np.asarray(self.names), **super().to_arrays()}


# the splits "train", "validation" and "test" of one dataset; no group occurs in two of them
Splits = Mapping[str, Recordings | OnDemand]

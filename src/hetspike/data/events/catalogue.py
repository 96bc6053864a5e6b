"""Published facts of the datasets: names of archives, numbers of recordings, sensors."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

# dataset, or protocol of a dataset -> the archives that it reads from its `folder`. An archive may
# contain a part of the recordings. A file <archive>.md5 beside it requires it exactly as published.
ARCHIVES = {
    "nmnist": ["Train.zip", "Test.zip"],
    "n-caltech101": ["N-Caltech101-archive.zip"],
    "cifar10-dvs": ["CIFAR10DVS.zip"],
    "sim-orbit-cifar10": ["cifar-10-binary.tar.gz"],
    "original-288": ["DvsGesture.tar.gz"],
    "preprocessed-264": ["ibmGestureTrain.tar.gz", "ibmGestureTest.tar.gz"],
}


def located(folder: str) -> Path:
    """Return the folder of archives as a path, with `~` expanded."""
    return Path(os.path.expanduser(folder))


class Extent(NamedTuple):
    """The number of recordings in each split, and the sensor's pixels along x and y."""

    train: int
    validation: int
    test: int
    sensor: tuple[int, int]


def extent(dataset: str, source: Mapping[str, Any]) -> Extent | None:
    """Return the extent that follows from a dataset's publication and settings; None if unknown."""

    def shared(recordings: int, test: int, sensor: tuple[int, int]) -> Extent:
        validation = round(source["validation"] * (recordings - test))
        return Extent(recordings - test - validation, validation, test, sensor)

    match dataset:
        case "nmnist":
            kept = source["validation"]
            return Extent(60_000 - kept, kept, 10_000, (34, 34))
        case "n-caltech101":
            size = source.get("size", 128)
            return shared(8_709, 871, (size, size))
        case "cifar10-dvs":
            return shared(10_000, 1_000, (128, 128))
        case "dvs-gesture":
            original = source["protocol"] == "original-288"
            return shared(*((1_464, 288) if original else (1_341, 264)), (128, 128))
        case "sim-orbit-cifar10":
            images, size = source.get("per_class", 1000), source.get("size", 128)
            return shared(10 * images, images, (size, size))
        case "sim-saccade-characters" | "sim-gestures" | "sim-orbit-textures":
            return Extent(source["train"], source["validation"], source["test"], (32, 32))
    return None

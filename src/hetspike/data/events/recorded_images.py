"""Recorded image datasets, read from their published archives, nested ones included.

    nmnist         N-MNIST
    n_caltech101   N-Caltech101
    cifar10_dvs    CIFAR10-DVS

Archives are read in place: nothing is unpacked under its name, and the order of recordings comes
from their names, numbers in them as numbers, never from a file system or an archive. All but
N-MNIST are too large for memory: their recordings are read, and checked, when asked for, and
archives inside others and tar.gz take room for temporary files until the process ends. A part of
an archive will do, and is split by the same rules; the table of events says how much was there, and
of how many classes.

Only CIFAR10-DVS and N-Caltech101 leave the split to their users, and results under two protocols
cannot be compared: the protocol's name is part of the configuration.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hetspike.data.events import formats
from hetspike.data.events.aedat4 import aedat4
from hetspike.data.events.archives import Archive, members
from hetspike.data.events.catalogue import located
from hetspike.data.events.protocols import (
    IMAGES,
    Item,
    Protocol,
    Share,
    check_protocol,
    deal_images,
    evenly,
)
from hetspike.data.events.recordings import Recordings, Splits
from hetspike.errors import UserError
from hetspike.settings import Folder, Seed

NMNIST_SENSOR = (34, 34)
NMNIST_CLASSES = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
)
NMNIST_MEMBER = re.compile(r"(?P<part>Train|Test)/(?P<digit>\d)/(?P<image>\d{5})\.bin", re.ASCII)
TEST_GROUP = 100_000  # beyond every five-digit name: test image 7 is not training image 7

Side = Annotated[int, Field(ge=16, le=240)]  # pixels: what four pools need, what the sensor has
CALTECH_ARCHIVE, CALTECH_INNER = "N-Caltech101-archive.zip", "Caltech101.zip"
CALTECH_SENSOR = (240, 180)
CALTECH_MEMBER = re.compile(
    r"Caltech101/(?P<kind>[\w. -]+)/image_(?P<number>\d{1,5})\.bin", re.ASCII
)

CIFAR_ARCHIVE = "CIFAR10DVS.zip"
CIFAR_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
CIFAR_MEMBER = re.compile(
    r"(?P<kind>[a-z]+)/cifar10_(?P=kind)_(?P<number>\d{1,5})\.(?P<form>aedat4?)", re.ASCII
)
CIFAR_FORMATS = {"aedat": formats.aedat2, "aedat4": aedat4}

DVS128_SENSOR = (128, 128)


class Recording(NamedTuple):
    label: int
    image: int  # official index, counted from 1 in each part
    events: NDArray[np.void]  # [E] structured EVENT


def nmnist(*, folder: Folder, validation: Annotated[int, Field(gt=0, lt=60_000)]) -> Splits:
    """N-MNIST, or a part of it [Orchard et al. 2015]: 34x34 pixels, a digit under three saccades.

    folder      where Train.zip and Test.zip lie, members named <part>/<digit>/<image>.bin
    validation  how many training recordings to set aside

    The test split is the official one. Validation takes every (R / validation)-th of the R
    training recordings in order of digit and image, so each class gives its share to within one.
    A group is an image. Raises UserError for an archive that is missing, damaged or not N-MNIST,
    and for a `validation` that leaves a split empty.
    """
    train = _read(located(folder), "Train")
    test = _read(located(folder), "Test")
    if not 0 < validation < len(train):
        raise UserError(
            f"nmnist: validation is {validation}: take 1 to {len(train) - 1} of the {len(train)} "
            f"training recordings in {folder}"
        )
    chosen = evenly(len(train), validation)
    return {
        "train": _recordings([r for r, out in zip(train, chosen, strict=True) if not out]),
        "validation": _recordings([r for r, out in zip(train, chosen, strict=True) if out]),
        "test": _recordings(test, first_group=TEST_GROUP),
    }


def _recordings(recordings: list[Recording], first_group: int = 0) -> Recordings:
    return Recordings.from_list(
        [r.events for r in recordings],
        labels=[r.label for r in recordings],
        groups=[first_group + r.image for r in recordings],
        sensor_size=NMNIST_SENSOR,
        classes=NMNIST_CLASSES,
    )


def _read(folder: Path, part: str) -> list[Recording]:
    """All recordings of one archive, in order of digit and image."""
    path = folder / f"{part}.zip"
    if not path.exists():
        raise UserError(f"{path} is missing: put N-MNIST's {part}.zip there, as published")
    recordings = []
    for name, content in members(path):
        member = NMNIST_MEMBER.fullmatch(name)
        if member is None or member["part"] != part:
            raise UserError(
                f"{path}: {name!r} is not named {part}/<digit>/<five-digit image>.bin: "
                f"use N-MNIST's {part}.zip as published"
            )
        events = formats.atis(content, f"{path}: {name!r}", NMNIST_SENSOR)
        recordings.append(Recording(int(member["digit"]), int(member["image"]), events))
    if len({r.image for r in recordings}) != len(recordings) or not recordings:
        problem = "holds an image twice" if recordings else "holds no recordings"
        raise UserError(f"{path} {problem}: use N-MNIST's {part}.zip as published")
    return sorted(recordings, key=lambda r: (r.label, r.image))


def n_caltech101(
    *, folder: Folder, protocol: Literal["first90"], validation: Share, size: Side = 128
) -> Splits:
    """N-Caltech101 [Orchard et al. 2015]: photographs of objects under three saccades.

    folder      where N-Caltech101-archive.zip lies; in it Caltech101.zip; in that
                Caltech101/<class>/image_<number>.bin
    protocol    first90: the last tenth of each class, rounded down, is test
    validation  part of the training recordings to set aside
    size        pixels along each side, to which the 240x180 of the sensor are stretched

    The published archive holds 8,709 recordings of 101 classes: 100 of objects and
    BACKGROUND_Google, which stays a class, as it is to tonic and SpikingJelly. Of Caltech101's own
    102, "Faces" is left out, the same people as "Faces_easy". Classes are the folders in order of
    their names. Every event is kept: that of column x goes to column x * size // 240, and rows
    likewise, where published recipes shrink frames. Validation takes evenly spaced ones of the
    training recordings of each class, as many as its share rounds to. A group is an image. Raises
    UserError for an archive that is missing, damaged or not N-Caltech101, and for a split that is
    left empty.
    """
    archive = Archive(located(folder) / CALTECH_ARCHIVE).inner(CALTECH_INNER)
    found = archive.matching(CALTECH_MEMBER)
    classes = sorted({member["kind"] for member in found})

    def read(name: str) -> NDArray[np.void]:
        events = formats.atis(archive.read(name), f"{archive.called}: {name!r}", CALTECH_SENSOR)
        for axis, pixels in zip("xy", CALTECH_SENSOR, strict=True):
            events[axis] = events[axis].astype(np.int64) * size // pixels
        return events

    items = [_image(m, classes.index(m["kind"]), partial(read, m.string)) for m in found]
    return deal_images(items, archive.called, protocol, None, validation, (size, size), classes)


def cifar10_dvs(
    *,
    folder: Folder,
    protocol: Protocol,
    protocol_seed: Seed | None = None,
    validation: Share,
) -> Splits:
    """CIFAR10-DVS [Li et al. 2017]: images of CIFAR-10 moving on a screen; 128x128 pixels.

    folder         where CIFAR10DVS.zip lies, ten class zips in one (AEDAT 4), or else
                   airplane.zip to truck.zip themselves (AEDAT 2.0, as first published); in those
                   <class>/cifar10_<class>_<number>.aedat4 or .aedat
    protocol       first90: the last tenth of each class is test; tebn: the first tenth is;
                   random: a tenth drawn with protocol_seed is
    protocol_seed  given with `random` only
    validation     part of the training recordings to set aside

    Each of the 10 classes has 1,000 recordings, in the order of their numbers: `tebn`, from
    [Duan et al. 2022], tests on numbers 0 to 99, `first90` on 900 to 999. SpikingJelly's
    `split_to_train_test_set`, which published recipes call, goes by file names instead, where 10
    comes before 2: its first 900 are others. Validation takes evenly spaced ones of the training
    recordings of each class, as many as its share rounds to. A group is an image. Raises UserError
    for an archive that is missing, damaged or not CIFAR10-DVS, for a seed that is missing or
    not asked for, and for a split that is left empty.
    """
    check_protocol("cifar10-dvs", protocol, protocol_seed)
    place = located(folder)
    path = place / CIFAR_ARCHIVE
    if not any((place / name).exists() for name in (CIFAR_ARCHIVE, "airplane.zip")):
        raise UserError(
            f"{path} is missing, and so is airplane.zip: put the one archive, or the ten of the "
            "classes, there, as published"
        )
    whole = Archive(path) if path.exists() else None

    def read(archive: Archive, name: str, form: str) -> NDArray[np.void]:
        decode = CIFAR_FORMATS[form]
        return decode(archive.read(name), f"{archive.called}: {name!r}", DVS128_SENSOR)

    items = []
    for label, kind in enumerate(CIFAR_CLASSES):
        inner = f"{kind}.zip"
        archive = whole.inner(inner) if whole else Archive(place / inner)
        items += [
            _image(m, label, partial(read, archive, m.string, m["form"]))
            for m in archive.matching(CIFAR_MEMBER)
            if m["kind"] == kind
        ]
    where = str(path) if whole else folder
    return deal_images(
        items, where, protocol, protocol_seed, validation, DVS128_SENSOR, CIFAR_CLASSES
    )


def _image(member: re.Match[str], label: int, read: Callable[[], NDArray[np.void]]) -> Item:
    return Item(member.string, label, label * IMAGES + int(member["number"]), read)

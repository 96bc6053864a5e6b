"""Recorded image datasets, read from their published archives, nested ones included.

    nmnist         N-MNIST
    n_caltech101   N-Caltech101
    cifar10_dvs    CIFAR10-DVS

Archives are read in place: no member is unpacked to a file of its name. Recordings are in the order
of their names, with the numbers in them compared as numbers, and not in the order of the archive.
All datasets but N-MNIST are too large for memory: each recording is read and checked when it is
used. Archives inside others, and tar.gz files, need disk space for temporary files until the
process ends. An archive may contain a part of the recordings, which is split by the same rules;
the table of events lists how many recordings and classes there were.

CIFAR10-DVS and N-Caltech101 are published without an official split. Results under two protocols
are not comparable, so the name of the protocol is part of the configuration.
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
TEST_GROUP = 100_000  # larger than every five-digit name: test image 7 is not training image 7

Side = Annotated[int, Field(ge=16, le=240)]  # pixels, from the least for four pools to the sensor's
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
    """A recording of N-MNIST."""

    label: int
    image: int  # official index, counted from 1 in each part
    events: NDArray[np.void]  # [E] structured EVENT


def nmnist(*, folder: Folder, validation: Annotated[int, Field(gt=0, lt=60_000)]) -> Splits:
    """N-MNIST, or a part of it [Orchard et al. 2015]: 34x34 pixels, a digit under three saccades.

    folder      folder of Train.zip and Test.zip, with members <part>/<digit>/<image>.bin
    validation  number of training recordings that become validation recordings

    The test split is the official one. Every (R / validation)-th of the R training recordings, in
    order of digit and image, becomes a validation recording, so each class contributes in
    proportion, to within one recording. A group is an image. Raises UserError for an archive that
    is missing, damaged or not N-MNIST, and for a `validation` that would leave a split empty.
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
    """Read all recordings of one archive, in order of digit and image."""
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

    folder      folder of N-Caltech101-archive.zip, which contains Caltech101.zip, which contains
                Caltech101/<class>/image_<number>.bin
    protocol    first90: the last tenth of each class, rounded down, is test
    validation  fraction of the training recordings that become validation recordings
    size        pixels along each side, to which the sensor's 240x180 pixels are stretched

    The published archive contains 8,709 recordings of 101 classes: 100 classes of objects and
    BACKGROUND_Google, which is a class here, as in tonic and SpikingJelly. Caltech101 itself has
    102 classes; the recordings leave out "Faces", which shows the same people as "Faces_easy".
    Classes are the folders in order of their names. Every event is kept: an event in column x
    moves to column x * size // 240, and rows likewise (published recipes resize frames instead).
    Of the training recordings of each class, evenly spaced ones become validation recordings; their
    number is the fraction, rounded. A group is an image. Raises UserError for an archive that is
    missing, damaged or not N-Caltech101, and for a split that would be empty.
    """
    archive = Archive(located(folder) / CALTECH_ARCHIVE).inner(CALTECH_INNER)
    matches = archive.matching(CALTECH_MEMBER)
    classes = sorted({match["kind"] for match in matches})

    def read(name: str) -> NDArray[np.void]:
        events = formats.atis(archive.read(name), f"{archive.called}: {name!r}", CALTECH_SENSOR)
        for axis, pixels in zip("xy", CALTECH_SENSOR, strict=True):
            events[axis] = events[axis].astype(np.int64) * size // pixels
        return events

    items = [_image(m, classes.index(m["kind"]), partial(read, m.string)) for m in matches]
    return deal_images(items, archive.called, protocol, None, validation, (size, size), classes)


def cifar10_dvs(
    *,
    folder: Folder,
    protocol: Protocol,
    protocol_seed: Seed | None = None,
    validation: Share,
) -> Splits:
    """CIFAR10-DVS [Li et al. 2017]: images of CIFAR-10 moving on a screen; 128x128 pixels.

    folder         folder of CIFAR10DVS.zip, which contains one zip per class (AEDAT 4), or of the
                   zips airplane.zip to truck.zip (AEDAT 2.0, as first published). A zip of a class
                   contains <class>/cifar10_<class>_<number>.aedat4 or .aedat
    protocol       first90: the last tenth of each class is test; tebn: the first tenth;
                   random: a tenth that is drawn with protocol_seed
    protocol_seed  for `random` only
    validation     fraction of the training recordings that become validation recordings

    Each of the 10 classes has 1,000 recordings, in the order of their numbers. `tebn`, from
    [Duan et al. 2022], tests on the numbers 0 to 99, `first90` on 900 to 999. Published recipes
    call SpikingJelly's `split_to_train_test_set`, which takes file names in alphabetical order, 10
    before 2: the first 900 are not the same there. Of the training recordings of each class, evenly
    spaced ones become validation recordings; their number is the fraction, rounded. A group is an
    image. Raises UserError for an archive that is missing, damaged or not CIFAR10-DVS, for a
    protocol_seed that is missing or not allowed, and for a split that would be empty.
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

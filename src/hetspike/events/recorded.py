"""Recorded datasets, read from the archives as they are published, nested ones included.

    nmnist         N-MNIST
    n_caltech101   N-Caltech101
    cifar10_dvs    CIFAR10-DVS
    dvs_gesture    DVS128 Gesture

Archives are read in place: nothing is unpacked under its name, and the order of recordings comes
from their names, numbers in them as numbers, never from a file system or an archive. All but
N-MNIST are too large for memory: their recordings are read, and checked, when asked for, and
archives inside others and tar.gz take room for temporary files until the process ends. A part of
an archive will do, and is split by the same rules; the table of events says how much was there.

Only CIFAR10-DVS and N-Caltech101 leave the split to their users, and results under two protocols
cannot be compared: the protocol's name is part of the configuration.
"""

import re
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hetspike.config import Folder, Seed
from hetspike.errors import UserError
from hetspike.events import formats
from hetspike.events.archives import Archive, members
from hetspike.events.embedded import GESTURES
from hetspike.events.recordings import Recordings, Splits
from hetspike.events.splits import (
    IMAGES,
    Item,
    Protocol,
    Share,
    check_protocol,
    deal_images,
    evenly,
    on_demand,
    rounded,
)

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
CALTECH_MEMBER = re.compile(r"Caltech101/(?P<kind>[^/]+)/image_(?P<number>\d{1,5})\.bin", re.ASCII)

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
CIFAR_FORMATS = {"aedat": formats.aedat2, "aedat4": formats.aedat4}

DVS128_SENSOR = (128, 128)
GESTURE_CLIP = re.compile(
    r"ibmGesture(?:Train|Test)/user(?P<subject>\d\d)_\w+/(?P<label>\d+)\.npy", re.ASCII
)
GESTURE_TRIAL = re.compile(r"user(?P<subject>\d\d)_\w+\.aedat", re.ASCII)
GESTURE_LABEL = re.compile(r"(?P<label>\d+),(?P<begin>\d+),(?P<end>\d+)", re.ASCII)
FIRST_TEST_SUBJECT = 24  # of 29


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
    train = _read(Path(folder), "Train")
    test = _read(Path(folder), "Test")
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
                f"{path}: '{name}' is not named {part}/<digit>/<five-digit image>.bin: "
                f"use N-MNIST's {part}.zip as published"
            )
        events = formats.atis(content, f"{path}: '{name}'", NMNIST_SENSOR)
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
    archive = _inner(Archive(Path(folder) / CALTECH_ARCHIVE), CALTECH_INNER)
    found = archive.matching(CALTECH_MEMBER)
    classes = sorted({member["kind"] for member in found})

    def read(name: str) -> NDArray[np.void]:
        events = formats.atis(archive.read(name), f"{archive.called}: '{name}'", CALTECH_SENSOR)
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
    path = Path(folder) / CIFAR_ARCHIVE
    if not any((Path(folder) / name).exists() for name in (CIFAR_ARCHIVE, "airplane.zip")):
        raise UserError(
            f"{path} is missing, and so is airplane.zip: put the one archive, or the ten of the "
            "classes, there, as published"
        )
    whole = Archive(path) if path.exists() else None

    def read(archive: Archive, name: str, form: str) -> NDArray[np.void]:
        decode = CIFAR_FORMATS[form]
        return decode(archive.read(name), f"{archive.called}: '{name}'", DVS128_SENSOR)

    items = []
    for label, kind in enumerate(CIFAR_CLASSES):
        inner = f"{kind}.zip"
        archive = _inner(whole, inner) if whole else Archive(Path(folder) / inner)
        items += [
            _image(m, label, partial(read, archive, m.string, m["form"]))
            for m in archive.matching(CIFAR_MEMBER)
            if m["kind"] == kind
        ]
    where = str(path) if whole else folder
    return deal_images(
        items, where, protocol, protocol_seed, validation, DVS128_SENSOR, CIFAR_CLASSES
    )


def dvs_gesture(
    *, folder: Folder, protocol: Literal["original-288", "preprocessed-264"], validation: Share
) -> Splits:
    """DVS128 Gesture [Amir et al. 2017]: eleven gestures by 29 subjects; 128x128 pixels.

    folder      where the archives lie
    protocol    original-288: DvsGesture.tar.gz, each trial cut into clips at the times that its
                labels give [us], 1,176 for training and 288 for testing
                preprocessed-264: ibmGestureTrain.tar.gz and ibmGestureTest.tar.gz, clips with
                times in milliseconds, 1,077 and 264
    validation  part of the training subjects to set aside

    The split is the official one: subjects 1 to 23 are for training, 24 to 29 for testing.
    Validation takes evenly spaced ones of the training subjects, as many as its share rounds to, so
    each class gives about its share. Clips of one trial may overlap where their labels do. A
    group is a subject. Raises UserError for an archive that is missing, damaged or not DVS128
    Gesture, and for a split that is left empty.
    """
    list_clips = _cut_trials if protocol == "original-288" else _ready_clips
    items = list_clips(Path(folder))
    subjects = np.array([item.group for item in items], dtype=np.int64)
    training = np.unique(subjects[subjects < FIRST_TEST_SUBJECT])
    chosen = training[evenly(len(training), rounded(validation, len(training)))]
    parts = np.where(np.isin(subjects, chosen), "validation", "train")
    parts[subjects >= FIRST_TEST_SUBJECT] = "test"
    return on_demand(items, parts, folder, DVS128_SENSOR, GESTURES)


def _cut_trials(folder: Path) -> list[Item]:
    """Clips of the original recordings, in order of trial and label."""
    archive = Archive(folder / "DvsGesture.tar.gz")

    @lru_cache(maxsize=1)  # a trial holds a dozen clips in a row
    def trial_events(name: str) -> NDArray[np.void]:
        return formats.aedat3(archive.read(name), f"{archive.called}: '{name}'", DVS128_SENSOR)

    def read(name: str, begin: int, end: int) -> NDArray[np.void]:
        where = f"{archive.called}: '{name}' between {begin} and {end} us"
        return formats.clip(trial_events(name), begin, end, where)

    names = set(archive.names())
    items = []
    for part in ("train", "test"):
        listing = f"DvsGesture/trials_to_{part}.txt"
        for trial in archive.read(listing).decode(errors="replace").split():
            member = GESTURE_TRIAL.fullmatch(trial)
            name = f"DvsGesture/{trial}"
            if member is None or name not in names:
                raise UserError(
                    f"{archive.called}: '{listing}' lists {trial!r}, which is no trial in the "
                    "archive: use it as published"
                )
            subject = _subject(member, part == "test", archive, listing)
            labels = f"{name.removesuffix('.aedat')}_labels.csv"
            for label, begin, end in _labels(archive, labels):
                clip = f"{trial}[{begin}:{end}]"
                items.append(Item(clip, label, subject, partial(read, name, begin, end)))
    if len({(item.name, item.label) for item in items}) != len(items):
        raise UserError(f"{archive.called} lists a clip twice: use the archive as published")
    return sorted(items, key=lambda item: item.name.partition("[")[0])  # stable: in order of labels


def _labels(archive: Archive, name: str) -> Iterator[tuple[int, int, int]]:
    """Class from 0, begin and end [us] of a trial's clips."""
    rows = archive.read(name).decode(errors="replace").split()[1:]  # behind the columns' names
    for line, row in enumerate(rows, start=2):
        match = GESTURE_LABEL.fullmatch(row)
        label, begin, end = (int(n) for n in match.groups()) if match else (0, 0, 0)
        if not 1 <= label <= len(GESTURES) or begin >= end:
            raise UserError(
                f"{archive.called}: '{name}' line {line} is {row!r}, not a class from 1 to "
                f"{len(GESTURES)}, a begin and a later end: fetch the archive again"
            )
        yield label - 1, begin, end


def _ready_clips(folder: Path) -> list[Item]:
    """Clips that were cut beforehand, in order of trial and class."""

    def read(archive: Archive, name: str) -> NDArray[np.void]:
        return formats.table(archive.read(name), f"{archive.called}: '{name}'", DVS128_SENSOR)

    items = []
    for part in ("Train", "Test"):
        archive = Archive(folder / f"ibmGesture{part}.tar.gz")
        for member in archive.matching(GESTURE_CLIP):
            name, label = member.string, int(member["label"])
            subject = _subject(member, part == "Test", archive, name)
            if label >= len(GESTURES):
                raise UserError(
                    f"{archive.called}: '{name}' is none of the {len(GESTURES)} gestures: use the "
                    "archive as published"
                )
            items.append(Item(name, label, subject, partial(read, archive, name)))
    return sorted(items, key=lambda item: (item.group, item.name.rpartition("/")[0], item.label))


def _subject(member: re.Match[str], test: bool, archive: Archive, where: str) -> int:
    subject = int(member["subject"])
    if test != (subject >= FIRST_TEST_SUBJECT):
        raise UserError(
            f"{archive.called}: '{where}' has subject {subject}, but {FIRST_TEST_SUBJECT} and "
            "above are for testing, the others for training: use the archive as published"
        )
    return subject


def _inner(archive: Archive, name: str) -> Archive:
    """An archive inside another, by way of a temporary file without a name."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (open for as long as the archive is)
    archive.copy(name, file)
    file.seek(0)
    return Archive(file, f"{archive.called}: '{name}'")


def _image(member: re.Match[str], label: int, read: Callable[[], NDArray[np.void]]) -> Item:
    return Item(member.string, label, label * IMAGES + int(member["number"]), read)

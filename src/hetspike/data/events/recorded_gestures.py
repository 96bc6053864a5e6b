"""DVS128 Gesture, read from its published archives."""

import re
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hetspike.data.events import formats
from hetspike.data.events.archives import Archive
from hetspike.data.events.catalogue import located
from hetspike.data.events.drawn_person import GESTURES
from hetspike.data.events.protocols import Item, Share, evenly, on_demand, rounded
from hetspike.data.events.recordings import Splits
from hetspike.errors import UserError
from hetspike.settings import Folder

SENSOR = (128, 128)
GESTURE_CLIP = re.compile(
    r"ibmGesture(?:Train|Test)/user(?P<subject>\d\d)_\w+/(?P<label>\d+)\.npy", re.ASCII
)
GESTURE_TRIAL = re.compile(r"user(?P<subject>\d\d)_\w+\.aedat", re.ASCII)
GESTURE_LABEL = re.compile(r"(?P<label>\d{1,2}),(?P<begin>\d{1,15}),(?P<end>\d{1,15})", re.ASCII)
FIRST_TEST_SUBJECT = 24  # of 29


def dvs_gesture(
    *, folder: Folder, protocol: Literal["original-288", "preprocessed-264"], validation: Share
) -> Splits:
    """DVS128 Gesture [Amir et al. 2017]: eleven gestures by 29 subjects; 128x128 pixels.

    folder      folder of the archives
    protocol    original-288: DvsGesture.tar.gz. Each trial is cut into clips at the times of its
                labels [us]: 1,176 clips for training and 288 for test
                preprocessed-264: ibmGestureTrain.tar.gz and ibmGestureTest.tar.gz. The archives
                contain clips with times in milliseconds: 1,077 and 264
    validation  fraction of the training subjects that become validation subjects

    The split is the official one: subjects 1 to 23 are for training, 24 to 29 for test. Of the
    training subjects, evenly spaced ones become validation subjects; their number is the fraction,
    rounded. Clips of one trial overlap where the labels do. A group is a subject. Raises UserError
    for an archive that is missing, damaged or not DVS128 Gesture, and for a split that would be
    empty.
    """
    list_clips = _cut_trials if protocol == "original-288" else _ready_clips
    items = list_clips(located(folder))
    subjects = np.array([item.group for item in items], dtype=np.int64)
    training = np.unique(subjects[subjects < FIRST_TEST_SUBJECT])
    chosen = training[evenly(len(training), rounded(validation, len(training)))]
    parts = np.where(np.isin(subjects, chosen), "validation", "train")
    parts[subjects >= FIRST_TEST_SUBJECT] = "test"
    return on_demand(items, parts, folder, SENSOR, GESTURES)


def _cut_trials(folder: Path) -> list[Item]:
    """List the clips of the original recordings, in order of trial and label."""
    archive = Archive(folder / "DvsGesture.tar.gz")

    @lru_cache(maxsize=1)  # a dozen consecutive clips are from one trial
    def trial_events(name: str) -> NDArray[np.void]:
        return formats.aedat3(archive.read(name), f"{archive.called}: {name!r}", SENSOR)

    def read(name: str, begin: int, end: int) -> NDArray[np.void]:
        where = f"{archive.called}: {name!r} between {begin} and {end} us"
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
                    f"{archive.called}: {listing!r} lists {trial[:80]!r}, which is no trial in the "
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
    """Yield class (from 0), begin [us] and end [us] of each clip of a trial."""
    rows = archive.read(name).decode(errors="replace").split()[1:]  # after the column names
    for line, row in enumerate(rows, start=2):
        match = GESTURE_LABEL.fullmatch(row)
        label, begin, end = (int(n) for n in match.groups()) if match else (0, 0, 0)
        if not 1 <= label <= len(GESTURES) or begin >= end:
            raise UserError(
                f"{archive.called}: {name!r} line {line} is {row[:80]!r}, not a class from 1 to "
                f"{len(GESTURES)}, a begin and a later end: fetch the archive again"
            )
        yield label - 1, begin, end


def _ready_clips(folder: Path) -> list[Item]:
    """List the clips of the preprocessed archives, in order of trial and class."""

    def read(archive: Archive, name: str) -> NDArray[np.void]:
        return formats.table(archive.read(name), f"{archive.called}: {name!r}", SENSOR)

    items = []
    for part in ("Train", "Test"):
        archive = Archive(folder / f"ibmGesture{part}.tar.gz")
        for member in archive.matching(GESTURE_CLIP):
            name, label = member.string, int(member["label"])
            subject = _subject(member, part == "Test", archive, name)
            if label >= len(GESTURES):
                raise UserError(
                    f"{archive.called}: {name!r} is none of the {len(GESTURES)} gestures: use the "
                    "archive as published"
                )
            items.append(Item(name, label, subject, partial(read, archive, name)))
    return sorted(items, key=lambda item: (item.group, item.name.rpartition("/")[0], item.label))


def _subject(member: re.Match[str], test: bool, archive: Archive, where: str) -> int:
    """Return the subject of a member. Raises UserError if it belongs to the other split."""
    subject = int(member["subject"])
    if test != (subject >= FIRST_TEST_SUBJECT):
        raise UserError(
            f"{archive.called}: {where!r} has subject {subject}, but {FIRST_TEST_SUBJECT} and "
            "above are for testing, the others for training: use the archive as published"
        )
    return subject

"""Recorded datasets, read by tonic from the archives as they are published.

Archives are read in place: nothing is unpacked, and the order of recordings comes from their
names, never from a file system. tonic checks what it downloads but not what it reads, so events
are checked here.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetspike.errors import UserError
from hetspike.events.recordings import EVENT, Recordings, Splits

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
EVENT_BYTES = 5  # 40-bit ATIS: x, y, then polarity in the top bit and 23 bits of microseconds

# what zipfile raises on damage, depending on whether names, headers, offsets or data are hit
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    IndexError,
    OSError,
    RuntimeError,
    ValueError,
)


class Recording(NamedTuple):
    label: int
    image: int  # official index, counted from 1 in each part
    events: NDArray[np.void]  # [E] structured EVENT


def nmnist(*, folder: str, validation: int) -> Splits:
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
    chosen = np.zeros(len(train), bool)
    chosen[np.arange(validation) * len(train) // validation] = True
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
    if not path.is_file():
        raise UserError(f"{path} is missing: put N-MNIST's {part}.zip there, as published")
    recordings = []
    for name, content in _members(path):
        member = NMNIST_MEMBER.fullmatch(name)
        if member is None or member["part"] != part:
            raise UserError(
                f"{path}: '{name}' is not named {part}/<digit>/<five-digit image>.bin: "
                f"use N-MNIST's {part}.zip as published"
            )
        events = _events(content, f"{path}: '{name}'")
        recordings.append(Recording(int(member["digit"]), int(member["image"]), events))
    if len({r.image for r in recordings}) != len(recordings) or not recordings:
        problem = "holds an image twice" if recordings else "holds no recordings"
        raise UserError(f"{path} {problem}: use N-MNIST's {part}.zip as published")
    return sorted(recordings, key=lambda r: (r.label, r.image))


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in an archive, one at a time: N-MNIST has 60,000."""
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield info.filename, archive.read(info)
    except DAMAGED as error:
        raise UserError(f"{path} cannot be read ({error}): fetch it again") from error


def _events(content: bytes, where: str) -> NDArray[np.void]:
    """40-bit ATIS events -> [E] structured EVENT; `where` names the file in an error."""
    from tonic.io import read_mnist_file

    if not content or len(content) % EVENT_BYTES:
        raise UserError(
            f"{where} has {len(content)} bytes, not a whole number of {EVENT_BYTES}-byte events: "
            "fetch the archive again"
        )
    events = read_mnist_file(io.BytesIO(content), EVENT, is_stream=True)
    width, height = NMNIST_SENSOR
    assert events.dtype == EVENT, "tonic's reader changed its fields"
    if (events["x"] >= width).any() or (events["y"] >= height).any():
        raise UserError(f"{where} has events outside {width}x{height}: fetch the archive again")
    if (np.diff(events["t"]) < 0).any():
        raise UserError(f"{where} has events that go back in time: fetch the archive again")
    return events

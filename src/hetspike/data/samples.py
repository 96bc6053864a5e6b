"""Samples: framed recordings with labels, in memory or in a file, and batches of them.

The file is a zip archive of `about.json` (shape, labels, classes) and one deflated member for the
frames of each recording. Most counts are 0, so the archive is small: 10,000 recordings of 128x128
pixels are five gigabytes of frames, and a fraction of that on disk. The archive is read through a
memory map, and a recording is inflated when a batch needs it, so that only batches use memory.

Before memory is allocated, the file is checked: there is one member for each recording and no other
one, each has the size that the shape requires, and no two share bytes. So a small damaged or
malicious file cannot expand to more than deflate allows for its length.
"""

import json
import math
import mmap
import os
import stat
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hetspike.errors import UserError

ABOUT = "about.json"
MOST_ABOUT = 2**24  # bytes of about.json; the labels of a million recordings are a third of it
MOST_COUNTS = 2**28  # values of one recording; 64 steps of a sensor of 1280x720 are 2**27
INFLATED = 1032  # largest expansion by deflate
VALUES = 2**21  # values of frames that pass through a network at once
FASTEST = 1  # deflate's fastest level; files of higher levels are a few per cent smaller

READERS = 4  # threads that read for a GPU; a core inflates about 200 recordings of 128x128 a second

# errors of zipfile, json and zlib for a damaged file
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, LookupError, OSError, OverflowError, RuntimeError, TypeError, ValueError),
)

T = TypeVar("T")
U = TypeVar("U")


class _Mapped(mmap.mmap):
    """A memory map for zipfile, which needs `seekable`; mmap has that from Python 3.13 on."""

    def seekable(self) -> bool:
        return True


class StoredFrames:
    """Frames [R, T, C, H, W] of a file, uint8. The index is a number, a slice, or a tensor [B].

    file    an open file, which may be closed afterwards
    called  the name of the file in errors

    Raises UserError at once if the file is of another kind, and if a damaged part is read later.
    """

    def __init__(self, file: IO[bytes], called: str) -> None:
        self.called = called
        with self._reading("holds no frames"):
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("it is no regular file")
            mapped = _Mapped(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._archive = zipfile.ZipFile(mapped)  # type: ignore[call-overload]
            members = {member.filename: member for member in self._archive.infolist()}
            about = json.loads(self._content(members[ABOUT], MOST_ABOUT))
            self.shape, labels, self.classes = _checked_about(about)
            self.labels: Tensor = torch.tensor(labels, dtype=torch.int64)
            self._rows = _members_of(self._archive.infolist(), members, self.shape, len(mapped))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | Tensor) -> Tensor:
        if isinstance(rows, slice):
            rows = torch.arange(len(self))[rows]
        if isinstance(rows, Tensor) and rows.dim():
            frames = torch.empty((len(rows), *self.shape[1:]), dtype=torch.uint8)
            for recording, row in zip(frames, rows.tolist(), strict=True):
                recording.copy_(self[row])
            return frames
        if not 0 <= rows < len(self):  # an IndexError ends an iteration
            raise IndexError(f"recording {int(rows)} of {len(self)}")
        with self._reading("is damaged"):
            counts = self._content(self._rows[int(rows)], MOST_COUNTS)
        return torch.frombuffer(bytearray(counts), dtype=torch.uint8).view(self.shape[1:])

    def _content(self, member: zipfile.ZipInfo, most: int) -> bytes:
        """Return the content of a member. Raises ValueError for a wrong size or one over `most`."""
        if member.compress_type != zipfile.ZIP_DEFLATED:  # other methods may expand without limit
            raise ValueError(f"{member.filename} is not deflated")
        if member.file_size > most:
            raise ValueError(f"{member.filename} would take {member.file_size} bytes")
        with self._archive.open(member) as file:
            # ZipFile.read would inflate the whole member before it compares the size
            content = file.read(member.file_size)
        if len(content) != member.file_size:
            raise ValueError(f"{member.filename} is cut short")
        return content

    @contextmanager
    def _reading(self, problem: str) -> Iterator[None]:
        try:
            yield
        except DAMAGED as error:
            raise UserError(f"{self.called} {problem} ({error}): make it again") from error


def _checked_about(about: Any) -> tuple[tuple[int, ...], list[int], tuple[str, ...]]:
    """Return shape, labels and classes. Raises ValueError unless they agree with each other."""
    shape, labels, classes = about["shape"], about["labels"], about["classes"]
    if not (
        [type(shape), type(labels), type(classes)] == [list] * 3
        and {*map(type, shape), *map(type, labels)} == {int}
        and {*map(type, classes)} == {str}
    ):
        raise ValueError(f"{ABOUT} has something else than a shape, labels and classes")
    if len(shape) != 5 or min(shape) < 1 or math.prod(shape[1:]) > MOST_COUNTS:
        raise ValueError(f"frames of shape {shape}")
    if len(labels) != shape[0] or not 0 <= min(labels) <= max(labels) < len(classes):
        raise ValueError(f"{len(labels)} labels of {len(classes)} classes for shape {shape}")
    return tuple(shape), labels, tuple(classes)


def _members_of(
    members: list[zipfile.ZipInfo],
    by_name: dict[str, zipfile.ZipInfo],
    shape: tuple[int, ...],
    length: int,
) -> list[zipfile.ZipInfo]:
    """Return the member of each recording. Raises ValueError for other members and wrong sizes.

    length  of the file in bytes, which bounds the sum of the members' sizes
    """
    if len(members) != shape[0] + 1:
        raise ValueError(f"{len(members)} members for {shape[0]} recordings")
    rows = [by_name[_member(row)] for row in range(shape[0])]
    size = math.prod(shape[1:])
    for member in rows:
        if member.file_size != size or size > INFLATED * max(member.compress_size, 1):
            raise ValueError(f"recording {member.filename} is no {size} bytes")
    if sum(member.compress_size for member in members) > length:
        raise ValueError("members overlap")
    return rows


def store(
    file: IO[bytes],
    frames: Iterable[NDArray[np.uint8]],
    labels: Sequence[int],
    classes: Sequence[str],
) -> tuple[int, ...]:
    """Write the frames [T, C, H, W] of each recording; return the shape [R, T, C, H, W].

    The same frames always give the same bytes, because members have no date.
    """
    shapes = set()
    with zipfile.ZipFile(file, "w") as archive:
        for row, counts in enumerate(frames):
            assert counts.dtype == np.uint8
            shapes.add(counts.shape)
            _write(archive, _member(row), counts.tobytes())
        assert len(shapes) == 1 and row + 1 == len(labels), "a shape, and a label for each"
        shape = (len(labels), *shapes.pop())
        about = {"shape": shape, "labels": [int(label) for label in labels], "classes": [*classes]}
        _write(archive, ABOUT, json.dumps(about).encode())
    return shape


def _member(row: int) -> str:
    return f"{row:06d}"


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name)
    archive.writestr(member, content, zipfile.ZIP_DEFLATED, compresslevel=FASTEST)


def at_once(frames: Tensor | StoredFrames, most: int) -> int:
    """Return the number of recordings for a forward pass without gradients, at most `most`."""
    return max(1, min(most, VALUES // math.prod(frames.shape[1:])))


class Samples(NamedTuple):
    """Framed recordings: frames [R, T, C, H, W] of event counts, labels [R].

    device  the device of the batches; frames and labels stay where they are
    """

    frames: Tensor | StoredFrames
    labels: Tensor
    device: str = "cpu"

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames [T, B, C, H, W], float32, and labels [B] of the recordings `rows` [B]."""
        # bytes are moved to the device, since floats are four times as large
        frames = self.frames[rows].to(self.device).transpose(0, 1).float()
        return frames, self.labels[rows].to(self.device)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches in the given order, or as stored. Batches for a GPU are read ahead."""
        order = torch.arange(len(self.labels)) if order is None else order
        return ahead(self.batch, order.split(size), 1 if self.device == "cpu" else READERS)


def ahead(make: Callable[[T], U], items: Iterable[T], workers: int) -> Iterator[U]:
    """Yield make(item) for each item in order; threads compute the next ones ahead."""
    remaining = iter(items)
    with ThreadPoolExecutor(workers) as threads:
        pending = deque(threads.submit(make, item) for item in islice(remaining, workers))
        while pending:
            made = pending.popleft().result()
            pending.extend(threads.submit(make, item) for item in islice(remaining, 1))
            yield made

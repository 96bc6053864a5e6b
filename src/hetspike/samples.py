"""Framed recordings, in memory or in a file, and the batches that networks take of them.

The file is a zip archive of `about.json` (shape, labels, classes) and a deflated member for the
frames of each recording: most counts are 0. It is read through a memory map, and a recording is
inflated when a batch asks for it, so that ten thousand of 128x128 pixels, five gigabytes of frames,
take a fraction of that on disk and a batch of it in memory.
"""

import json
import math
import mmap
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import IO, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hetspike.errors import UserError
from hetspike.events.archives import DAMAGED

ABOUT = "about.json"
VALUES = 2**21  # of frames in a network at once
FASTEST = 1  # of deflate's levels; the others save a few per cent

READERS = 4  # threads that read for a GPU; a core inflates some 200 recordings of 128x128 a second

T = TypeVar("T")
U = TypeVar("U")


class _Mapped(mmap.mmap):
    """A memory map as zipfile takes it, which asks for this before Python 3.13 has it."""

    def seekable(self) -> bool:
        return True


class StoredFrames:
    """Frames [R, T, C, H, W] of a file, uint8; indexed like a tensor: a row, a slice, or rows [B].

    file    open; it may be closed afterwards
    called  what errors call it

    Raises UserError where it is no such file, at once, or damaged, when the damage is read.
    """

    def __init__(self, file: IO[bytes], called: str) -> None:
        self.called = called
        try:
            mapped = _Mapped(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._archive = zipfile.ZipFile(mapped)  # type: ignore[call-overload]
            about = json.loads(self._archive.read(ABOUT))
            self.shape: tuple[int, ...] = tuple(about["shape"])
            self.labels: Tensor = torch.tensor(about["labels"], dtype=torch.int64)
            self.classes: tuple[str, ...] = tuple(about["classes"])
        except (*DAMAGED, LookupError, TypeError) as error:
            raise UserError(f"{called} holds no frames ({error}): make it again") from error

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | Tensor) -> Tensor:
        if isinstance(rows, slice):
            rows = torch.arange(len(self))[rows]
        if isinstance(rows, Tensor) and rows.dim():
            found = torch.empty((len(rows), *self.shape[1:]), dtype=torch.uint8)
            for place, row in zip(found, rows.tolist(), strict=True):
                place.copy_(self[row])
            return found
        if not 0 <= rows < len(self):  # what ends an iteration
            raise IndexError(f"recording {int(rows)} of {len(self)}")
        try:
            counts = self._archive.read(_member(int(rows)))
        except (*DAMAGED, LookupError) as error:
            raise UserError(f"{self.called} is damaged ({error}): make it again") from error
        return torch.frombuffer(bytearray(counts), dtype=torch.uint8).view(self.shape[1:])


def store(
    file: IO[bytes],
    frames: Iterable[NDArray[np.uint8]],
    labels: Sequence[int],
    classes: Sequence[str],
) -> tuple[int, ...]:
    """Write the frames [T, C, H, W] of one recording after the other -> shape [R, T, C, H, W].

    Equal frames are equal bytes: no member has a date.
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
    """How many recordings go through a network together when nothing is learnt: bounds memory."""
    return max(1, min(most, VALUES // math.prod(frames.shape[1:])))


class Samples(NamedTuple):
    """Framed recordings: frames [R, T, C, H, W] of event counts, labels [R].

    device  where batches go
    """

    frames: Tensor | StoredFrames
    labels: Tensor
    device: str = "cpu"

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Frames [T, B, C, H, W] and labels [B] of these rows [B]."""
        # bytes are moved, a quarter of the floats that they become
        frames = self.frames[rows].to(self.device).transpose(0, 1).float()
        return frames, self.labels[rows].to(self.device)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches in the given order or as stored, read while the ones before are at work."""
        order = torch.arange(len(self.labels)) if order is None else order
        return ahead(self.batch, order.split(size), 1 if self.device == "cpu" else READERS)


def ahead(make: Callable[[T], U], items: Iterable[T], workers: int) -> Iterator[U]:
    """make(item) of each in order, by so many threads, while those before are used."""
    left = iter(items)
    with ThreadPoolExecutor(workers) as threads:
        coming = deque(threads.submit(make, item) for item in islice(left, workers))
        while coming:
            made = coming.popleft().result()
            coming.extend(threads.submit(make, item) for item in islice(left, 1))
            yield made

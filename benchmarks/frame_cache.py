"""Frames from their compact file against a dense memory map: size, speed, memory.

    python benchmarks/frame_cache.py --recordings 10000

Recordings are of CIFAR10-DVS's size, 200,000 events in 16 frames of 128x128, at random places: real
ones lie closer together and are smaller in the file. Batches of 16 in random order, as in training.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from measuring import Row, peak_memory, say, section
from numpy.typing import NDArray

from hetspike.data.samples import Samples, StoredFrames, ahead, store

SHAPE = (16, 2, 128, 128)
EVENTS = 200_000
SIZE = 16


def made(count: int) -> Iterator[NDArray[np.uint8]]:
    """Make the frames of recordings."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        cells = rng.integers(np.prod(SHAPE), size=EVENTS)
        yield np.bincount(cells, minlength=np.prod(SHAPE)).astype(np.uint8).reshape(SHAPE)


def recordings_a_second(samples: Samples, order: torch.Tensor, threads: int = 1) -> float:
    """Read batches in that order."""
    start = time.perf_counter()
    for _ in ahead(samples.batch, order.split(SIZE), threads):
        pass
    return len(order) / (time.perf_counter() - start)


def measure(*, recordings: int, batches: int) -> list[Row]:
    """Read batches from both files."""
    torch.manual_seed(0)
    labels = torch.zeros(recordings, dtype=torch.long)
    order = torch.randint(recordings, (batches * SIZE,))
    threads = os.cpu_count() or 1
    found: list[Row] = []

    def add(kind: str, size: int, speed: float) -> None:
        about = {"kind": kind, "bytes": size, "recordings": recordings}
        found.append(about | {"recordings_a_second": speed, "peak": peak_memory()})
        say(kind)

    with tempfile.TemporaryDirectory() as folder:
        compact, dense = Path(folder) / "frames.zip", Path(folder) / "frames.npy"
        with compact.open("wb") as new:
            store(new, made(recordings), labels.tolist(), ["only"])
        with compact.open("rb") as file:
            frames = StoredFrames(file, str(compact))
        held, size = Samples(frames, labels), compact.stat().st_size
        add("compact file", size, recordings_a_second(held, order))
        add(f"compact file, {threads} threads", size, recordings_a_second(held, order, threads))
        plain = np.lib.format.open_memmap(dense, "w+", np.uint8, (recordings, *SHAPE))
        for row, counts in enumerate(made(recordings)):
            plain[row] = counts
        held = Samples(torch.from_numpy(plain), labels)
        add("dense memory map", plain.nbytes, recordings_a_second(held, order))
    return found


if __name__ == "__main__":
    section(measure, recordings=300, batches=40)

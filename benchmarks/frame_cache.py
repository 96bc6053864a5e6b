"""Frames from their compact file against a dense memory map: size, speed, memory.

    python benchmarks/frame_cache.py 10000

Recordings are of CIFAR10-DVS's size, 200,000 events in 16 frames of 128x128, at random places: real
ones lie closer together and are smaller in the file. Batches of 16 in random order, as in training.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hetspike.data.samples import Samples, StoredFrames, ahead, store

SHAPE = (16, 2, 128, 128)
EVENTS = 200_000
BATCHES, SIZE = 100, 16


def recordings(count: int) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    for _ in range(count):
        cells = rng.integers(np.prod(SHAPE), size=EVENTS)
        yield np.bincount(cells, minlength=np.prod(SHAPE)).astype(np.uint8).reshape(SHAPE)


def recordings_a_second(samples: Samples, order: torch.Tensor, threads: int = 1) -> float:
    start = time.perf_counter()
    for _ in ahead(samples.batch, order.split(SIZE), threads):
        pass
    return len(order) / (time.perf_counter() - start)


def main(count: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    labels = torch.zeros(count, dtype=torch.long)
    order = torch.randint(count, (BATCHES * SIZE,))
    with tempfile.TemporaryDirectory() as folder:
        compact, dense = Path(folder) / "frames.zip", Path(folder) / "frames.npy"
        with compact.open("wb") as file:
            store(file, recordings(count), labels.tolist(), ["only"])
        with compact.open("rb") as file:
            frames = StoredFrames(file, str(compact))
        speed = recordings_a_second(Samples(frames, labels), order)
        every = recordings_a_second(Samples(frames, labels), torch.arange(count))
        threads = os.cpu_count() or 1
        together = recordings_a_second(Samples(frames, labels), order, threads)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(f"compact file   {compact.stat().st_size / 1e9:6.2f} GB, {speed:6.0f} recordings/s")
        print(f"  read as a whole, {every:.0f} recordings/s; peak memory {memory / 1e9:.2f} GB")
        print(f"  read by {threads} threads, {together:.0f} recordings/s")
        plain = np.lib.format.open_memmap(dense, "w+", np.uint8, (count, *SHAPE))
        for row, counts in enumerate(recordings(count)):
            plain[row] = counts
        held = Samples(torch.from_numpy(plain), labels)
        peer = recordings_a_second(held, order)
        print(f"dense numpy map {plain.nbytes / 1e9:5.2f} GB, {peer:6.0f} recordings/s")
        print(f"speed of the compact file over that of the dense map: {speed / peer:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]))

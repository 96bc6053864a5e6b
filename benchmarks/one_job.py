"""Time and peak memory of one job in a process of its own; `scaling` and `paper_size` start it.

    python benchmarks/one_job.py '[{"batch": 2, "steps": 1}, {"steps": 5}]'

Takes a list of jobs and prints seconds and bytes of the last one. Its memory is what it needs more
than the jobs before it, which load the libraries and the kernels.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from measuring import (
    CANDIDATES,
    SIDE,
    Row,
    Step,
    T,
    by_modules,
    in_turn,
    in_uniform_4,
    middle,
    mixed,
    peak_memory,
    spikformer,
    training,
)
from torch import Tensor, nn

from hetspike.data.samples import Samples
from hetspike.settings import Recipe
from hetspike.training.loop import fit

DENSITY = 0.12  # events per pixel and step of the noise, as in the stand-ins
BATCH = 32
RECIPE = Recipe(
    epochs=1,
    warmup_epochs=0.5,
    cooldown_epochs=0,
    batch_size=BATCH,
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    weight_decay=0.06,
    label_smoothing=0.1,
    precision="float32",
)


def noise(steps: int, recordings: int, side: int) -> Tensor:
    """Return frames [R, T, 2, H, W] of noise."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.empty(recordings, steps, 2, side, side, dtype=torch.uint8)
    for recording in frames:
        rates = torch.full(recording.shape, DENSITY)
        recording.copy_(torch.poisson(rates, generator=generator))
    return frames


def networks(kind: str, build: Callable[[], nn.Module], candidates: int) -> list[nn.Module]:
    """Return the networks that take a step in turn."""
    match kind:
        case "modules":
            return [by_modules(build())]
        case "qat":
            return [in_uniform_4(build())]
        case "supernet":
            from peers import supernet  # the peers take memory, and no other kind needs them

            return [supernet(build(), CANDIDATES[:candidates])] * 2
        case "dnas":
            return [mixed(build(), each, CANDIDATES[:candidates]) for each in (None, 1.0)]
    return [build()]


def epoch(model: nn.Module, train: Samples) -> Step:
    """Return an epoch of `hetspike.fit`, validated on one batch."""
    validation = Samples(train.frames[:BATCH], train.labels[:BATCH])
    return lambda: fit(model, train, validation, RECIPE, seed=0)


def job(
    *,
    kind: str = "float",
    steps: int = 5,
    frames: int = T,
    batch: int = BATCH,
    side: int = SIDE,
    candidates: int = len(CANDIDATES),
    recordings: int = 0,
    starts: float = 0,
    **network: Any,
) -> Row:
    """Time steps of training, or an epoch if the number of recordings is given.

    starts  the time at which the steps begin, for jobs that run side by side
    """
    before = peak_memory()
    build = partial(spikformer, **network)
    labels = torch.arange(max(batch, recordings)) % 10
    if recordings:
        turn = epoch(build(), Samples(noise(frames, recordings, side), labels))
    else:
        counts = noise(frames, batch, side).transpose(0, 1).float()
        turns = [training(each, (counts, labels)) for each in networks(kind, build, candidates)]

        def turn() -> None:
            for step in turns:
                step()

    if starts:
        turn()
        time.sleep(max(0.0, starts - time.time()))
    taken = in_turn({"": turn}, steps, time.perf_counter if starts else time.process_time)[""]
    return middle(taken) | {"memory": peak_memory() - before, "peak": peak_memory()}


if __name__ == "__main__":
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    *_, last = [job(**options) for options in json.loads(sys.argv[1])]
    print(json.dumps(last))

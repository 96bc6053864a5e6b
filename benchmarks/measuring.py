"""What all benchmarks share: recordings, networks, clocks, and the command line of one."""

import argparse
import json
import logging
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrize

from hetspike.data.events import DATASETS
from hetspike.data.events.recordings import Recordings
from hetspike.data.frames import frames
from hetspike.data.samples import Samples
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.quantization.quantizer import Choice, choices, quantize, single_scheme
from hetspike.search.dnas import MixedWeight

Row = dict[str, Any]
Step = Callable[[], object]
Kind = TypeVar("Kind")

T, SIDE, CLASSES = 4, 32, 11  # of the stand-ins; sim-gestures has 11 classes
POOLS = (True, True, True, False)
NETWORK: Row = {"width": 64, "depth": 2, "heads": 4, "mlp_ratio": 4, "pools": POOLS}
CANDIDATES = choices({"uniform": [2, 3, 4, 6, 8], "pot": [3, 4, 5]})
UNIFORM_4 = Choice("uniform", 4)
LEAST = {"validation": 33, "test": 66}  # recordings of the splits that are not looked at


def section(measure: Callable[..., list[Row]], **sizes: int) -> None:
    """Run a benchmark from the command line, which may give it other sizes, and print its rows."""
    parser = argparse.ArgumentParser(description=measure.__doc__)
    for name, size in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=size, help=f"instead of {size}")
    parser.add_argument("--json", action="store_true", help="rows for a program")
    given = vars(parser.parse_args())
    as_json = given.pop("json")
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # it misses a GPU
    torch.set_num_threads(1)
    rows = measure(**given)
    print(json.dumps(rows) if as_json else "\n".join(map(str, rows)))


def say(line: str) -> None:
    """Tell of progress."""
    print(f"    {line}", file=sys.stderr, flush=True)


def recordings(dataset: str, count: int) -> Recordings:
    """Return training recordings of a stand-in."""
    found = DATASETS[dataset](train=count, seed=1, **LEAST)["train"]
    assert isinstance(found, Recordings), "a stand-in"
    return found


def samples(dataset: str, count: int) -> Samples:
    """Return such recordings as frames."""
    found = recordings(dataset, count)
    framed = np.stack([*frames(found, steps=T, slice_by="time")])
    return Samples(torch.from_numpy(framed), torch.from_numpy(found.labels))


def spikformer(classes: int = CLASSES, **changes: Any) -> nn.Module:
    """Return an untrained Spikformer, of the default study if nothing is changed."""
    torch.manual_seed(0)
    return Spikformer(classes, **NETWORK | changes).train()


def by_modules(model: nn.Module) -> nn.Module:
    """Keep a network from the kernels: a hook wants to see its modules at work."""
    next(model.children()).register_forward_hook(lambda *_: None)
    return model


def in_uniform_4(model: nn.Module) -> nn.Module:
    """Return the network with 4-bit quantizers, ready for QAT."""
    return quantize(model, single_scheme(model, UNIFORM_4, {})).train()


def mixed(model: nn.Module, temperature: float | None, candidates: tuple[Choice, ...]) -> nn.Module:
    """Return the network as dnas trains it: its weights, or its logits at that temperature."""
    for each in quantizable_layers(model).values():
        mixture = MixedWeight(each.weight, candidates)
        mixture.temperature = temperature
        parametrize.register_parametrization(each, "weight", mixture)
    return model


def training(
    model: nn.Module, batch: tuple[Tensor, Tensor], answer: Callable[[Tensor], Tensor] | None = None
) -> Step:
    """Return a step of training: forward, backward, optimizer."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    frames, labels = batch

    def step() -> None:
        loss = cross_entropy((answer or model)(frames), labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def inference(
    model: nn.Module, frames: Tensor, answer: Callable[[Tensor], Tensor] | None = None
) -> Step:
    """Return a forward pass in evaluation mode."""
    model.eval()
    return torch.no_grad()(lambda: (answer or model)(frames))


def in_turn(
    kinds: Mapping[Kind, Step], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[Kind, list[float]]:
    """Return the seconds of every kind in each round. In a round, one runs after the other."""
    taken: dict[Kind, list[float]] = {name: [] for name in kinds}
    for step in kinds.values():  # the first call of a kernel compiles it
        step()
    for turn in range(rounds):
        for name, step in kinds.items():
            start = clock()
            step()
            taken[name].append(clock() - start)
        if len(kinds) > 1:
            say(f"round {turn + 1} of {rounds}")
    return taken


def middle(taken: list[float]) -> Row:
    """Return the median and the quartiles of seconds."""
    low, high = np.quantile(taken, [0.25, 0.75])
    return {"seconds": statistics.median(taken), "low": float(low), "high": float(high)}


def peak_memory() -> int:
    """Return the largest memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

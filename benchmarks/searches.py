"""Seconds of every search of config/search.yaml over those of one QAT run, in one process.

    python benchmarks/searches.py

Ablations are left out: they take what the search takes that they are compared with.
"""

import time
from collections import ChainMap
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from measuring import Row, samples, say, section

from hetspike.data.samples import Samples
from hetspike.documents import read_mapping
from hetspike.networks import build
from hetspike.quantization.quantizer import (
    Choice,
    boundary_choices,
    choices,
    quantize,
    single_scheme,
)
from hetspike.search import SEARCHES, search
from hetspike.search.space import Space
from hetspike.study.study import parse_study
from hetspike.training.loop import fit

CONFIG = Path(__file__).parents[1] / "config"
DATASET = "sim-gestures"


def seconds(work: Callable[[], object]) -> float:
    """Return the processor's seconds of some work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(*, recordings: int) -> list[Row]:
    """Time searches and a QAT run."""
    files = [str(CONFIG / name) for name in ("search.yaml", "stand-ins.yaml")]
    study = parse_study(dict(ChainMap(*map(read_mapping, files))))
    train = samples(DATASET, recordings)
    some = recordings * 3 // 10  # as many as validate in the study
    validation = Samples(train.frames[:some], train.labels[:some])
    torch.manual_seed(0)
    network = build(study.datasets[DATASET].network, int(train.labels.max()) + 1)
    example, _ = train.batch(torch.arange(1))
    boundary = boundary_choices(network, study.boundary_layers, example)
    ternary = quantize(network, single_scheme(network, Choice("uniform", 2), boundary))
    say("QAT")
    qat = seconds(lambda: fit(ternary, train, validation, study.qat, seed=0))
    found = [{"search": "", "candidates": 0, "seconds": qat, "of_qat": 1.0}]
    for row, plan in study.searches.items():
        if plan.against:
            continue
        say(row)
        space = Space.of(network, choices(study.candidates_of(row)), boundary)
        settings = SEARCHES[plan.search](**plan.settings)
        run = partial(search, plan.search, network, train, space, plan.budgets[0])
        spent = seconds(partial(run, settings=settings, seed=0))
        about = {"search": row, "candidates": len(space.candidates)}
        found.append(about | {"seconds": spent, "of_qat": spent / qat})
    return found


if __name__ == "__main__":
    section(measure, recordings=1000)

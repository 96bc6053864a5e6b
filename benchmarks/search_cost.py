"""Seconds of every search over those of one QAT run, in one process: `make bench`."""

import sys
import time
from collections import ChainMap
from collections.abc import Callable

import numpy as np
import torch

from hetspike.data.events import DATASETS
from hetspike.data.frames import frames
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
from hetspike.search import SEARCHES, load
from hetspike.search.space import Space
from hetspike.study.study import parse_study
from hetspike.training.loop import fit


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(*paths: str) -> None:
    torch.set_num_threads(1)
    study = parse_study(dict(ChainMap(*map(read_mapping, reversed(paths)))))
    dataset, plan = next(iter(study.datasets.items()))
    train, validation = (
        Samples(
            torch.from_numpy(np.stack([*frames(recordings, **plan.framing.model_dump())])),
            torch.from_numpy(recordings.labels),
        )
        for split, recordings in DATASETS[dataset](**plan.source).items()
        if split != "test"
    )
    torch.manual_seed(0)
    network = build(plan.network, int(train.labels.max()) + 1)
    example, _ = train.batch(torch.arange(1))
    boundary = boundary_choices(network, study.boundary_layers, example)
    ternary = quantize(network, single_scheme(network, Choice("uniform", 2), boundary))
    qat = seconds(lambda: fit(ternary, train, validation, study.qat, seed=0))
    print(f"{dataset}, {len(train.labels)} recordings, untrained network, one thread")
    print(f"{'one QAT run':36} {qat:6.1f} s")
    for row, search in study.searches.items():
        space = Space.of(
            network,
            choices(study.candidates_of(row)),
            search.budgets[0],
            boundary,
        )
        settings = SEARCHES[search.search](**search.settings)
        spent = seconds(
            lambda search=search, space=space, settings=settings: load(search.search)(
                network, train, space, settings=settings, seed=0
            )
        )
        label = f"{row}, {len(space.candidates)} candidates"
        print(f"{label:36} {spent:6.1f} s  {spent / qat:5.2f} of a QAT run")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Epochs of config/orbit-cifar10.yaml within some minutes: float, then fisher. Used by `gpu`."""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hetspike.data.events import DATASETS
from hetspike.data.events.recordings import Splits
from hetspike.data.frames import event_counts
from hetspike.data.samples import Samples
from hetspike.networks import build
from hetspike.quantization.quantizer import boundary_choices, choices, quantize
from hetspike.search import SEARCHES, search
from hetspike.search.space import Space
from hetspike.settings import Recipe
from hetspike.study.study import Study
from hetspike.training.loop import fit

DATASET, SEARCH = "sim-orbit-cifar10", "fisher"
FLOAT = 0.6  # of the time; the search and QAT take the rest
SLOWER = 1.2  # an epoch than its steps, and one of QAT than one in float

_splits: Splits = {}  # for processes that are forked after it is set


def _frames(job: tuple[str, int, int]) -> NDArray[np.uint8]:
    split, index, steps = job
    recordings = _splits[split]
    counts = event_counts(recordings[index], recordings.sensor_size, steps=steps, slice_by="count")
    return counts.clip(max=255).astype(np.uint8)


def framed(study: Study, folder: str, device: str) -> dict[str, Samples]:
    """Simulate the recordings that train and validate, on all cores; frames go to the device.

    The cores are processes that are forked, so this comes before anything that uses the GPU.
    """
    global _splits
    plan = study.datasets[DATASET]
    _splits = DATASETS[DATASET](**plan.source | {"folder": folder})
    found = {}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("fork")) as cores:
        for split in ("train", "validation"):
            labels = torch.from_numpy(_splits[split].labels)
            jobs = [(split, index, plan.framing.steps) for index in range(len(labels))]
            frames = torch.from_numpy(np.stack([*cores.map(_frames, jobs, chunksize=8)]))
            found[split] = Samples(frames, labels, device)
    return found


def epochs(
    study: Study,
    samples: Mapping[str, Samples],
    a_second: float,
    left: Callable[[], float],
    say: Callable[[str], None],
) -> None:
    """Train in float, search 3.14 bits and fine-tune, in as many epochs as fit.

    a_second  recordings that a step of float training takes in a second
    left      tells how many seconds are left
    """
    train, validation = samples["train"], samples["validation"]
    plan = study.datasets[DATASET]
    torch.manual_seed(0)
    model = build(plan.network, int(train.labels.max()) + 1).to(train.device)

    def learn(network: nn.Module, recipe: Recipe, name: str) -> float:
        """Train; return the seconds of an epoch."""
        start = time.perf_counter()
        fit(
            network,
            train,
            validation,
            recipe,
            seed=0,
            augmentation=plan.augmentation,
            on_epoch=lambda done: say(
                f"{name}, epoch {done.epoch} of {recipe.epochs}: "
                f"training {100 * done.train_accuracy:.1f} %, "
                f"validation {100 * done.validation_accuracy:.1f} %"
            ),
        )
        return (time.perf_counter() - start) / recipe.epochs

    # a validation takes a third of the time of training on as many
    epoch = SLOWER * (len(train.labels) + len(validation.labels) / 3) / a_second
    epoch = learn(
        model, _shortened(study.float_training_of(DATASET), FLOAT * left() / epoch), "float"
    )
    plan_of_search = study.searches[SEARCH]
    example, _ = train.batch(torch.arange(1))
    boundary = boundary_choices(model, study.boundary_layers, example)
    budget = plan_of_search.budgets[0]
    space = Space.of(model, choices(study.candidates_of(SEARCH)), boundary)
    settings = SEARCHES[plan_of_search.search](**plan_of_search.settings)
    assignment = search(
        plan_of_search.search, model, train, space, budget, settings=settings, seed=0
    )
    say(f"{SEARCH}-{budget} has its assignment")
    quantized = quantize(model, assignment)
    learn(quantized, _shortened(study.qat, left() / (SLOWER * epoch)), f"{SEARCH}-{budget}")


def _shortened(recipe: Recipe, most: float) -> Recipe:
    """Return the recipe with as many whole epochs as fit, one at least."""
    count = max(1, min(recipe.epochs, int(most)))
    changes = {"epochs": count, "warmup_epochs": min(1.0, count / 4), "cooldown_epochs": 0}
    return recipe.model_copy(update=changes | {"mixup": None})

"""An estimate of the time, memory and disk that the jobs of a study need on this machine.

A pass is one recording through a network without gradients (`hetspike.inspection.effort`). The
number of passes follows from the configuration and the published sizes of the datasets. The time of
a pass is measured on noise of the same size.
"""

import time
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from hetspike.data.events.catalogue import Extent, extent
from hetspike.errors import UserError
from hetspike.networks import build
from hetspike.search import SEARCHES
from hetspike.settings import PASSES_WITH_GRADIENT, NetworkSettings
from hetspike.study.plans import SearchPlan
from hetspike.study.study import Study

# passes per test recording: counting operations, running on integers, and the network of the
# selected epoch; 3.2 to 3.9 in the logs of the default study
EVALUATION = 4
FEW = 2**20  # values of the frames of a step that is timed on the CPU, which takes about a second
CLASSES = 10  # the time hardly depends on it
DENSITY = 0.1  # events per pixel and step of the noise; the time hardly depends on it
COLUMNS = (
    *("dataset", "recordings", "trainings", "recordings_a_second"),
    *("hours", "memory_gb", "disk_gb"),
)
COMPRESSED = 0.26  # bytes on disk per count: the largest measured, for sim-orbit-cifar10


class Speed(NamedTuple):
    """The speed of one network on one device."""

    seconds: float  # time of a pass
    memory: float  # bytes per recording of a training batch, kept from forward to backward


class Job(NamedTuple):
    """A job that has to run: its rule and its wildcards."""

    rule: str
    dataset: str
    row: str = ""
    search: str = ""


TRAININGS = ("train_float", "quantize")
TRAINED = (
    *TRAININGS,
    "scores",
    "search",
    "watch_test",
)  # rules that use a GPU; all others use the CPU
TIMED = (*TRAINED, "evaluate", "frames")  # rules that need much time or disk space


def passes(study: Study, job: Job, counts: Extent) -> float:
    """Return the passes of a job."""
    recordings = counts.train, counts.validation
    row = next((row for row in study.rows if row.name == job.row), study.rows[0])
    float_training = study.float_training_of(job.dataset, row.times)

    def search_passes(plan: SearchPlan) -> int:
        return SEARCHES[plan.search](**plan.settings).passes(counts.train)

    match job.rule:
        case "train_float":
            return float_training.passes(*recordings)
        case "watch_test":
            return float_training.passes(*recordings) + float_training.epochs * counts.test
        case "quantize":
            qat = study.qat_of(row)
            from_teacher = qat.epochs * counts.train if row.distilled else 0
            return qat.passes(*recordings) + from_teacher
        case "scores":
            return search_passes(study.searches[job.search])
        case "search":
            plan = study.searches[row.method]
            return search_passes(plan) if SEARCHES[plan.search].needs_budget else 0
        case "evaluate":
            return EVALUATION * counts.test
    return 0


@cache
def measured(
    settings: NetworkSettings, steps: int, sensor: tuple[int, int], device: str, batch: int
) -> Speed:
    """Time a training step on recordings of noise, and weigh what its backward pass needs.

    The memory is that of SpikingJelly's modules, as on a GPU; the kernels need less.
    """
    width, height = sensor
    network = build(settings, CLASSES).to(device)
    rates = torch.full((steps, batch, 2, height, width), DENSITY)
    frames = torch.poisson(rates).to(device)
    labels = torch.zeros(batch, dtype=torch.long, device=device)
    kept: dict[int, int] = {}  # address -> bytes of each storage

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        cross_entropy(network(frames), labels)
    memory = sum(kept.values()) / batch
    kept.clear()
    for _ in range(2):  # the first step is slower
        start = time.perf_counter()
        cross_entropy(network(frames), labels).backward()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return Speed(seconds / (batch * PASSES_WITH_GRADIENT), memory)


def estimate(study: Study, jobs: Sequence[Job], workers: int) -> pd.DataFrame:
    """Estimate COLUMNS and the device, with one row per dataset that has jobs.

    workers    number of jobs that run at the same time
    memory_gb  memory that a batch keeps for its backward pass
    disk_gb    size of the frames that will be made

    Raises UserError if a batch does not fit on the GPU.
    """
    device = "cuda" if study.device != "cpu" and torch.cuda.is_available() else "cpu"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for dataset, plan in study.datasets.items():
        own = [job for job in jobs if job.dataset == dataset and job.rule in TIMED]
        if not own:
            continue
        counts = extent(dataset, plan.source)
        if counts is None:
            rows.append({"dataset": dataset})
            continue
        trained = sum(passes(study, job, counts) for job in own if job.rule in TRAINED)
        tested = sum(passes(study, job, counts) for job in own if job.rule == "evaluate")
        batch = study.float_training_of(dataset).batch_size
        values = plan.framing.steps * 2 * counts.sensor[0] * counts.sensor[1]
        recordings = counts.train + counts.validation + counts.test
        task = plan.network, plan.framing.steps, counts.sensor
        on_cpu = training = Speed(0, 0)
        if trained or tested:
            on_cpu = training = measured(*task, "cpu", max(1, min(batch, FEW // values)))
        if trained and device == "cuda":
            try:
                training = measured(*task, device, batch)
            except torch.OutOfMemoryError:
                raise UserError(
                    f"{dataset}: a batch of {batch} takes {batch * on_cpu.memory / 1e9:.1f} GB, "
                    "more than is free on the GPU: set a smaller batch_size"
                ) from None
        seconds = trained * training.seconds / (1 if device == "cuda" else workers)
        seconds += tested * on_cpu.seconds / workers
        rows.append(
            {
                "dataset": dataset,
                "recordings": recordings,
                "trainings": sum(job.rule in TRAININGS for job in own),
                "recordings_a_second": trained and 1 / (training.seconds * PASSES_WITH_GRADIENT),
                "hours": seconds / 3600,
                "memory_gb": batch * training.memory / 1e9 if trained else 0.0,
                "disk_gb": (Job("frames", dataset) in own) * recordings * values * COMPRESSED / 1e9,
            }
        )
    torch.set_num_threads(threads)
    return pd.DataFrame(rows, columns=COLUMNS).assign(device=device)

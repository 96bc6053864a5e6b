"""What a study will take on this machine, before it runs: passes of recordings, timed on a few.

A pass is one recording through a network and nothing learnt; see `hetspike.effort`. How many there
will be follows from the configuration and from what the datasets' publications say of their size;
how long one takes is measured on noise of the same size.
"""

import time
from functools import cache
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from hetspike.config import DnasSettings, Network, SensitivitySettings
from hetspike.effort import PASSES_WITH_GRADIENT, training_passes
from hetspike.errors import UserError
from hetspike.events.published import Extent, extent
from hetspike.model import Spikformer
from hetspike.search import SEARCHES
from hetspike.study import Study

# of a test recording, in forward passes: counted by SpikingJelly, once more on integers, and the
# selected epoch's network; 3.2 to 3.9 by the logs of the default study
EVALUATION = 4
FEW = 2**20  # values of frames in a step that is timed on the CPU: a second or two
CLASSES = 10  # a few more or less take no time
DENSITY = 0.1  # events a pixel and step, of the noise; time hardly depends on it
COLUMNS = (
    *("dataset", "recordings", "trainings", "recordings_a_second"),
    *("hours", "memory_gb", "disk_gb"),
)
COMPRESSED = 0.26  # bytes on disk a count; 0.13 to 0.26, the most of sim-orbit-cifar10


class Speed(NamedTuple):
    """Of one network on one device."""

    seconds: float  # a pass
    memory: float  # bytes a recording of a training batch, kept from forward to backward


def passes(study: Study, dataset: str, counts: Extent) -> tuple[float, float]:
    """Passes of trainings and searches, and of test recordings, for one seed."""
    recordings = counts.train, counts.validation
    trained = training_passes(study.float_training_of(dataset), *recordings)
    rows = len(study.cells) - 1  # all but float are tuned
    tuned = rows * training_passes(study.qat, *recordings)
    taught = sum(cell.distilled for cell in study.cells) * study.qat.epochs * counts.train
    searched = 0
    for cell in study.cells:
        if cell.searched and not cell.distilled:
            plan = study.searches[cell.method]
            settings = SEARCHES[plan.search](**plan.settings)
            if isinstance(settings, SensitivitySettings):
                searched += PASSES_WITH_GRADIENT * min(settings.recordings, counts.train)
            elif isinstance(settings, DnasSettings):
                searched += training_passes(settings.recipe, counts.train, 0)
    return trained + tuned + taught + searched, EVALUATION * len(study.cells) * counts.test


@cache
def measured(size: Network, steps: int, sensor: tuple[int, int], device: str, batch: int) -> Speed:
    """Of a training step on recordings of noise, the second of two."""
    width, height = sensor
    network = Spikformer(CLASSES, **size.model_dump()).to(device)
    rates = torch.full((steps, batch, 2, height, width), DENSITY)
    frames = torch.poisson(rates).to(device)
    labels = torch.zeros(batch, dtype=torch.long, device=device)
    held: dict[int, int] = {}  # memory that backward needs: address -> bytes

    def hold(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    for _ in range(2):  # the first one also sets things up
        start = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
            loss = cross_entropy(network(frames), labels)
        memory = sum(held.values()) / batch
        held.clear()
        loss.backward()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return Speed(seconds / (batch * PASSES_WITH_GRADIENT), memory)


def estimate(study: Study, workers: int) -> pd.DataFrame:
    """COLUMNS and the device, a row a dataset; hours are those of so many jobs at once.

    Memory is what a batch keeps for its backward pass, disk that of the frames. Raises UserError
    where a batch does not fit a GPU.
    """
    device = "cuda" if study.device != "cpu" and torch.cuda.is_available() else "cpu"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for dataset, plan in study.datasets.items():
        counts = extent(dataset, plan.source)
        if counts is None:
            rows.append({"dataset": dataset})
            continue
        batch = study.float_training_of(dataset).batch_size
        values = plan.framing.steps * 2 * counts.sensor[0] * counts.sensor[1]
        few = max(1, min(batch, FEW // values))
        size = plan.network, plan.framing.steps, counts.sensor
        on_cpu = measured(*size, "cpu", few)
        try:
            training = on_cpu if device == "cpu" else measured(*size, device, batch)
        except torch.OutOfMemoryError:
            raise UserError(
                f"{dataset}: a batch of {batch} takes {batch * on_cpu.memory / 1e9:.1f} GB, more "
                "than is free on the GPU: set a smaller batch_size"
            ) from None
        trained, tested = passes(study, dataset, counts)
        seconds = trained * training.seconds / (1 if device == "cuda" else workers)
        seconds += tested * on_cpu.seconds / workers
        rows.append(
            {
                "dataset": dataset,
                "recordings": counts.train + counts.validation + counts.test,
                "trainings": len(study.seeds) * len(study.cells),
                "recordings_a_second": 1 / (training.seconds * PASSES_WITH_GRADIENT),
                "hours": len(study.seeds) * seconds / 3600,
                "memory_gb": batch * training.memory / 1e9,
                "disk_gb": sum(counts[:3]) * values * COMPRESSED / 1e9,
            }
        )
    torch.set_num_threads(threads)
    return pd.DataFrame(rows, columns=COLUMNS).assign(device=device)

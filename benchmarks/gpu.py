"""What one GPU does with the paper's network, in eight minutes at most: run by hand, on a GPU.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --seconds 300 --images data/raw

Recordings a second in float and QAT, with other memory formats, precisions and neurons, from frames
in either memory, and as a CUDA graph; what bounds them; then as many epochs of
config/orbit-cifar10.yaml as fit into the rest of the time, in float and at 3.14 bits by fisher. For
these the archive of CIFAR-10 must be in the folder of --images. Without a GPU everything runs at a
tiny size, which shows that the script works.
"""

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from gpu_epochs import epochs, framed
from gpu_steps import (
    Size,
    Step,
    bound,
    fetched,
    graphed,
    network,
    neurons,
    noise,
    profiled,
    steps,
    timed,
    training,
)

from hetspike.data.samples import Samples
from hetspike.documents import read_mapping
from hetspike.errors import shortened
from hetspike.settings import SpikformerSettings
from hetspike.study.study import Study, parse_study

STUDY = Path(__file__).parents[1] / "config/orbit-cifar10.yaml"
DATASET = "sim-orbit-cifar10"
# how SpikingJelly is told which of its neurons to use on a GPU; it reads this when it is imported
NEURONS = "SJ_LIF_CUDA_IMPLEMENTATION"
PER_CORE = 30  # images of a class: 300 recordings, which a core simulates in about two minutes
POOLS = (True, True, True, False)
TINY = SpikformerSettings(
    architecture="spikformer", width=32, depth=1, heads=2, mlp_ratio=2, pools=POOLS
)
T = TypeVar("T")
BEGAN = time.monotonic()


def say(line: str) -> None:
    """Print a line with the time since the start."""
    minutes, seconds = divmod(int(time.monotonic() - BEGAN), 60)
    print(f"[{minutes}:{seconds:02}] {line}", flush=True)


def at_size(study: Study, on_gpu: bool) -> Study:
    """Return the study with as many images as can be simulated, or at a tiny size for a CPU."""
    plan = study.datasets[DATASET]
    source = plan.source | {"per_class": min(1000, PER_CORE * (os.cpu_count() or 1))}
    changes: dict[str, Any] = {"source": source}
    if not on_gpu:
        changes["source"] = plan.source | {"per_class": 10, "size": 32}
        changes["network"] = TINY
        changes["framing"] = plan.framing.model_copy(update={"steps": 2})
    return study.model_copy(update={"datasets": {DATASET: plan.model_copy(update=changes)}})


def size_of(study: Study, device: str) -> Size:
    """Return what is measured on a device."""
    plan = study.datasets[DATASET]
    network = plan.network.model_dump(exclude={"architecture"})
    on_gpu = device == "cuda"
    side, batch, seconds = (128, 16, 3.0) if on_gpu else (32, 2, 0.01)
    return Size(device, network, plan.framing.steps, side, batch, seconds)


def attempt(name: str, work: Callable[[], T]) -> T | None:
    """Do some work; where that fails, say so and go on, since a GPU is not at hand every day."""
    try:
        return work()
    except Exception as error:
        say(f"{name}: {type(error).__name__}: {shortened(str(error), 200)}")
        return None


def measure(size: Size) -> float | None:
    """Print speeds and what bounds them; return the seconds of a float step."""
    batch = noise(size, size.batch).batch(torch.arange(size.batch))

    def speed(name: str, make: Callable[[], Step]) -> float | None:
        if size.on_gpu:
            torch.cuda.reset_peak_memory_stats()
        seconds = attempt(name, lambda: timed(size, make()))
        if seconds:
            memory = torch.cuda.max_memory_allocated() / 1e9 if size.on_gpu else 0
            kept = f", {memory:.1f} GB" if size.on_gpu else ""
            say(f"{name}: {size.batch / seconds:.1f} recordings a second{kept}")
        return seconds

    seconds = {name: speed(name, make) for name, make in steps(size, batch).items()}
    held = noise(size, 8 * size.batch)
    speed("float, frames in the memory of the CPU", lambda: fetched(size, held))
    frames, labels = held.frames[:].to(size.device), held.labels.to(size.device)
    resident = Samples(frames, labels, size.device)
    speed("float, frames in the memory of the device", lambda: fetched(size, resident))
    if size.on_gpu:
        speed("float, as a CUDA graph", lambda: graphed(size, batch))
    if a_step := seconds["float"]:
        bounds = attempt("what bounds it", lambda: bound(size, batch, a_step)) or {}
        for name, value in bounds.items():
            say(f"{name}: {value:.3g}")
    say(attempt("profile", lambda: profiled(size, batch)) or "no profile")
    return seconds["float"]


def one_kind_of_neurons(size: Size) -> None:
    """Print the speed with the neurons that the environment names."""
    batch = noise(size, size.batch).batch(torch.arange(size.batch))
    speed = size.batch / timed(size, training(network(size), batch))
    say(f"float, neurons by {neurons(size)}: {speed:.1f} recordings a second")


def main() -> None:
    """Measure, then train in what is left of the time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=480, help="for everything; 480 if not given")
    parser.add_argument("--images", default="data/raw", help="folder with CIFAR-10's archive")
    parser.add_argument("--neurons", action="store_true", help=f"only a step, with {NEURONS}")
    given = parser.parse_args()
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    study = at_size(parse_study(read_mapping(str(STUDY))), device == "cuda")
    size = size_of(study, device)
    if given.neurons:
        return one_kind_of_neurons(size)
    samples = None
    if list(Path(given.images).glob("cifar-10-binary.tar.gz")):
        samples = framed(study, given.images, device)
        say(f"{len(samples['train'].labels)} recordings to train with were simulated")
    say(f"torch {torch.__version__}, {torch.cuda.get_device_name() if size.on_gpu else device}")
    say(f"neurons by {neurons(size)}")
    for kind in ("torch", "triton", "cuda") if size.on_gpu else ():
        command = [sys.executable, __file__, "--neurons"]
        environment = os.environ | {NEURONS: kind}
        try:
            run = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=60
            )
            said = run.stderr if run.returncode else run.stdout
        except subprocess.TimeoutExpired as error:
            said = str(error)
        say(f"{kind}: {said.strip().splitlines()[-1]}")
    seconds = measure(size)
    if samples is None or seconds is None:
        return say(f"no cifar-10-binary.tar.gz in {given.images}, or no step: no epochs")
    a_second = size.batch / seconds
    epochs(study, samples, a_second, lambda: given.seconds - (time.monotonic() - BEGAN), say)


if __name__ == "__main__":
    main()

"""A step of training and an evaluation, which load what jobs need: `python -m hetspike.study.warm`.

A network's kernels are compiled where they never were, and loaded else. Command-line arguments are
the configurations of studies, whose networks are tried.
"""

import sys
from collections.abc import Callable, Iterable
from functools import partial

import torch

from hetspike.cost.operations import predict_and_count
from hetspike.data.samples import Samples
from hetspike.documents import read_mapping
from hetspike.kernels.compiled import is_compiled
from hetspike.networks import build, network_settings
from hetspike.packed.engine import Engine, runs_on_integers
from hetspike.packed.packing import load_packed, pack
from hetspike.quantization.quantizer import Choice, quantize, single_scheme
from hetspike.settings import NetworkSettings

FRAMES = (2, 8, 2, 32, 32)  # [T, B, C, H, W]
CLASSES = 10


def warm_up(networks: Iterable[NetworkSettings], say: Callable[[str], None]) -> None:
    """Train each network a step, in float and at 4 bits, and evaluate it packed."""
    if not is_compiled():
        say("compiling the kernels, once: some 30 s")
    frames = torch.randint(3, FRAMES)
    samples = Samples(frames.transpose(0, 1).byte(), torch.zeros(FRAMES[1], dtype=torch.long))
    for settings in networks:
        network = build(settings, CLASSES)
        for model in (network, quantize(network, single_scheme(network, Choice("uniform", 4), {}))):
            optimizer = torch.optim.AdamW(model.parameters(), fused=True)  # imports for seconds
            model.train()(frames.float()).sum().backward()
            optimizer.step()
        content = pack(model.eval(), frames.float(), network=settings.model_dump(), classes=CLASSES)
        model, packed = load_packed(content)
        predict_and_count(model, samples, packed.assignment)
        if runs_on_integers(packed):
            Engine(packed).run(samples.frames)


def main(*configurations: str) -> None:
    torch.set_num_threads(1)
    plans = [plan for each in configurations for plan in read_mapping(each)["datasets"].values()]
    warm_up((network_settings(plan["network"]) for plan in plans), partial(print, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])

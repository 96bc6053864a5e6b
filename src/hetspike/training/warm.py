"""A step of training, which loads all that a training needs: `python -m hetspike.training.warm`.

A network's kernels are compiled where they never were, and loaded else. Command-line arguments are
the configurations of studies, whose networks take the step.
"""

import sys
from collections.abc import Iterable

import torch

from hetspike.documents import read_mapping
from hetspike.kernels.compiled import is_compiled
from hetspike.networks import build, network_settings
from hetspike.quantization.quantizer import Choice, quantize, single_scheme
from hetspike.settings import NetworkSettings

FRAMES = (2, 8, 2, 32, 32)  # [T, B, C, H, W]


def warm_up(networks: Iterable[NetworkSettings]) -> None:
    """Take a step with each network in float and at 4 bits, and a pass without gradients."""
    if not is_compiled():
        print("compiling the kernels, once: some 30 s", flush=True)
    frames = torch.randint(3, FRAMES).float()
    for settings in networks:
        network = build(settings, classes=10)
        for model in (network, quantize(network, single_scheme(network, Choice("uniform", 4), {}))):
            optimizer = torch.optim.AdamW(model.parameters(), fused=True)  # imports for seconds
            model.train()(frames).sum().backward()
            optimizer.step()
            with torch.no_grad():
                model.eval()(frames)


def main(*configurations: str) -> None:
    torch.set_num_threads(1)
    plans = [plan for each in configurations for plan in read_mapping(each)["datasets"].values()]
    warm_up(network_settings(plan["network"]) for plan in plans)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Files as the trainings of a study and its framing leave them, small."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hetspike.data.samples import store
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.packed.checkpoint import trained_bytes
from hetspike.quantization.quantizer import Choice, quantize

SIZE: dict[str, Any] = {"width": 16, "depth": 1, "heads": 2, "mlp_ratio": 4, "pools": [False] * 4}
NETWORK = {"architecture": "spikformer", **SIZE}
CLASSES = 3


def write_trained(path: Path, **assignment: Choice) -> None:
    """A network as the workflow's trainings write it; other layers have three bits, uniform."""
    torch.manual_seed(11)  # the classes differ from recording to recording
    model = Spikformer(CLASSES, **SIZE)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.constant_(module.running_var, 0.01)  # so that neurons spike in every layer
    nn.init.zeros_(model.head.bias)  # and decide the class
    choices = dict.fromkeys(quantizable_layers(model), Choice("uniform", 3)) | assignment
    about = {"classes": CLASSES, "network": NETWORK, "assignment": choices}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(trained_bytes(quantize(model, choices), about))


def write_frames(path: Path, count: int = 12) -> torch.Tensor:
    """Recordings as the workflow frames them; every third has the label 0."""
    generator = torch.Generator().manual_seed(0)
    rates = torch.linspace(0.1, 3, count).view(-1, 1, 1, 1, 1)
    frames = torch.poisson(rates.expand(-1, 3, 2, 8, 8), generator).byte()
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.arange(count) % CLASSES
    if path.suffix == ".zip":  # as a study keeps them
        with path.open("wb") as file:
            store(file, frames.numpy(), labels, [f"class {label}" for label in range(CLASSES)])
    else:
        np.savez(path, frames=frames.numpy(), labels=labels)
    return frames

"""A small spiking network and recordings that it takes."""

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from hetspike.data.samples import Samples


class Spiking(nn.Module):
    """A convolution, a batch norm, neurons and a classifier, whose weights are always the same."""

    def __init__(self, classes: int) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.conv = layer.Conv2d(2, 4, 3, padding=1, step_mode="m")
        self.norm = layer.BatchNorm2d(4, step_mode="m")
        self.lif = neuron.LIFNode(step_mode="m")
        self.head = layer.Linear(4, classes, step_mode="m")

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Frames [T, B, 2, H, W] -> [T, B, 4], from the state that the neurons are in."""
        return self.lif(self.norm(self.conv(x))).mean((3, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        functional.reset_net(self)
        return self.head(self.features(x)).mean(0)


def recordings(count: int, *, steps: int, classes: int) -> Samples:
    """Frames of 4 x 4, drawn at random; the labels take turns."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 3, (count, steps, 2, 4, 4), generator=generator, dtype=torch.uint8)
    return Samples(frames, torch.arange(count) % classes)

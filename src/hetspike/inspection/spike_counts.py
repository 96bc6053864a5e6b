"""The spikes of every single neuron, counted in the pass that counts operations."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hetspike.errors import UserError
from hetspike.inspection.watch import Watch

BYTE = 255  # its largest number


class SpikeCounts(NamedTuple):
    """What the neurons of a layer did, a neuron being a channel at a position.

    spikes  number of spikes of each neuron [N]
    steps   number of steps of all recordings, in each of which a neuron may spike
    """

    spikes: NDArray[np.float64]
    steps: int


class NeuronWatch(Watch):
    """A `Watch` that also counts the spikes of every single neuron.

    >>> from spikingjelly.activation_based import neuron
    >>> model = nn.Sequential(neuron.IFNode(step_mode="m"))
    >>> with torch.no_grad(), NeuronWatch(model) as seen:
    ...     _ = model(torch.tensor([[[1.0, 0.5, 0.0]], [[1.0, 0.5, 0.0]]]))  # [T, B, C]
    >>> seen.counts["0"].spikes.tolist(), seen.counts["0"].steps
    ([2.0, 1.0, 0.0], 2)
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.counts: dict[str, SpikeCounts] = {}  # in the order of execution

    def see_neurons(self, neurons: nn.Module, spikes: Tensor) -> None:
        super().see_neurons(neurons, spikes)
        images = spikes.flatten(0, 1) if neurons.step_mode == "m" else spikes
        name = self._names[neurons] or type(neurons).__name__
        summed, steps = _sum(images), len(images)
        before = self.counts.get(name, SpikeCounts(np.zeros_like(summed), 0))
        if before.spikes.shape != summed.shape:
            raise UserError(
                f"the neurons {name} run on values of two shapes: give each place neurons of its "
                "own"
            )
        self.counts[name] = SpikeCounts(before.spikes + summed, before.steps + steps)


def _sum(spikes: Tensor) -> NDArray[np.float64]:
    """Add up spikes [I, C, ...] of all images: [N]."""
    if spikes.dtype is not torch.uint8:  # of modules; a batch has less than 2^24, which is exact
        return spikes.sum(0).flatten().double().cpu().numpy()
    # of kernels, 0 or 1: bytes hold 255 of them, and add up a hundred times faster than numbers do
    images = spikes.numpy()
    parts = [images[i : i + BYTE].sum(0, dtype=np.uint8) for i in range(0, len(images), BYTE)]
    return np.sum(parts, axis=0, dtype=np.float64).flatten()

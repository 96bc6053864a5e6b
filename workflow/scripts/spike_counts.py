"""The spikes of every neuron of an evaluated network, on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from reading import foreign, read_arrays

from hetspike.atomic import sealed

if TYPE_CHECKING:  # it needs torch, which takes seconds
    from hetspike.inspection.spike_counts import SpikeCounts

NAMES = ("layers", "neurons", "steps", "spikes")


def write_counts(path: str, counts: Mapping[str, SpikeCounts]) -> None:
    """Write the spikes of all neurons, layer behind layer, and how many each layer has."""
    layers = [*counts.values()]
    arrays = {
        "layers": np.array([*counts], str),
        "neurons": np.array([len(each.spikes) for each in layers], np.int64),
        "steps": np.array([each.steps for each in layers], np.int64),
        # exact below 2^24 steps
        "spikes": np.concatenate([np.empty(0), *(each.spikes for each in layers)], dtype="f4"),
    }
    with sealed(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_rates(path: str) -> dict[str, NDArray[np.float64]]:
    """Layer -> firing rate of each of its neurons [N], spikes per step."""
    layers, neurons, steps, spikes = read_arrays(path, *NAMES).values()
    try:
        if len(spikes) != neurons.sum():
            raise ValueError(f"{len(spikes)} neurons in the place of {neurons.sum()}")
        *parts, _ = np.split(spikes.astype(np.float64), neurons.cumsum())
        of_layers = zip(layers, parts, steps, strict=True)
        return {str(layer): part / each for layer, part, each in of_layers}
    except (TypeError, ValueError) as error:
        raise foreign(path, error) from None

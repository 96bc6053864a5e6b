"""The registry of datasets. A dataset is one function; its keyword arguments are its settings.

To add a dataset, write a function that returns `recordings.Splits` and name it in `DATASETS`. The
functions import heavy libraries themselves, so that importing the registry is fast.
"""

from collections.abc import Callable

from hetspike.data.events.characters import saccade_characters
from hetspike.data.events.gestures import gestures
from hetspike.data.events.orbit_images import orbit_cifar10
from hetspike.data.events.recorded_gestures import dvs_gesture
from hetspike.data.events.recorded_images import cifar10_dvs, n_caltech101, nmnist
from hetspike.data.events.recordings import Splits
from hetspike.data.events.textures import orbit_textures

DATASETS: dict[str, Callable[..., Splits]] = {
    "sim-saccade-characters": saccade_characters,
    "sim-gestures": gestures,
    "sim-orbit-textures": orbit_textures,
    "sim-orbit-cifar10": orbit_cifar10,
    "nmnist": nmnist,
    "n-caltech101": n_caltech101,
    "cifar10-dvs": cifar10_dvs,
    "dvs-gesture": dvs_gesture,
}

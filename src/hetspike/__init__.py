"""Spiking transformers on heterogeneous uniform and power-of-two weights: what users call.

    Samples, Recipe, fit        recordings, a training schedule, the training
    Choice, choose, quantize    a scheme and bits, one for each layer under a budget, QAT's network
    measure                     what every operation stores and costs
    pack, unpack, load, run     a file to ship: made, read into a module, run on integers

docs/YOUR_MODEL.md shows them on a network that is not ours. A name is looked up when it is used
first [PEP 562], so that importing the package, or one module of it, stays cheap.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Choice": "quantizer.Choice",
    "Recipe": "config.Recipe",
    "Samples": "samples.Samples",
    "choose": "api.choose",
    "fit": "train.fit",
    "load": "packing.load_packed",
    "measure": "api.measure",
    "pack": "packing.pack",
    "quantize": "quantizer.quantize",
    "run": "api.run",
    "unpack": "packing.unpack",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # as installed: pyproject.toml is the one place that says it
        return import_module("importlib.metadata").version("hetspike")
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module, attribute = _HOMES[name].split(".")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

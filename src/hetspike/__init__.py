"""Spiking transformers on heterogeneous uniform and power-of-two weights: what users call.

    Samples, Recipe, fit        recordings, a training schedule, the training
    Choice, choose, quantize    a scheme and bits, one for each layer under a budget, QAT's network
    pack, unpack, load, run     a file to ship: written, read into a module, run on integers
    measure                     what every operation stores and costs
    effective_bits, model_bits  sizes of what `measure` found
    logits_of, accuracy         answers of a network, and how many of them are right
    quantizable_layers          the layers of a network that a search can choose for
    UserError                   what all of these raise for bad input: one line, a ValueError

docs/YOUR_MODEL.md shows them on a network that is not ours. A name is imported at its first use
[PEP 562]: the workflow starts many small processes, and most of them never need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers, which do not look up names
    from hetspike.api import choose as choose
    from hetspike.api import measure as measure
    from hetspike.api import run as run
    from hetspike.cost.sizes import effective_bits as effective_bits
    from hetspike.cost.sizes import model_bits as model_bits
    from hetspike.data.samples import Samples as Samples
    from hetspike.errors import UserError as UserError
    from hetspike.inspection.inference import accuracy as accuracy
    from hetspike.inspection.inference import logits_of as logits_of
    from hetspike.inspection.layers import quantizable_layers as quantizable_layers
    from hetspike.packed.packing import load_packed
    from hetspike.packed.packing import pack as pack
    from hetspike.packed.packing import unpack as unpack
    from hetspike.quantization.quantizer import Choice as Choice
    from hetspike.quantization.quantizer import quantize as quantize
    from hetspike.settings import DnasSettings as DnasSettings
    from hetspike.settings import Recipe as Recipe
    from hetspike.settings import SensitivitySettings as SensitivitySettings
    from hetspike.training.loop import fit as fit

    load = load_packed

_HOMES = {
    "Choice": "quantization.quantizer.Choice",
    "DnasSettings": "settings.DnasSettings",
    "Recipe": "settings.Recipe",
    "Samples": "data.samples.Samples",
    "SensitivitySettings": "settings.SensitivitySettings",
    "UserError": "errors.UserError",
    "accuracy": "inspection.inference.accuracy",
    "choose": "api.choose",
    "effective_bits": "cost.sizes.effective_bits",
    "fit": "training.loop.fit",
    "load": "packed.packing.load_packed",
    "logits_of": "inspection.inference.logits_of",
    "measure": "api.measure",
    "model_bits": "cost.sizes.model_bits",
    "pack": "packed.packing.pack",
    "quantizable_layers": "inspection.layers.quantizable_layers",
    "quantize": "quantization.quantizer.quantize",
    "run": "api.run",
    "unpack": "packed.packing.unpack",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # as installed: pyproject.toml is the one place that says it
        return import_module("importlib.metadata").version("hetspike")
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

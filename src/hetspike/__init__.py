"""The Python interface of hetspike: spiking transformers with uniform and power-of-two weights.

    Samples                     framed recordings with their labels
    Recipe, fit                 a training schedule, and the training
    Choice                      a scheme and bits for one layer
    choose                      a search of a choice for every layer, within a budget of bits
    quantize                    a copy of a network with quantizers, ready for QAT
    pack, unpack, load          write a network to a file; read a file into a module
    run                         run a packed file on integers
    measure                     what every operation stores and costs, as a table
    effective_bits, model_bits  mean bits, computed from that table
    logits_of, accuracy         logits of a network, and the fraction of right predictions
    quantizable_layers          the layers of a network that can be quantized
    UserError                   the exception for bad input: a ValueError whose message is one line

docs/YOUR_MODEL.md uses these functions on a network from another library. A name is imported when
it is first used [PEP 562], because the workflow starts many small processes and most of them do
not need torch.
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
        # read from the installed package: only pyproject.toml states the version
        return import_module("importlib.metadata").version("hetspike")
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

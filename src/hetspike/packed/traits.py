"""Traits: settings of modules that are not in a state dict.

Neurons with another leak, layers with another stride and norms with another epsilon have tensors of
the same shapes. So a file contains the settings of its network's modules, and reading the file
compares them with those of the network that it is read into.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from spikingjelly.activation_based import layer, surrogate
from torch import Tensor, nn

from hetspike.errors import UserError

# modules that compute nothing in evaluation mode
SILENT = (nn.Identity, nn.Dropout, layer.Dropout, surrogate.SurrogateFunctionBase)
# attributes that follow from the shapes of tensors, or have no effect in evaluation mode
LEFT_OUT = {
    *vars(nn.Module()),
    *("in_channels", "out_channels", "in_features", "out_features", "num_features"),
    *("affine", "track_running_stats", "momentum", "p", "inplace"),
    *("transposed", "output_padding", "return_indices", "detach_reset", "v_seq", "lava_s_cale"),
}


class Traits(NamedTuple):
    """Settings, and the names of the modules that have them."""

    settings: dict[str, Any]
    modules: tuple[str, ...]


def traits(model: nn.Module) -> list[Traits]:
    """Collect the settings of the modules of a model with plain weights.

    Settings are attributes with plain values. A module without submodules also has the setting
    `class`, the name of its class.
    """
    names: dict[str, list[str]] = {}
    distinct: dict[str, dict[str, Any]] = {}
    for name, module in model.named_modules():
        settings = settings_of(module)
        # the class of a module with submodules may differ without an effect
        if all(isinstance(child, SILENT) for child in module.children()):
            settings = {"class": type(module).__name__, **settings}
        if isinstance(module, SILENT) or not settings:
            continue
        distinct[repr(settings)] = settings
        names.setdefault(repr(settings), []).append(name)
    return [Traits(settings, tuple(names[key])) for key, settings in distinct.items()]


def settings_of(module: nn.Module) -> dict[str, Any]:
    """Return the public attributes of a module that are plain values."""
    settings = {
        key: _plain(value)
        for key, value in vars(module).items()
        if not key.startswith("_") and key not in LEFT_OUT and _is_plain(value)
    }
    if mode := getattr(module, "step_mode", None):  # in SpikingJelly a property, not an attribute
        settings["step_mode"] = mode
    return settings


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(each) for each in value)
    if isinstance(value, Tensor):
        return value.numel() == 1
    return value is None or isinstance(value, bool | int | float | str | np.generic)


def _plain(value: Any) -> Any:
    """Return a plain value in types of JSON."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Tensor | np.generic):
        value = value.item()
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def check_traits(model: nn.Module, expected: list[Traits]) -> None:
    """Raise UserError if a module has other settings than in a file; the message names it.

    Attributes that only one of the two has are ignored, since some are set when a module runs.
    """
    remaining = {name: settings for settings, names in traits(model) for name in names}
    for settings, names in expected:
        for name in names:
            if name not in remaining:
                raise UserError(f"the file's network has a module {name}, which this one lacks")
            own = remaining.pop(name)
            for key in settings.keys() & own.keys():
                if own[key] != settings[key]:
                    raise UserError(
                        f"module {name} has the {key} {settings[key]} in the file's network and "
                        f"{own[key]} in this one: build it as the file's was built"
                    )
    if remaining:
        name = next(iter(remaining))
        raise UserError(f"this network has a module {name}, which the file's lacks")

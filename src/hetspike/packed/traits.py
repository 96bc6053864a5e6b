"""Traits: settings of modules that no state dict carries.

Neurons that differ in their leak, layers in their stride, norms in what they add to a variance: all
have tensors of the same shapes. A file says the settings of its network's modules, and they are
compared with those of the network that it is read into.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from spikingjelly.activation_based import layer, surrogate
from torch import Tensor, nn

from hetspike.errors import UserError

# what an evaluation does not pass, or passes as through nothing
SILENT = (nn.Identity, nn.Dropout, layer.Dropout, surrogate.SurrogateFunctionBase)
# said by the shapes of tensors, or without a part in what an evaluation computes
LEFT_OUT = {
    *vars(nn.Module()),
    *("in_channels", "out_channels", "in_features", "out_features", "num_features"),
    *("affine", "track_running_stats", "momentum", "p", "inplace"),
    *("transposed", "output_padding", "return_indices", "detach_reset", "v_seq", "lava_s_cale"),
}


class Traits(NamedTuple):
    """Settings, and the modules that have them."""

    settings: dict[str, Any]
    modules: tuple[str, ...]


def traits(model: nn.Module) -> list[Traits]:
    """Collect the settings of the modules of a model with plain weights.

    Plain values alone are settings, under the names that modules give them; `class` is the
    module's own, of one that holds no others.
    """
    names: dict[str, list[str]] = {}
    found: dict[str, dict[str, Any]] = {}
    for name, module in model.named_modules():
        settings = settings_of(module)
        # a name is all that tells a subclass which only puts others together
        if all(isinstance(each, SILENT) for each in module.children()):
            settings = {"class": type(module).__name__, **settings}
        if isinstance(module, SILENT) or not settings:
            continue
        found[repr(settings)] = settings
        names.setdefault(repr(settings), []).append(name)
    return [Traits(settings, tuple(names[key])) for key, settings in found.items()]


def settings_of(module: nn.Module) -> dict[str, Any]:
    """Return the public attributes of a module that are plain values."""
    settings = {
        key: _plain(value)
        for key, value in vars(module).items()
        if not key.startswith("_") and key not in LEFT_OUT and _is_plain(value)
    }
    if mode := getattr(module, "step_mode", None):  # of SpikingJelly's, behind a property
        settings["step_mode"] = mode
    return settings


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(each) for each in value)
    if isinstance(value, Tensor):
        return value.numel() == 1
    return value is None or isinstance(value, bool | int | float | str | np.generic)


def _plain(value: Any) -> Any:
    """As JSON says it."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Tensor | np.generic):
        value = value.item()
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def check_traits(model: nn.Module, wanted: list[Traits]) -> None:
    """Raise UserError that names the module whose settings differ from those of a file.

    An attribute that one of both lacks is no setting: some are set when a module runs.
    """
    found = {name: settings for settings, names in traits(model) for name in names}
    for settings, names in wanted:
        for name in names:
            if name not in found:
                raise UserError(f"the file's network has a module {name}, which this one lacks")
            own = found.pop(name)
            for key in settings.keys() & own.keys():
                if own[key] != settings[key]:
                    raise UserError(
                        f"module {name} has the {key} {settings[key]} in the file's network and "
                        f"{own[key]} in this one: build it as the file's was built"
                    )
    if found:
        raise UserError(f"this network has a module {next(iter(found))}, which the file's lacks")

"""Networks by name: settings in, a module that maps frames [T, B, C, H, W] to logits out.

A network is one module of this package that ends in an `ARCHITECTURE`. To add one, write the module
and name it here with its settings. The modules are imported by `load` when they are needed, so that
looking up a name stays cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BeforeValidator, SerializeAsAny

from hetspike.errors import shortened
from hetspike.settings import NetworkSettings, SpikformerSettings

if TYPE_CHECKING:
    from torch import nn

NETWORKS: dict[str, type[NetworkSettings]] = {"spikformer": SpikformerSettings}


def dotted_names(layers: list[str]) -> list[tuple[str, str]]:
    """Name layers by themselves: for architectures without names of parts."""
    return [("", layer) for layer in layers]


class Architecture(NamedTuple):
    """What the module of a network defines.

    build           number of classes and the settings, by keyword -> the untrained network
    layer_names     names of layers, in order -> of each the part of the network that it belongs to
                    and a short name, for figures
    integer_logits  network, `packed.engine.Engine`, event counts -> logits; None where the network
                    does not run on integers
    """

    build: Callable[..., nn.Module]
    layer_names: Callable[[list[str]], list[tuple[str, str]]] = dotted_names
    integer_logits: Callable[[Any, Any, Any], Any] | None = None


def load(name: str) -> Architecture:
    """Return the architecture of that name."""
    return import_module(f"{__name__}.{name}").ARCHITECTURE


def network_settings(content: Any) -> NetworkSettings:
    """Check the settings of a network by the class of the architecture that they name.

    Raises ValueError where there is no such architecture, or it has no such settings.
    """
    if isinstance(content, NetworkSettings):
        return content
    name = content.get("architecture") if isinstance(content, Mapping) else None
    if not isinstance(name, str) or name not in NETWORKS:
        raise ValueError(
            f"no architecture '{shortened(str(name))}': name one of {', '.join(NETWORKS)}"
        )
    return NETWORKS[name].model_validate(content)


# a field of settings that holds the settings of any network
AnyNetwork = Annotated[SerializeAsAny[NetworkSettings], BeforeValidator(network_settings)]


def build(settings: NetworkSettings, classes: int) -> nn.Module:
    """Build an untrained network. Its weights are random: seed torch first."""
    options = settings.model_dump(exclude={"architecture"})
    return load(settings.architecture).build(classes, **options)

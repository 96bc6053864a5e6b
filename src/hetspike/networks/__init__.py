"""The registry of architectures, which map frames [T, B, C, H, W] to logits [B, classes].

An architecture is one module of this package that defines `ARCHITECTURE`. To add one, write the
module and name it in `NETWORKS` with its settings class. `load` imports a module when it is needed,
so that importing the registry is fast.
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
    """Return no part and the full name for each layer: the default of `Architecture`."""
    return [("", layer) for layer in layers]


class Architecture(NamedTuple):
    """The functions of an architecture.

    build           number of classes, and the settings as keywords -> the untrained network
    layer_names     names of all layers, in order -> for each layer the part of the network that it
                    belongs to and a short name, for figures
    integer_logits  network, `packed.engine.Engine`, event counts -> logits; None if the network
                    does not run on integers
    """

    build: Callable[..., nn.Module]
    layer_names: Callable[[list[str]], list[tuple[str, str]]] = dotted_names
    integer_logits: Callable[[Any, Any, Any], Any] | None = None


def load(name: str) -> Architecture:
    """Import and return the architecture of this name."""
    return import_module(f"{__name__}.{name}").ARCHITECTURE


def network_settings(content: Any) -> NetworkSettings:
    """Return the settings of a network, checked by the settings class of their architecture.

    Raises ValueError for an unknown architecture and for wrong settings.
    """
    if isinstance(content, NetworkSettings):
        return content
    name = content.get("architecture") if isinstance(content, Mapping) else None
    if not isinstance(name, str) or name not in NETWORKS:
        raise ValueError(
            f"no architecture '{shortened(str(name))}': name one of {', '.join(NETWORKS)}"
        )
    return NETWORKS[name].model_validate(content)


# the type of a field for the settings of any network
AnyNetwork = Annotated[SerializeAsAny[NetworkSettings], BeforeValidator(network_settings)]


def build(settings: NetworkSettings, classes: int) -> nn.Module:
    """Build an untrained network. Its weights are random, so seed torch first."""
    options = settings.model_dump(exclude={"architecture"})
    return load(settings.architecture).build(classes, **options)

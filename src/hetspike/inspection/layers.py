"""The quantizable layers of any network, and copies of networks."""

import copy

from spikingjelly.activation_based import functional
from torch import Tensor, nn

from hetspike.errors import UserError, said

Synapses = nn.Conv1d | nn.Conv2d | nn.Linear


def quantizable_layers(model: nn.Module) -> dict[str, Synapses]:
    """Return name -> layer of all convolutions and linear layers, in the order of the model."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, Synapses)}


def copied(model: nn.Module) -> nn.Module:
    """Copy a model. The neurons of both are reset, because a state with gradients cannot be copied.

    Raises UserError if a module has another attribute that cannot be copied.
    """
    functional.reset_net(model)
    try:
        return copy.deepcopy(model)
    except (RuntimeError, TypeError) as error:
        kept = [
            f"{name}.{attribute}".removeprefix(".")
            for name, module in model.named_modules()
            for attribute, value in vars(module).items()
            if isinstance(value, Tensor) and value.grad_fn is not None
        ]
        about = f"detach what it keeps in {kept[0]}" if kept else said(error)
        raise UserError(f"the network cannot be copied: {about}") from error

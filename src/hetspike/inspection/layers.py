"""Layers of any network that hold weights, and copies of networks."""

import copy

from spikingjelly.activation_based import functional
from torch import Tensor, nn

from hetspike.errors import UserError, said

Synapses = nn.Conv1d | nn.Conv2d | nn.Linear


def quantizable_layers(model: nn.Module) -> dict[str, Synapses]:
    """Convolutions and linear layers by their name in the model, in the model's order."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, Synapses)}


def copied(model: nn.Module) -> nn.Module:
    """A copy, its neurons and the model's at rest: a state with gradients cannot be copied.

    Raises UserError where a module keeps something else that cannot be copied.
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

"""Checks for numbers that are not finite, with the place where they occur first.

The loss does not reveal them: a neuron whose potential is not a number does not spike, and a
network of such neurons has a finite loss. So the checks read the weights and statistics themselves.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hetspike.errors import UserError

REMEDY = "start again with a lower learning_rate, or a longer warm-up"


def numbers_of(model: nn.Module) -> dict[str, Tensor]:
    """Return floating-point parameters and buffers, named by their layers."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {_plain(name): each for name, each in tensors.items() if each.is_floating_point()}


def _plain(name: str) -> str:
    """Return a tensor's name without the parts that torch adds for parametrizations.

    >>> _plain("fc1.0.parametrizations.weight.original")
    'fc1.0.weight'
    >>> _plain("fc1.0.parametrizations.weight.0.log_scale")
    'fc1.0.log_scale'
    """
    name = name.replace(".parametrizations.weight.original", ".weight")
    return name.replace(".parametrizations.weight.0", "")


@torch.no_grad()
def check_numbers(named: Mapping[str, Tensor], remedy: str = REMEDY) -> None:
    """Raise UserError that names the first tensor with a number that is not finite.

    If the sum of all numbers is finite, so are they. If not, each tensor is checked, since a sum of
    finite numbers may overflow.
    """
    if not named or torch.cat([each.flatten() for each in named.values()]).sum().isfinite():
        return
    if wrong := [name for name, each in named.items() if not each.isfinite().all()]:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UserError(f"{wrong[0]} is not finite ({_worst(named[wrong[0]])}){more}: {remedy}")


@torch.no_grad()
def check_pass(model: nn.Module, frames: Tensor, logits: Tensor, loss: Tensor) -> None:
    """Raise UserError unless the frames of a batch, their logits and the loss are finite.

    The message names the first layer whose output is not finite.
    """
    if (frames.sum() + logits.sum() + loss).isfinite():
        return
    if not frames.isfinite().all():
        raise UserError(f"the frames are not finite ({_worst(frames)})")
    if not logits.isfinite().all():
        raise UserError(f"{not_finite_logits(model, frames, logits)}: {REMEDY}")
    if not math.isfinite(loss.item()):
        raise UserError(
            f"the loss is {loss.item()}, though the logits are finite up to "
            f"{logits.abs().max().item():.3g}: {REMEDY}"
        )


def not_finite_logits(model: nn.Module, frames: Tensor, logits: Tensor) -> str:
    """Describe logits that are not finite; one more pass finds the first layer that causes them."""
    wrong: list[str] = []

    def look(name: str, output: object) -> None:
        if not wrong and isinstance(output, Tensor) and not output.isfinite().all():
            wrong.append(name)

    hooks = [
        module.register_forward_hook(lambda _, inputs, output, name=name: look(name, output))
        for name, module in model.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            model(frames)
    finally:
        for hook in hooks:
            hook.remove()
    where = f", first after layer {wrong[0]}" if wrong else ""
    return f"the logits are not finite ({_worst(logits)}){where}"


def _worst(values: Tensor) -> str:
    """Return 'nan' if there is one among the values, else 'inf'."""
    return "nan" if values.isnan().any() else "inf"

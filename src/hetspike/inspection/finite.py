"""Numbers that are not finite, located where they occur first.

Spikes hide them: a neuron whose potential is not a number is silent, and silent neurons have a
finite loss. So weights and statistics are looked at themselves. Looking only reads.
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
    """A tensor's name without torch's words for what computes it.

    >>> _plain("fc1.0.parametrizations.weight.original")
    'fc1.0.weight'
    >>> _plain("fc1.0.parametrizations.weight.0.log_scale")
    'fc1.0.log_scale'
    """
    name = name.replace(".parametrizations.weight.original", ".weight")
    return name.replace(".parametrizations.weight.0", "")


@torch.no_grad()
def check_numbers(named: Mapping[str, Tensor], remedy: str = REMEDY) -> None:
    """Raise UserError with the name of the first tensor that is not finite, and how many more.

    One sum tells whether there is any; sums of finite numbers that overflow are looked at again.
    """
    if not named or torch.cat([each.flatten() for each in named.values()]).sum().isfinite():
        return
    if wrong := [name for name, each in named.items() if not each.isfinite().all()]:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UserError(f"{wrong[0]} is not finite ({_worst(named[wrong[0]])}){more}: {remedy}")


@torch.no_grad()
def check_pass(model: nn.Module, frames: Tensor, logits: Tensor, loss: Tensor) -> None:
    """Raise UserError unless the frames of a batch, what the model made of them, and the loss are
    finite; it names the layer after which that ended."""
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
    """Say what is wrong with logits and after which layer it began, by one more pass."""
    began: list[str] = []

    def look(name: str, output: object) -> None:
        if not began and isinstance(output, Tensor) and not output.isfinite().all():
            began.append(name)

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
    where = f", first after layer {began[0]}" if began else ""
    return f"the logits are not finite ({_worst(logits)}){where}"


def _worst(values: Tensor) -> str:
    """'nan' or 'inf', whichever is there."""
    return "nan" if values.isnan().any() else "inf"

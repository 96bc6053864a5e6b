"""Logits of any network, and its accuracy."""

import torch
from torch import Tensor, nn

from hetspike.data.samples import Samples, at_once
from hetspike.errors import UserError
from hetspike.inspection.finite import not_finite_logits
from hetspike.inspection.modes import evaluating


@torch.no_grad()
def answers(model: nn.Module, frames: Tensor) -> Tensor:
    """Compute logits [B, classes] in evaluation mode; running statistics do not change."""
    with evaluating(model):
        return model(frames)


def logits_of(model: nn.Module, samples: Samples, most: int = 64) -> Tensor:
    """Compute logits [R, classes] of all recordings in batches of at most `most`.

    The logits are on the CPU; each batch is on the device of the samples.

    Raises UserError if a logit is not finite; the message names the first layer that causes it.
    """
    logits: list[Tensor] = []
    for frames, _ in samples.batches(at_once(samples.frames, most)):
        logits.append(answers(model, frames).cpu())
        if not logits[-1].isfinite().all():
            with evaluating(model):
                raise UserError(not_finite_logits(model, frames, logits[-1]))
    return torch.cat(logits)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the fraction of recordings whose largest logit is their label."""
    return (logits.argmax(1) == labels).double().mean().item()

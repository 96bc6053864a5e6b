"""Effort: the cost of a search or a training, in recordings that pass through the network.

Seconds differ from run to run and recordings do not, so the costs of a study are as reproducible as
its accuracies. A pass with gradients counts as three passes without.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hetspike.settings import PASSES_WITH_GRADIENT

_COUNTS = ContextVar("counts", default=True)


@contextmanager
def uncounted() -> Iterator[None]:
    """Exclude the passes in the block from the effort, because they only check a network."""
    before = _COUNTS.set(False)
    try:
        yield
    finally:
        _COUNTS.reset(before)


@dataclass
class Effort:
    """The number of recordings passed forward; one with gradients counts PASSES_WITH_GRADIENT."""

    passes: int = 0

    def watch(self, model: nn.Module) -> None:
        """Count the recordings that pass through the model, and through copies made later.

        The first argument of the model is frames [T, B, ...].
        """

        def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
            if _COUNTS.get():
                weight = PASSES_WITH_GRADIENT if torch.is_grad_enabled() else 1
                self.passes += weight * inputs[0].shape[1]

        model.register_forward_hook(count)

"""Effort: the cost of a search or a training, in recordings passed through the network.

Seconds differ from run to run; recordings do not, and so the costs of a study are as reproducible
as its accuracies. A pass with gradients counts as three without.
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
    """Exclude passes from the effort: they only try a network."""
    before = _COUNTS.set(False)
    try:
        yield
    finally:
        _COUNTS.reset(before)


@dataclass
class Effort:
    """Recordings passed forward, those with gradients PASSES_WITH_GRADIENT times."""

    passes: int = 0

    def watch(self, model: nn.Module) -> None:
        """Count what goes through the model and through every copy made of it from now on.

        The model takes frames [T, B, ...] as its first argument.
        """

        def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
            if _COUNTS.get():
                weight = PASSES_WITH_GRADIENT if torch.is_grad_enabled() else 1
                self.passes += weight * inputs[0].shape[1]

        model.register_forward_hook(count)

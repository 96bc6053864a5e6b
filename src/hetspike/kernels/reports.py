"""Reports of what kernels compute, for an observer that counts the operations of a network.

PyTorch tells its modes of every operation on tensors, but not of what a kernel does to arrays. So a
part of a network that runs kernels reports it. It does both in `unseen`, where modes do not see the
few operations on tensors that prepare the arrays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes


class Observer(Protocol):
    """A mode of PyTorch that parts report to. Spikes and other inputs are [T, B, C, ...]."""

    def see_activation(self, values: Tensor) -> None:
        """Note that these values are computed from the frames."""

    def see_layer(self, synapses: nn.Module, weight: Tensor, x: Tensor, spikes: Tensor) -> None:
        """Count the products of a convolution without groups; a spike stands for its sum."""

    def see_attention(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> None:
        """Count the products (q k^T) v of spikes."""

    def see_neurons(self, neurons: nn.Module, spikes: Tensor) -> None:
        """Count the neurons and their spikes."""


OBSERVER: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def unseen() -> Iterator[Observer | None]:
    """Hide a block from all modes; yield the observer that the block reports to, if there is one.

    Without an observer there are no modes where kernels run, and nothing to hide.
    """
    observer = OBSERVER.get()
    if observer is None:
        yield None
        return
    with _disable_current_modes():
        yield observer

"""Training and evaluation mode of each module of a network; frozen modules stay frozen."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode in the block, then restore the mode of each module."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def frozen(model: nn.Module) -> list[nn.Module]:
    """Return the modules that a training leaves in evaluation mode.

    If the model is in training mode, these are its modules in evaluation mode. They are also the
    batch norms whose parameters all have `requires_grad` False: their statistics do not change.
    """
    own = [module for module in model.modules() if model.training and not module.training]
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    learns = {norm: [each.requires_grad for each in norm.parameters()] for norm in norms}
    return own + [norm for norm, each in learns.items() if each and not any(each)]


def set_training(model: nn.Module, still: list[nn.Module]) -> None:
    """Put the model into training mode, except for the modules in `still`."""
    model.train()
    for module in still:
        module.eval()

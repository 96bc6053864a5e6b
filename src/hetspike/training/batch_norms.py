"""Running statistics of batch norms, estimated anew when a training ends.

In QAT, some weights go back and forth between two levels until the end. Running statistics follow
them with a delay, so accuracies of neighbouring epochs differ by much more than the networks do
[Nagel 2022, arXiv 2203.11086, section 3].
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def reestimate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Make running statistics the means of those of the batches, by the weights as they are.

    The model is in training mode. Batch norms in evaluation mode keep their statistics.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    moving = {norm: norm.momentum for norm in norms if norm.training and norm.track_running_stats}
    if not moving:
        return
    for number, frames in enumerate(batches, 1):
        for norm in moving:
            norm.momentum = 1 / number  # the first batch replaces what was there
        model(frames)
    for norm, momentum in moving.items():
        norm.momentum = momentum

"""Random assignments within the budget: the baseline of every search."""

from collections.abc import Callable

import numpy as np
from torch import nn

from hetspike.data.samples import Samples
from hetspike.quantization.quantizer import Choice
from hetspike.search.space import Space
from hetspike.settings import SearchSettings


def search(
    model: nn.Module,
    train: Samples,
    space: Space,
    *,
    settings: SearchSettings,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Choice]:
    """Return the best assignment for random scores; model and recordings are not used.

    The score of each layer and candidate is independent, so that no layer is favoured. As for every
    search, the integer programme uses up the budget.
    """
    scores = np.random.default_rng(seed).random((len(space.weights), len(space.candidates)))
    return space.best(scores)

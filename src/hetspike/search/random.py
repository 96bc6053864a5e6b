"""Random assignments within the budget: the baseline of every search."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hetspike.data.samples import Samples
from hetspike.search.space import Space
from hetspike.settings import SearchSettings


def scores(
    model: nn.Module,
    train: Samples,
    space: Space,
    *,
    settings: SearchSettings,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> NDArray[np.float64]:
    """Return random scores [L, K]; model and recordings are not used.

    The score of each layer and candidate is independent, so that no layer is favoured. As for every
    search, the integer programme uses up the budget.
    """
    return np.random.default_rng(seed).random((len(space.weights), len(space.candidates)))

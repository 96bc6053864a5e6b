"""Random assignments under the budget: the baseline of every search."""

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
    """Return the best assignment of random scores; model and recordings are not used.

    Every layer and candidate gets an independent score, so that no layer is favoured, and the
    integer programme uses up the budget as it does for every other search.
    """
    scores = np.random.default_rng(seed).random((len(space.weights), len(space.candidates)))
    return space.best(scores)

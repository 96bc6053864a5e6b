"""Places on a line, moved apart."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression


def moved_apart(places: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Places [N] with at least `gap` between any two, moved as little as that takes.

    Least squares: with the gaps taken off, the sorted places may stay the same but not fall.
    What is alike to a twentieth keeps its order.

    >>> moved_apart(np.array([2.0, 3.0, 3.0]), gap=0.5).tolist()
    [2.0, 2.75, 3.25]
    """
    order = np.argsort((20 * places).round(), kind="stable")
    gaps = gap * np.arange(len(places))
    moved = np.empty_like(places)
    moved[order] = isotonic_regression(places[order] - gaps).x + gaps
    return moved

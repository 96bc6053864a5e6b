"""The linear baseline: a classifier of event counts summed over time, pixel by pixel."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetspike.errors import provided_by

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # C, inverse regularisation


def fit_linear(
    train: tuple[NDArray, NDArray], validation: tuple[NDArray, NDArray], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a logistic regression on counts per pixel and polarity; validation selects C.

    train, validation  pairs of `counts` [R, 2*H*W] and labels [R], class indices below `classes`

    Returns weights [classes, 2*H*W] and biases [classes] for `predict_linear`; row c is class c. A
    class without a training recording has the bias -inf, so that it is never predicted.
    """
    present = np.unique(train[1])
    assert present[0] >= 0 and present[-1] < classes, "labels are class indices"
    # column-major as in scikit-learn, since the last bits of sums depend on the order
    weights = np.zeros((classes, train[0].shape[1]), order="F")
    biases = np.full(classes, -np.inf)
    if len(present) == 1:  # scikit-learn does not fit a single class
        biases[present] = 0
        return weights, biases
    rows, offsets = _regression(train, validation)
    if len(present) == 2:  # scikit-learn fits one row, for the second class; the first one's is 0
        biases[present[0]] = 0
        present = present[1:]
    weights[present], biases[present] = rows, offsets
    return weights, biases


def _regression(
    train: tuple[NDArray, NDArray], validation: tuple[NDArray, NDArray]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights and biases of the best regression, one row per class of the training set."""
    with provided_by("study"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

    fitted = [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300)).fit(*train)
        for strength in STRENGTHS
    ]
    scaler, regression = max(fitted, key=lambda each: each.score(*validation))
    weights = regression.coef_ / scaler.scale_
    return weights, regression.intercept_ - weights @ scaler.mean_


def predict_linear(
    weights: NDArray[np.float64], biases: NDArray[np.float64], counts: NDArray
) -> NDArray[np.int64]:
    """Predict classes [R] of `counts` [R, 2*H*W]."""
    return (counts @ weights.T + biases).argmax(1)


def counts(frames: Iterable[ArrayLike]) -> NDArray[np.float64]:
    """Sum the events of each pixel and polarity over time: R frames [T, 2, H, W] -> [R, 2*H*W]."""
    return np.stack([np.asarray(each).sum(axis=0, dtype=np.float64).ravel() for each in frames])

"""The baseline that sees no time and no space: a linear classifier on summed event counts."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # C, inverse regularisation


def fit_linear(
    train: tuple[NDArray, NDArray], validation: tuple[NDArray, NDArray]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logistic regression on counts per pixel and polarity; C chosen by validation accuracy.

    Each pair is `counts` [R, 2*H*W] and labels [R]. Returns weights [classes, 2*H*W] and biases
    [classes], to be used by `predict_linear`.
    """
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
    """Classes [R] of `counts` [R, 2*H*W]."""
    return (counts @ weights.T + biases).argmax(1)


def counts(frames: Iterable[ArrayLike]) -> NDArray[np.float64]:
    """Events per pixel and polarity over all time: R times [T, 2, H, W] -> [R, 2*H*W]."""
    return np.stack([np.asarray(each).sum(axis=0, dtype=np.float64).ravel() for each in frames])

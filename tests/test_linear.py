"""The linear baseline: what it sees, and that its plain form predicts as the fitted one."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from hetspike.linear import STRENGTHS, counts, fit_linear, predict_linear


def recordings(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    rates = np.array([[3.0, 1, 1, 1], [1, 3, 1, 1], [1, 1, 3, 1]])[labels]
    frames = rng.poisson(rates.reshape(n, 1, 2, 1, 2), (n, 4, 2, 1, 2))
    return counts(frames.astype(np.uint8)), labels


def test_counts_sum_over_time():
    frames = np.array([[[[[1, 2]], [[3, 4]]], [[[5, 250]], [[0, 1]]]]], dtype=np.uint8)
    assert counts(frames).tolist() == [[6, 252, 3, 5]]


def test_plain_weights_predict_as_scaled_regression_of_the_best_strength():
    train, validation, test = recordings(0, 60), recordings(1, 30), recordings(2, 90)
    predicted = predict_linear(*fit_linear(train, validation), test[0])
    scaler = StandardScaler().fit(train[0])
    scores, predictions = [], []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000)
        model.fit(scaler.transform(train[0]), train[1])
        scores.append(model.score(scaler.transform(validation[0]), validation[1]))
        predictions.append(model.predict(scaler.transform(test[0])))
    assert np.array_equal(predicted, predictions[int(np.argmax(scores))])
    assert (predicted == test[1]).mean() == pytest.approx(0.9, abs=0.1)

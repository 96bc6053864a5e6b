"""The linear baseline: what it sees, and that its plain form predicts as the fitted one."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from hetspike.training.linear import STRENGTHS, counts, fit_linear, predict_linear


def recordings(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts [n, 4] and labels of three classes."""
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
    predicted = predict_linear(*fit_linear(train, validation, 3), test[0])
    scaler = StandardScaler().fit(train[0])
    scores, predictions = [], []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000)
        model.fit(scaler.transform(train[0]), train[1])
        scores.append(model.score(scaler.transform(validation[0]), validation[1]))
        predictions.append(model.predict(scaler.transform(test[0])))
    assert np.array_equal(predicted, predictions[int(np.argmax(scores))])
    assert (predicted == test[1]).mean() == pytest.approx(0.9, abs=0.1)


CLASSES = 7  # declared; the three of `recordings` are some of them


@pytest.mark.parametrize(
    ("fitted", "validated"),
    [
        ([4, 5, 6], [4, 5, 6]),
        ([0, 3, 6], [0, 6]),
        ([0, 3, 6], [3, 5, 6]),  # validated on a class that training has not seen
        ([0, 2], [0, 2]),  # scikit-learn has one row for two classes
        ([5, 6], [1, 6]),
        ([0, 1], [2, 3]),
    ],
)
def test_rows_belong_to_classes_whatever_classes_there_are(fitted, validated):
    def some(seed: int, n: int, names: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Recordings of the first classes of three, under other names."""
        features, labels = recordings(seed, n)
        kept = labels < len(names)
        return features[kept], np.array(names)[labels[kept]]

    train, validation = some(0, 60, fitted), some(1, 30, validated)
    weights, biases = fit_linear(train, validation, CLASSES)
    assert weights.shape == (CLASSES, 4) and biases.shape == (CLASSES,)
    assert np.flatnonzero(np.isfinite(biases)).tolist() == fitted

    scaler = StandardScaler().fit(train[0])
    models = [
        LogisticRegression(C=strength, max_iter=300).fit(scaler.transform(train[0]), train[1])
        for strength in STRENGTHS
    ]
    right = [(m.predict(scaler.transform(validation[0])) == validation[1]).sum() for m in models]
    test, _ = recordings(2, 90)
    expected = models[int(np.argmax(right))].predict(scaler.transform(test))
    predicted = predict_linear(weights, biases, test)
    assert np.array_equal(predicted, expected)
    assert set(predicted) <= set(fitted) and len(set(predicted)) > 1


def test_the_only_class_there_is_predicted():
    features, _ = recordings(0, 12)
    only = np.full(12, 4)
    fitted = fit_linear((features, only), (features, only), CLASSES)
    assert predict_linear(*fitted, features).tolist() == [4] * 12

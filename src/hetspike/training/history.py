"""The history of a training, with one row per epoch, and the epoch that validation selects."""

from typing import NamedTuple

import pandas as pd


class Epoch(NamedTuple):
    """Results of one epoch; accuracies are fractions of the recordings."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


def selected(history: pd.DataFrame) -> pd.Series:
    """Return the row of the epoch that validation selects, for the history of one training.

    It is the epoch with the highest validation accuracy. If there are several, it is the one with
    the lowest validation loss, then the earliest. Its accuracy stands beside the result, which is
    of the last epoch and does not depend on a selection.
    """
    best_first = history.sort_values(
        ["validation_accuracy", "validation_loss", "epoch"], ascending=[False, True, True]
    )
    return best_first.iloc[0]

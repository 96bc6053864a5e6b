"""The history of a training: an epoch a row, and the epoch that validation selects."""

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
    """Return the epoch of one training that validation selects, of rows of `Epoch`.

    It has the highest validation accuracy; of several, the lowest validation loss, then the first.
    Quantized rows start from the float network of this epoch; results are those of the last epoch,
    which was selected by nothing.
    """
    best_first = history.sort_values(
        ["validation_accuracy", "validation_loss", "epoch"], ascending=[False, True, True]
    )
    return best_first.iloc[0]

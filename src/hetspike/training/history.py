"""What a training went through: an epoch a row, and which of them validation would take."""

from typing import NamedTuple

import pandas as pd


class Epoch(NamedTuple):
    """What one epoch came to; accuracies are fractions of the recordings."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


def selected(history: pd.DataFrame) -> pd.Series:
    """The epoch of one training that validation selects, of rows with the fields of `Epoch`.

    It has the highest validation accuracy; of several, the lowest validation loss, then the first.
    Quantized rows start from the float network of this epoch; results are those of the last epoch,
    which was selected by nothing.
    """
    best_first = history.sort_values(
        ["validation_accuracy", "validation_loss", "epoch"], ascending=[False, True, True]
    )
    return best_first.iloc[0]

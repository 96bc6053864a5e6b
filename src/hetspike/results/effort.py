"""What more epochs change, on validation recordings: whether the recipes are long enough."""

import numpy as np
import pandas as pd
from scipy.stats import t

from hetspike.names import plain

EFFORT_COLUMNS = (
    *("dataset", "cell", "times", "epochs", "accuracy", "accuracy_sd", "n"),
    *("change", "change_low", "change_high"),
)


def effort_table(histories: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """EFFORT_COLUMNS, a row per dataset, row that is repeated for longer, and its epochs.

    histories  dataset, cell, seed and the fields of `training.history.Epoch`
    cells      cell, times

    accuracy is that of the last epoch on the validation recordings, percent, a mean over seeds;
    change is what it gained over the next shorter training, percentage points, a mean over the
    seeds' differences with its 95 % interval of Student's t. With one seed there is no interval.
    """
    last = histories.sort_values("epoch").groupby(["dataset", "cell", "seed"], sort=False).last()
    last = last.reset_index().merge(cells[["cell", "times"]], on="cell")
    last = last.assign(plain=last["cell"].map(plain), percent=100 * last["validation_accuracy"])
    repeated = {plain(cell) for cell, times in cells[["cell", "times"]].to_numpy() if times > 1}
    order = [cell for cell in cells["cell"] if cell in repeated]
    rows = []
    for dataset, of_dataset in last.groupby("dataset", sort=False):
        for cell in order:
            by_times = of_dataset[of_dataset["plain"] == cell].groupby("times")
            before = None
            for times, runs in by_times:
                accuracy = runs.set_index("seed")["percent"]
                change = (accuracy - before).dropna() if before is not None else accuracy[:0]
                rows.append(
                    {
                        "dataset": dataset,
                        "cell": cell,
                        "times": times,
                        "epochs": runs["epoch"].iloc[0],
                        "accuracy": accuracy.mean(),
                        "accuracy_sd": accuracy.std(),
                        "n": len(accuracy),
                        **_mean_with_interval("change", change),
                    }
                )
                before = accuracy
    return pd.DataFrame(rows, columns=list(EFFORT_COLUMNS))


def _mean_with_interval(name: str, values: pd.Series) -> dict[str, float]:
    """Return a mean and its 95 % interval of Student's t, NaN where there is none.

    >>> found = _mean_with_interval("x", pd.Series([1.0, 2.0, 3.0]))  # 2 ± 4.303 / sqrt(3)
    >>> [round(float(each), 2) for each in found.values()]
    [2.0, -0.48, 4.48]
    """
    half = np.nan
    if len(values) > 1:
        half = t.ppf(0.975, len(values) - 1) * values.std() / np.sqrt(len(values))
    mean = values.mean() if len(values) else np.nan
    return {name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half}

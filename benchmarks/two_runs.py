"""Whether two runs of a study differ by more than noise: `python benchmarks/two_runs.py OLD NEW`.

OLD and NEW are folders of results of the same study, as `results/default`, by two versions of the
code or on two machines. Of each network d is its test accuracy in NEW less that in OLD, in
percentage points. The networks of one dataset and seed come from one float network, so they are one
unit. Under the hypothesis that the runs differ by noise alone, a unit's d has either sign:

    mean     the mean of all d, and p by all flips of the signs of units
    any row  the largest |t| of a row of a dataset over its seeds, and p by the same flips, so that
             many rows looked at do not count as many chances
    spread   the root of the mean of d^2 by that of 2 s^2, s^2 the variance of a row over seeds

A third argument names a picture of the float networks' learning curves, where both folders have
them (`networks/`).
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import t as student

KEYS = ["dataset", "cell", "seed"]
COLOURS = {"old": "#555555", "new": "#0072b2"}


def accuracies(results: Path) -> pd.Series:
    """Test accuracy, percent, by dataset, row and seed."""
    table = pd.read_csv(results / "tables/significance.csv").set_index(KEYS)
    return 100.0 * table["right"] / table["recordings"]


def differences(old: pd.Series, new: pd.Series) -> pd.DataFrame:
    """d: a line a row of a dataset, a column a seed."""
    assert old.index.sort_values().equals(new.index.sort_values()), "two different studies"
    return (new - old).unstack("seed")


def statistic(d: pd.DataFrame) -> tuple[float, float]:
    """|mean| of all d, and the largest |t| of a line."""
    of_rows = d.mean(axis=1) / (d.std(axis=1, ddof=1).clip(lower=0.1) / np.sqrt(d.shape[1]))
    return abs(d.to_numpy().mean()), of_rows.abs().max()


def flipped(d: pd.DataFrame) -> tuple[float, float]:
    """p of both statistics: the share of sign flips of units in which they are as large."""
    datasets = d.index.get_level_values("dataset")
    units = [(dataset, seed) for dataset in datasets.unique() for seed in d.columns]
    seen = np.array(statistic(d))
    larger = np.zeros(2)
    for signs in product((1, -1), repeat=len(units)):
        turned = d.copy()
        for sign, (dataset, seed) in zip(signs, units, strict=True):
            if sign < 0:
                turned.loc[datasets == dataset, seed] *= -1
        larger += np.array(statistic(turned)) >= seen - 1e-9
    return tuple(larger / 2 ** len(units))


def curves(folders: dict[str, Path], path: Path) -> None:
    """Validation accuracy of the float networks, epoch by epoch, of both runs."""
    datasets = sorted(each.name for each in (folders["new"] / "networks").iterdir())
    figure = Figure(figsize=(4 * len(datasets), 3.2), layout="constrained")
    axes = figure.subplots(1, len(datasets), sharey=True, squeeze=False)[0]
    for axis, dataset in zip(axes, datasets, strict=True):
        for name, folder in folders.items():
            for n, file in enumerate(sorted((folder / "networks" / dataset).glob("*/float.csv"))):
                history = pd.read_csv(file)
                axis.plot(
                    history["epoch"],
                    100 * history["validation_accuracy"],
                    color=COLOURS[name],
                    linewidth=1,
                    label=None if n else f"{name} run, a line a seed",
                )
        axis.set(title=dataset, xlabel="Epoch")
    axes[0].set_ylabel("Validation accuracy (%)")
    axes[0].legend()
    figure.savefig(path, dpi=100)


def main(old: str, new: str, picture: str | None = None) -> None:
    folders = {"old": Path(old), "new": Path(new)}
    before, after = (accuracies(folder) for folder in folders.values())
    d = differences(before, after)
    seeds = d.shape[1]
    half = student.ppf(0.975, seeds - 1) * d.std(axis=1, ddof=1) / np.sqrt(seeds)
    mean = d.mean(axis=1)
    shown = pd.DataFrame({"d": mean, "low": mean - half, "high": mean + half}).unstack("dataset")
    print("d by row, mean over seeds with its 95 % interval (Student's t), points")
    print(shown.swaplevel(axis=1).sort_index(axis=1).round(1).to_string(), end="\n\n")
    units = d.groupby("dataset").mean().to_numpy().ravel()
    reach = student.ppf(0.975, len(units) - 1) * units.std(ddof=1) / np.sqrt(len(units))
    of_mean, of_any = flipped(d)
    print(f"mean d {units.mean():.2f} [{units.mean() - reach:.2f}, {units.mean() + reach:.2f}]")
    print(f"  over {len(units)} units, p {of_mean:.3f} by flips of their signs")
    print(f"any row: largest |t| {statistic(d)[1]:.1f} of {len(d)}, p {of_any:.3f}")
    noise = (before.unstack("seed").var(axis=1) + after.unstack("seed").var(axis=1)).mean() ** 0.5
    spread = np.sqrt((d**2).to_numpy().mean())
    print(
        f"spread: root mean square of d {spread:.2f}, of noise by the seeds' variances {noise:.2f}"
    )
    if picture:
        curves(folders, Path(picture))


if __name__ == "__main__":
    main(*sys.argv[1:])

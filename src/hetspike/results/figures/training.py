"""Accuracy over the epochs of training."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hetspike.names import FLOAT
from hetspike.results.figures.style import Picture, Style, style_of, titled
from hetspike.training.history import selected

COLUMNS = 4  # of panels
PANEL_WIDTH, PANEL_HEIGHT = 2.1, 1.55  # inches


def selected_epochs(histories: pd.DataFrame) -> pd.DataFrame:
    """The rows of the epochs that validation selected, one per cell and seed."""
    runs = histories.groupby(["cell", "seed"])
    return histories.loc[[selected(history).name for _, history in runs]]


def _draw_histories(axes: Axes, histories: pd.DataFrame, style: Style) -> None:
    """One cell: a line a seed for each split, a marker on the epoch that was selected."""
    for _, history in histories.groupby("seed"):
        for split, line in (("train", ":"), ("validation", "-")):
            accuracy = 100 * history[f"{split}_accuracy"]
            axes.plot(
                history["epoch"],
                accuracy,
                color=style.colour,
                lw=0.9,
                ls=line,
                marker=".",
                markersize=3,
            )
    kept = selected_epochs(histories)
    axes.plot(
        kept["epoch"],
        100 * kept["validation_accuracy"],
        color=style.colour,
        marker=style.marker,
        markersize=8,
        markeredgecolor="white",
        ls="none",
        zorder=3,
    )
    epochs = ", ".join(map(str, kept["epoch"]))
    axes.set_title(f"{histories['cell'].iloc[0]}\nselected: epoch {epochs}", fontsize="small")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.tick_params(labelsize="small")
    axes.grid(color="#DDDDDD", lw=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def _training_legend(figure: Figure, seeds: list[int]) -> None:
    figure.legend(
        handles=[
            Line2D([], [], ls="-", lw=0.9, color="black", label="validation"),
            Line2D([], [], ls=":", lw=0.9, color="black", label="training, while weights move"),
            Line2D(
                [], [], ls="none", marker="o", color="black", label="large mark: selected epoch"
            ),
        ],
        title=f"a line a seed ({', '.join(map(str, seeds))}); results are of the last epoch;\n"
        "selected is the epoch of highest validation accuracy, then of lowest validation loss",
        title_fontsize="small",
        fontsize="small",
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )


def training_curves(histories: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """Training of one dataset's networks: float from scratch above, what starts from it below.

    histories  the fields of `training.history.Epoch`, cell, dataset, seed (one row per epoch of a
               network)
    cells      cell, method
    """
    (dataset,) = histories["dataset"].unique()
    methods = dict(zip(cells["cell"], cells["method"], strict=True))
    tuned = [cell for cell in methods if cell != FLOAT]
    rows = -(-len(tuned) // COLUMNS)
    figure = Figure(
        figsize=(0.6 + COLUMNS * PANEL_WIDTH, 3.8 + rows * PANEL_HEIGHT), layout="constrained"
    )
    figure.suptitle(titled(dataset))
    figure.supylabel("accuracy (%)", fontsize="medium")
    grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[1.5, *[1] * rows])
    panels = {FLOAT: figure.add_subplot(grid[0, :])}
    shared: Axes | None = None
    for place, cell in enumerate(tuned):
        spot = grid[1 + place // COLUMNS, place % COLUMNS]
        panels[cell] = shared = figure.add_subplot(spot, sharex=shared, sharey=shared)
    for cell, axes in panels.items():
        style = style_of(methods[cell], list(methods.values()))
        _draw_histories(axes, histories[histories["cell"] == cell], style)
    for lowest in (FLOAT, *tuned[-COLUMNS:]):
        panels[lowest].set_xlabel("epoch", fontsize="small")
    _training_legend(figure, sorted(histories["seed"].unique()))
    return figure


FIGURES = {
    "training-{dataset}": Picture(
        lambda of, dataset: training_curves(
            of.histories[of.histories["dataset"] == dataset], of.cells
        ),
        "Training on {dataset}",
        "Training and validation accuracy over the epochs of every network on {dataset}, a line a "
        "seed, with the epochs marked that validation selects: from scratch in float, then "
        "fine-tuned.",
    )
}

"""Figures as matplotlib objects; `png` turns one into bytes, the same bytes every time.

Colours are Okabe and Ito's, told apart by colour-blind readers; markers differ too, for print in
grey.
"""

import io
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hetspike.events.recordings import Recordings
from hetspike.frames import frames
from hetspike.names import FLOAT_TUNED, is_stand_in


class Style(NamedTuple):
    """How a method looks in every figure, and what it is called there."""

    label: str
    colour: str
    marker: str


STYLES = {
    "float": Style("float", "#999999", "P"),
    "float-tuned": Style("float, tuned as long as the others", "#000000", "*"),
    "uniform": Style("uniform, one width", "#0072B2", "o"),
    "pot": Style("power of two, one width", "#E69F00", "s"),
    "dnas": Style("mixed, searched (DNAS)", "#D55E00", "D"),
}
OTHERS = (("#009E73", "^"), ("#CC79A7", "v"), ("#56B4E9", "X"))  # methods added later, in order

BRIGHTER, DARKER = "#0072B2", "#D55E00"
SLICES = 6
SATURATION = 0.98  # quantile of the counts of active pixels that gets full colour
DPI = 150


def png(figure: Figure) -> bytes:
    """The figure as PNG without a date or version in it: equal figures are equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def style_of(method: str, methods: list[str]) -> Style:
    """A method's style; those without one of their own take the next spare colour and marker."""
    if method in STYLES:
        return STYLES[method]
    spare = [each for each in methods if each not in STYLES].index(method)
    return Style(method, *OTHERS[spare % len(OTHERS)])


def event_image(counts: NDArray[np.uint8], full: float) -> NDArray[np.float64]:
    """Event counts [2, H, W] (darker, brighter) as [H, W, 3] on white; `full` events saturate."""
    total = counts.sum(axis=0, dtype=np.float64)[..., None]
    share = counts[1][..., None] / np.maximum(total, 1)  # of events to brighter
    colour = share * to_rgb(BRIGHTER) + (1 - share) * to_rgb(DARKER)
    return 1 - np.minimum(total / full, 1) * (1 - colour)


def sample_recordings(recordings: Recordings, title: str) -> Figure:
    """The first recording of each class as a film strip: a row a class, equal durations a panel."""
    labels, first = np.unique(recordings.labels, return_index=True)
    chosen = Recordings.from_list(
        [recordings[index] for index in first],
        labels,
        recordings.groups[first],
        recordings.sensor_size,
        recordings.classes,
    )
    width, height = recordings.sensor_size
    panel = 0.75  # inches
    names = [recordings.classes[label].replace("_", " ") for label in labels]
    margin = 0.3 + 0.075 * max(map(len, names))
    figure = Figure(
        figsize=(margin + SLICES * panel, 1.1 + len(labels) * panel * height / width),
        layout="constrained",
    )
    figure.suptitle(title)
    rows = figure.subplots(len(labels), SLICES, squeeze=False)
    for axes, name, film in zip(
        rows, names, frames(chosen, steps=SLICES, slice_by="time"), strict=True
    ):
        active = film.sum(axis=1)
        full = np.quantile(active[active > 0], SATURATION) if active.any() else 1.0
        for panel_axes, counts in zip(axes, film, strict=True):
            panel_axes.imshow(event_image(counts, full), interpolation="nearest")
            panel_axes.set(xticks=[], yticks=[])
            panel_axes.spines[:].set_color("#BBBBBB")
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.legend(
        handles=[Patch(color=BRIGHTER, label="brighter"), Patch(color=DARKER, label="darker")],
        title=f"time → in {SLICES} equal parts of the recording",
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
    return figure


def _accuracy_panel(axes: Axes, results: pd.DataFrame, methods: list[str]) -> None:
    band = results[results["cell"] == FLOAT_TUNED].iloc[0]
    reference = style_of(band["method"], methods)
    axes.axhspan(
        band["accuracy_low"], band["accuracy_high"], color=reference.colour, alpha=0.12, lw=0
    )
    axes.axhline(band["accuracy"], color=reference.colour, lw=1, ls="--", label=reference.label)
    for method, rows in results[results["effective_bits"] < 32].groupby("method", sort=False):
        style = style_of(str(method), methods)
        rows = rows.sort_values("effective_bits")
        around = [
            [rows[each] - rows[f"{each}_low"], rows[f"{each}_high"] - rows[each]]
            for each in ("effective_bits", "accuracy")
        ]
        axes.errorbar(
            rows["effective_bits"],
            rows["accuracy"],
            xerr=around[0],
            yerr=around[1],
            label=style.label,
            color=style.colour,
            marker=style.marker,
            markersize=6,
            markeredgecolor="white",
            lw=1,
            elinewidth=1,
        )
    axes.grid(color="#DDDDDD", lw=0.5)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)


def accuracy_against_bits(results: pd.DataFrame) -> Figure:
    """Test accuracy of every quantized cell against its effective bits, a panel per dataset.

    results: `tables.results_table`. Bars run from _low to _high (for bits the range
    over seeds); the band is the reference's.
    """
    datasets = list(results["dataset"].unique())
    methods = list(results["method"].unique())
    figure = Figure(figsize=(max(6.4, 0.6 + 3.2 * len(datasets)), 3.9), layout="constrained")
    panels = figure.subplots(1, len(datasets), squeeze=False)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        _accuracy_panel(axes, results[results["dataset"] == dataset], methods)
        axes.set_title(f"{dataset}\n(simulated stand-in data)" if is_stand_in(dataset) else dataset)
        axes.set_xlabel("effective bits per weight")
    panels[0].set_ylabel("test accuracy (%)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(datasets) + 1, frameon=False
    )
    figure.suptitle("Accuracy against stored bits, with 95 % intervals")
    return figure

"""Recordings as film strips."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from hetspike.data.events.recordings import OnDemand, Recordings
from hetspike.data.frames import event_counts
from hetspike.results.figures.style import Picture, titled

BRIGHTER, DARKER = "#DDAA33", "#004488"  # light and dark: told apart in grey as well
SLICES = 6
SATURATION = 0.98  # quantile of the counts of active pixels that gets full colour


def event_image(counts: NDArray[np.int64], full: float) -> NDArray[np.float64]:
    """Event counts [2, H, W] (darker, brighter) as [H, W, 3] on white; `full` events saturate."""
    total = counts.sum(axis=0, dtype=np.float64)[..., None]
    colour = _mixed(counts[1][..., None] / np.maximum(total, 1))
    return 1 - np.minimum(total / full, 1) * (1 - colour)


def _mixed(share: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Colour where a share of the events is to brighter."""
    return share * np.array(to_rgb(BRIGHTER)) + (1 - share) * np.array(to_rgb(DARKER))


def sample_recordings(recordings: Recordings | OnDemand, dataset: str) -> Figure:
    """The first recording of each class as a film strip: a row a class, equal durations a panel."""
    labels, first = np.unique(recordings.labels, return_index=True)
    width, height = recordings.sensor_size
    panel = 0.75  # inches
    names = [recordings.classes[label].replace("_", " ") for label in labels]
    margin = 0.3 + 0.075 * max(map(len, names))
    figure = Figure(
        figsize=(margin + SLICES * panel, 1.1 + len(labels) * panel * height / width),
        layout="constrained",
    )
    figure.suptitle(titled(dataset))
    rows = figure.subplots(len(labels), SLICES, squeeze=False)
    for axes, name, index in zip(rows, names, first, strict=True):
        film = event_counts(recordings[index], (width, height), steps=SLICES, slice_by="time")
        active = film.sum(axis=1)
        full = np.quantile(active[active > 0], SATURATION) if active.any() else 1.0
        for panel_axes, counts in zip(axes, film, strict=True):
            panel_axes.imshow(event_image(counts, full), interpolation="nearest")
            panel_axes.set(xticks=[], yticks=[])
            panel_axes.spines[:].set_color("#BBBBBB")
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    red, green, blue = _mixed(0.5)
    figure.legend(
        handles=[
            Patch(color=BRIGHTER, label="brighter"),
            Patch(color=DARKER, label="darker"),
            Patch(color=(red, green, blue), label="both"),
        ],
        title=f"time → in {SLICES} equal parts of the recording",
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )
    return figure


FIGURES = {
    "samples-{dataset}": Picture(
        lambda of, dataset: sample_recordings(of.recordings(dataset), dataset),
        "Recordings of {dataset}",
        "Film strips of one training recording of each class of {dataset}, in six equal parts of "
        "time: where events turn brighter and where darker.",
    )
}

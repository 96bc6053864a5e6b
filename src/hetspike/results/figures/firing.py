"""Distributions of firing rates over the neurons of each layer."""

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hetspike.names import FLOAT_TUNED
from hetspike.results.figures.layers import (
    boundaries,
    compared_rows,
    name_layers,
    name_parts,
    named_layers,
)
from hetspike.results.figures.style import STYLES, Picture, Style, style_of, titled
from hetspike.results.firing import QUANTILES, between_seeds

BESIDE = 0.17  # of the middle of a layer: where the two distributions stand
BAND = 0.2  # opacity


def _draw_distributions(axes: Axes, table: pd.DataFrame, style: Style, place: float) -> None:
    """Quantiles by layer, means over networks: the middle half thick, nine tenths thin."""
    quantiles = table.groupby("layer", sort=False)[[*QUANTILES]].mean()
    places = np.arange(len(quantiles)) + 0.5 + place
    for low, high, width in (("q05", "q95", 0.9), ("q25", "q75", 3.6)):
        axes.vlines(places, quantiles[low], quantiles[high], color=style.colour, lw=width)
    axes.plot(
        places,
        quantiles["q50"],
        color=style.colour,
        marker="o",
        markersize=3,
        markerfacecolor="white",
        markeredgewidth=0.8,
        ls="none",
    )


def _draw_distances(axes: Axes, table: pd.DataFrame, style: Style) -> None:
    mean = table.groupby("layer", sort=False)["distance"].mean()
    axes.plot(
        np.arange(len(mean)) + 0.5,
        mean,
        color=style.colour,
        marker=style.marker,
        markersize=4.5,
        markeredgecolor="white",
        markeredgewidth=0.4,
        lw=0.8,
    )


def _firing_legend(figure: Figure, rows: pd.DataFrame, *, far: bool) -> None:
    """far: whether references of two seeds are drawn."""
    methods, reference = list(rows["method"].unique()), STYLES[FLOAT_TUNED]
    handles: list[Artist] = [Line2D([], [], color=reference.colour, lw=3.6, label=FLOAT_TUNED)]
    for method, draws in rows.groupby("method", sort=False):
        style, label = style_of(str(method), methods), draws["row"].iloc[0]
        handles.append(Line2D([], [], color=style.colour, marker=style.marker, label=label))
    if far:
        dashed = f"two seeds of {FLOAT_TUNED}"
        handles += [
            Line2D([], [], color=reference.colour, ls="--", lw=1, label=dashed),
            Patch(color=reference.colour, alpha=BAND, lw=0, label="range of pairs of seeds"),
        ]
    figure.legend(
        handles=handles,
        title="firing rates of single neurons: thin from 5 to 95 % of a layer's neurons, thick the "
        "middle half,\ncircle: median; distance: the earth mover's, of the two distributions; "
        "means over seeds",
        title_fontsize="small",
        fontsize="small",
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )


def firing_rates(firing: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """One dataset's rates by layer: a panel per method beside the reference, then distances.

    firing  `results.firing.firing_table` with the part and short_name of each layer
    cells   cell, method, setting

    The last panel has the earth mover's distances of all of them, and dashed that of references of
    two seeds, with its range.
    """
    (dataset,) = firing["dataset"].unique()
    named = named_layers(firing)
    rows = compared_rows(cells)
    methods = list(rows["method"].unique())
    reference, tuned = STYLES[FLOAT_TUNED], firing[firing["cell"] == FLOAT_TUNED]
    figure = Figure(figsize=(7.5, 2.9 + 1.3 * len(methods)), layout="constrained")
    figure.suptitle(titled(dataset))
    *panels, last = figure.subplots(
        len(methods) + 1, 1, sharex=True, height_ratios=[*[1] * len(methods), 1.5]
    )
    for axes, (method, draws) in zip(panels, rows.groupby("method", sort=False), strict=True):
        style = style_of(str(method), methods)
        network = firing[firing["cell"].isin(draws["cell"])]
        _draw_distributions(axes, tuned, reference, -BESIDE)
        _draw_distributions(axes, network, style, BESIDE)
        _draw_distances(last, network, style)
        axes.sharey(panels[0])
        axes.set_ylabel(f"{draws['row'].iloc[0]}\n(% of steps)", fontsize="small")
    pairs = firing[firing["cell"] == between_seeds(FLOAT_TUNED)].groupby("layer", sort=False)
    if len(pairs):
        far = pairs["distance"].agg(["min", "mean", "max"])
        places = np.arange(len(far)) + 0.5
        last.fill_between(places, far["min"], far["max"], color=reference.colour, alpha=BAND, lw=0)
        last.plot(places, far["mean"], color=reference.colour, lw=1, ls="--", zorder=1)
    last.set_ylabel(f"distance to\n{FLOAT_TUNED} (pp)", fontsize="small")
    last.set_ylim(bottom=0)
    last.set_xlim(0, len(named))
    panels[0].set_ylim(bottom=0)
    for axes in (*panels, last):
        for boundary in boundaries(named)[1:]:
            axes.axvline(boundary, color="#DDDDDD", lw=0.8, zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize="small")
    name_parts(panels[0], named)
    name_layers(last, named)
    _firing_legend(figure, rows, far=bool(len(pairs)))
    return figure


FIGURES = {
    "firing-{dataset}": Picture(
        lambda of, dataset: firing_rates(of.firing[of.firing["dataset"] == dataset], of.cells),
        "Firing rates on {dataset}",
        "How the firing rates of single neurons are distributed in each layer of the float network "
        "and of quantized networks on {dataset}, and the earth mover's distance of the two "
        "distributions, beside that of two float networks. The table of firing has the numbers.",
    )
}

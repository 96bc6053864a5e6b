"""Figures of layers: what a search chose for each, and how many inputs spike."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from hetspike.names import FLOAT, FLOAT_TUNED, is_plain
from hetspike.quantization.levels import BINARY, SCHEMES
from hetspike.results.figures.style import (
    STYLES,
    Picture,
    Style,
    family_of,
    scheme_style,
    style_of,
    titled,
)

CELL_WIDTH, CELL_HEIGHT = 0.17, 0.15  # inches, of a layer in a network
BLOCK_GAP = 0.6  # between the networks of two budgets, in rows
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue


def named_layers(chosen: pd.DataFrame) -> pd.DataFrame:
    """layer, part, short_name: a row a layer, in order."""
    return chosen[["layer", "part", "short_name"]].drop_duplicates("layer").reset_index(drop=True)


def boundaries(named: pd.DataFrame) -> list[float]:
    """Where parts of the network begin."""
    parts = named["part"]
    return [float(place) for place in np.flatnonzero(parts.ne(parts.shift()))]


def name_layers(axes: Axes, named: pd.DataFrame) -> None:
    """Layers below the axes."""
    axes.set_xticks(np.arange(len(named)) + 0.5, list(named["short_name"]), rotation=90)
    axes.xaxis.set_tick_params(length=0, labelsize="small")


def name_parts(axes: Axes, named: pd.DataFrame) -> None:
    """Parts of the network above the axes."""
    parts = named["part"]
    centres = parts.index.to_series().groupby(parts, sort=False).mean() + 0.5
    above = axes.secondary_xaxis("top")
    above.set_xticks(list(centres), list(centres.index))
    above.xaxis.set_tick_params(length=0, labelsize="small")
    above.spines[:].set_visible(False)


def _draw_network(axes: Axes, network: pd.DataFrame, top: float) -> None:
    """One network as a row of cells [layers]: colour is the scheme, the digit is the bits."""
    colours = np.array([[to_rgb(scheme_style(scheme).colour) for scheme in network["scheme"]]])
    edges = np.arange(len(network) + 1)
    axes.pcolormesh(edges, [top, top + 1], colours, edgecolors="white", lw=0.5)
    for place, (bits, colour) in enumerate(zip(network["bits"], colours[0], strict=True)):
        axes.text(
            place + 0.5,
            top + 0.5,
            str(bits),
            color="white" if colour @ LUMINANCE < 0.5 else "black",
            fontsize=7,
            ha="center",
            va="center_baseline",
        )


def _draw_networks(axes: Axes, chosen: pd.DataFrame) -> None:
    """One dataset's networks, a block of rows per budget, a row per draw and seed."""
    top, budgets = 0.0, {}
    for (method, setting), block in chosen.groupby(["method", "setting"], sort=False):
        networks = block.groupby(["draw", "seed"])
        for place, (_, network) in enumerate(networks):
            _draw_network(axes, network, top + place)
        label = f"{setting:g} + binary" if str(method).endswith(f"-{BINARY}") else f"{setting:g}"
        budgets[label] = top + len(networks) / 2
        top += len(networks) + BLOCK_GAP
    axes.set_ylim(top - BLOCK_GAP, 0)
    axes.set_yticks(list(budgets.values()), list(budgets))
    axes.tick_params(length=0, labelsize="small")
    axes.spines[:].set_visible(False)


def _assignments_legend(figure: Figure, chosen: pd.DataFrame) -> None:
    schemes = set(chosen["scheme"])
    rows = f"seed {', '.join(map(str, sorted(chosen['seed'].unique())))}"
    if draws := chosen["draw"].max():
        rows += f" of draw {', '.join(str(draw + 1) for draw in range(draws + 1))}"
    figure.legend(
        handles=[
            Patch(color=scheme_style(scheme).colour, label=scheme_style(scheme).label)
            for scheme in (FLOAT, *SCHEMES)
            if scheme in schemes
        ],
        title=f"digit: bits per weight; rows of a budget: {rows}",
        title_fontsize="small",
        fontsize="small",
        loc="outside lower center",
        ncols=len(schemes),
        frameon=False,
    )


def assignments(layers: pd.DataFrame, cells: pd.DataFrame, search: str) -> Figure:
    """What a search chose for each layer, with and without binary: a panel per dataset.

    layers  layer, part, short_name, scheme, bits, weights, cell, dataset, seed (one row per
            operation)
    cells   cell, method, setting, draw
    """
    rows = cells[cells["cell"].map(is_plain) & cells["method"].isin([search, f"{search}-{BINARY}"])]
    chosen = rows.merge(layers[layers["weights"] > 0], on="cell")  # in the order of `cells`
    datasets = list(chosen["dataset"].unique())
    networks = chosen.drop_duplicates(["cell", "seed"])
    n_layers, n_blocks = chosen["layer"].nunique(), len(rows.groupby(["method", "setting"]))
    height = (len(networks) + BLOCK_GAP * n_blocks) * CELL_HEIGHT
    figure = Figure(
        figsize=(max(6.4, 1.2 + len(datasets) * n_layers * CELL_WIDTH), 2 + height),
        layout="constrained",
    )
    figure.suptitle(f"Scheme and bits of each layer, search: {search}")
    panels = figure.subplots(1, len(datasets), squeeze=False, sharey=True)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        _draw_networks(axes, chosen[chosen["dataset"] == dataset])
        named = named_layers(chosen[chosen["dataset"] == dataset])
        name_layers(axes, named)
        name_parts(axes, named)
        for boundary in boundaries(named):
            axes.axvline(boundary, color="white", lw=3)
        axes.set_title(titled(dataset))
    panels[0].set_ylabel("budget\n(bits per weight)")
    _assignments_legend(figure, chosen)
    return figure


def compared_rows(cells: pd.DataFrame) -> pd.DataFrame:
    """cell, row, method: float and, of every scheme and search, what has the fewest bits.

    Draws of a search are one row.
    """
    methods = list(cells["method"].unique())
    plain = [method for method in methods if not family_of(method, methods)[1]]
    rows = cells[cells["cell"].map(is_plain) & cells["method"].isin([FLOAT, *plain])]
    fewest = rows["setting"] == rows.groupby("method")["setting"].transform("min")
    rows = rows[fewest | (rows["method"] == FLOAT)]
    settings = rows["setting"].map(lambda setting: "" if pd.isna(setting) else f"-{setting:g}")
    return rows.assign(row=rows["method"] + settings)[["cell", "row", "method"]]


def _draw_range(axes: Axes, values: pd.DataFrame, along: list[str], style: Style) -> None:
    """Values of networks [layer, network] over the layers: the mean, and the range as a band."""
    values = values.loc[along]
    places = np.arange(len(along)) + 0.5
    axes.fill_between(
        places, values.min(axis=1), values.max(axis=1), color=style.colour, alpha=0.3, lw=0
    )
    axes.plot(
        places, values.mean(axis=1), color=style.colour, marker=style.marker, markersize=4, lw=1
    )


def spike_rates(layers: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """Share of each layer's inputs that are not zero: a column per dataset.

    layers  layer, part, short_name, weights, inputs, active, cell, dataset, seed (one row per
            operation)
    cells   cell, method, setting, draw

    Above that of the reference, float-tuned; below, a row of panels per method, how many times
    that of the reference of the same seed. Bands span seeds, and draws of a search.
    """
    weighted = layers[layers["weights"] > 0]
    rates = weighted.assign(rate=100 * weighted["active"] / weighted["inputs"])
    table = rates.pivot(index="layer", columns=["dataset", "cell", "seed"], values="rate")
    table = table.sort_index(axis=1)
    datasets = list(weighted["dataset"].unique())
    compared = compared_rows(cells)
    methods = list(compared["method"].unique())
    figure = Figure(
        figsize=(1.2 + 3.1 * len(datasets), 2.8 + 1.2 * len(methods)), layout="constrained"
    )
    figure.suptitle("Spike rates: inputs of each layer that are not zero")
    panels = figure.subplots(
        1 + len(methods),
        len(datasets),
        squeeze=False,
        sharex="col",
        height_ratios=[1.4, *[1] * len(methods)],
    )
    for alike in (panels[:1], panels[1:]):
        first, *others = alike.flat
        for axes in others:
            axes.sharey(first)
    for column, dataset in zip(panels.T, datasets, strict=True):
        named = named_layers(weighted[weighted["dataset"] == dataset])
        along = list(named["layer"])
        reference = table[dataset, FLOAT_TUNED].where(lambda rate: rate > 0)  # else no ratio
        _draw_range(column[0], reference, along, STYLES[FLOAT_TUNED])
        for axes, (method, rows) in zip(
            column[1:], compared.groupby("method", sort=False), strict=True
        ):
            ratios = [table[dataset, cell] / reference for cell in rows["cell"]]
            _draw_range(axes, pd.concat(ratios, axis=1), along, style_of(str(method), methods))
            axes.axhline(1, color=STYLES[FLOAT_TUNED].colour, lw=0.8, ls="--", zorder=1)
        for axes in column:
            for boundary in boundaries(named)[1:]:
                axes.axvline(boundary, color="#DDDDDD", lw=0.8, zorder=0)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize="small")
            axes.label_outer()
        column[0].set_title(titled(dataset))
        name_parts(column[0], named)
        name_layers(column[-1], named)
    panels[0, 0].set_yscale("log")
    panels[0, 0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[0, 0].yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panels[0, 0].yaxis.set_minor_locator(NullLocator())
    panels[0, 0].set_ylabel(f"{FLOAT_TUNED}\n(% of inputs, log)", fontsize="small")
    for line, row in zip(panels[1:], compared["row"].unique(), strict=True):
        line[0].set_ylabel(f"{row}\n(ratio)", fontsize="small")
    draws = " and draws" if cells["draw"].any() else ""
    figure.supxlabel(
        f"bands: range over seeds{draws}; ratio: to float-tuned of the same seed\n"
        "conv1 takes counts of events; q, k, v, fc1 and head take sums of spikes",
        fontsize="small",
    )
    return figure


FIGURES = {
    "assignments-{search}": Picture(
        lambda of, search: assignments(of.layers, of.cells, search),
        "Schemes and bits that {search} chose",
        "Scheme and bits that the search {search} chose for each layer, by dataset, budget and "
        "seed.",
    ),
    "spike-rates": Picture(
        lambda of: spike_rates(of.layers, of.cells),
        "Spike rates",
        "Share of each layer's inputs that are not zero along the float network, by dataset, and "
        "how many times that it is in quantized networks.",
    ),
}

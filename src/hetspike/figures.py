"""Figures as matplotlib objects; `png` turns one into bytes, the same bytes every time.

Colours are Okabe and Ito's, told apart by colour-blind readers; markers differ too, for print in
grey.
"""

import io
from textwrap import wrap
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from hetspike.events.recordings import OnDemand, Recordings
from hetspike.frames import frames
from hetspike.levels import BINARY, SCHEMES
from hetspike.names import DISTILLED, FLOAT_TUNED, VIEWS, is_stand_in, search_of


class Style(NamedTuple):
    """How a method or a scheme looks in every figure, and what it is called there."""

    label: str
    colour: str
    marker: str


STYLES = {
    "float": Style("float", "#BBBBBB", "P"),
    "float-tuned": Style("float, tuned as long as the others", "#000000", "*"),
    # schemes: a colour is a method's line in one figure and a layer's scheme in another
    "binary": Style("binary", "#CC79A7", "h"),
    "uniform": Style("uniform", "#0072B2", "o"),
    "pot": Style("power of two", "#E69F00", "s"),
    "pot-log": Style("power of two, log rounding", "#882255", "<"),
    "apot": Style("additive power of two", "#F0E442", "p"),
    # searches
    "fisher": Style("fisher: mixed, by Fisher information", "#009E73", "^"),
    "sensitivity": Style("sensitivity: mixed, by Hessian trace", "#56B4E9", "v"),
    "dnas": Style("dnas: mixed, by gradient descent", "#D55E00", "D"),
    "random": Style("random: mixed, by chance", "#777777", "X"),
}
# rows of a study under names of their own, in order
OTHERS = (("#332288", ">"), ("#661100", "d"), ("#117733", "H"))

GAP = 0.013  # least distance between two points, of the range of bits
CELL_WIDTH, CELL_HEIGHT = 0.17, 0.15  # inches, of a layer in a network
BLOCK_GAP = 0.6  # between the networks of two budgets, in rows
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue

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


def sample_recordings(recordings: Recordings | OnDemand, title: str) -> Figure:
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


def titled(dataset: str) -> str:
    """A dataset's name, and that it is a stand-in where it is one."""
    return f"{dataset}\n(simulated stand-in data)" if is_stand_in(dataset) else dataset


def moved_apart(places: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Places [N] with at least `gap` between any two, moved as little as that takes.

    Least squares: with the gaps taken off, the sorted places may stay the same but not fall.
    What is alike to a twentieth keeps its order.

    >>> moved_apart(np.array([2.0, 3.0, 3.0]), gap=0.5).tolist()
    [2.0, 2.75, 3.25]
    """
    order = np.argsort((20 * places).round(), kind="stable")
    gaps = gap * np.arange(len(places))
    moved = np.empty_like(places)
    moved[order] = isotonic_regression(places[order] - gaps).x + gaps
    return moved


def _points(results: pd.DataFrame) -> pd.DataFrame:
    """What is drawn: a row per method and setting, with the columns search, addition and draws.

    Draws of a search are averaged, and their intervals: a mean's own interval would be narrower.
    """
    measured = [f"accuracy{end}" for end in ("", "_low", "_high")] + ["effective_bits"]
    shown = results[results["setting"].notna() & ~results["cell"].str.endswith(DISTILLED)]
    draws = shown.groupby(["method", "setting"], sort=False)
    points = draws[measured].mean().assign(draws=draws.size()).reset_index()
    searches = [row for row in points["method"].unique() if row not in SCHEMES]
    names = [(row, "") if row in SCHEMES else search_of(row, searches) for row in points["method"]]
    points[["search", "addition"]] = pd.DataFrame(
        names, columns=["search", "addition"], index=points.index
    )
    return points.sort_values("search", key=lambda each: pd.factorize(each)[0], kind="stable")


def _draw_points(axes: Axes, points: pd.DataFrame, style: Style, *, hollow: bool = False) -> None:
    axes.errorbar(
        points["place"],
        points["accuracy"],
        yerr=[
            points["accuracy"] - points["accuracy_low"],
            points["accuracy_high"] - points["accuracy"],
        ],
        ls="none",
        color=style.colour,
        marker=style.marker,
        markersize=6.5,
        markerfacecolor="white" if hollow else style.colour,
        markeredgecolor=style.colour if hollow else "white",
        markeredgewidth=1.2 if hollow else 0.6,
        elinewidth=0.8,
        zorder=3,
    )


def _draw_scheme(axes: Axes, points: pd.DataFrame, scheme: str, style: Style) -> None:
    """A scheme at its widths; one bit is where every scheme's line starts, as in `comparison`."""
    _draw_points(axes, points[points["method"] == scheme], style)
    line = points[points["method"].isin([scheme, BINARY])].sort_values("setting")
    axes.plot(line["place"], line["accuracy"], color=style.colour, lw=0.8, ls=":", zorder=1)


def _draw_search(axes: Axes, points: pd.DataFrame, style: Style) -> None:
    """A search over budgets: one line, which goes on with binary where it stops without."""
    with_binary = points["addition"] == BINARY
    _draw_points(axes, points[~with_binary], style)
    _draw_points(axes, points[with_binary], style, hollow=True)
    line = points.sort_values("addition").drop_duplicates("setting").sort_values("setting")
    axes.plot(line["place"], line["accuracy"], color=style.colour, lw=1.4, zorder=2)


def _draw_reference(axes: Axes, results: pd.DataFrame) -> None:
    row = results[results["cell"] == FLOAT_TUNED].iloc[0]
    colour = STYLES[FLOAT_TUNED].colour
    axes.axhspan(row["accuracy_low"], row["accuracy_high"], color=colour, alpha=0.08, lw=0)
    axes.axhline(row["accuracy"], color=colour, lw=1, ls="--", zorder=1)


def _legend_line(method: str, style: Style, draws: int) -> Line2D:
    single = method in SCHEMES
    label = f"{style.label} in every layer" if single else style.label
    return Line2D(
        [],
        [],
        color=style.colour,
        marker=style.marker,
        ls=":" if single else "-",
        lw=0.8 if single else 1.4,
        label=f"{label} (mean of {draws} draws)" if draws > 1 else label,
    )


def _accuracy_legend(
    figure: Figure, points: pd.DataFrame, styles: dict[str, Style], left_out: list[str]
) -> None:
    reference = STYLES[FLOAT_TUNED]
    handles = [Line2D([], [], color=reference.colour, lw=1, ls="--", label=reference.label)]
    for search, draws in points.groupby("search", sort=False)["draws"].max().items():
        handles.append(_legend_line(str(search), styles[str(search)], draws))
    if (points["addition"] == BINARY).any():
        hollow = Line2D([], [], color="black", marker="o", markerfacecolor="white", ls="none")
        hollow.set_label("hollow: may choose binary as well")
        handles.append(hollow)
    notes = [
        "95 % intervals; points that would cover each other are moved sideways",
        "dotted: a single scheme interpolated between whole bits",
    ]
    if left_out:
        notes += wrap(
            f"in the table of ablations only: {', '.join(left_out)}", 105, break_on_hyphens=False
        )
    figure.legend(
        handles=handles,
        title="\n".join(notes),
        title_fontsize="small",
        fontsize="small",
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )


def accuracy_against_bits(results: pd.DataFrame) -> Figure:
    """Test accuracy of one dataset's quantized cells against their effective bits.

    results: one dataset's rows of `tables.results_table`. Bars run from accuracy_low to _high; the
    band is the reference's. Distilled cells are left out, and searches among other candidates,
    except for those with binary, which go on where the search without it stops.
    """
    (dataset,) = results["dataset"].unique()
    points = _points(results)
    shown = points["addition"].isin(["", BINARY])
    left_out = list(points.loc[~shown, "method"].unique())
    points = points[shown].reset_index(drop=True)
    bits = points["effective_bits"].to_numpy()
    if len(points):  # a study of float networks has the band alone
        points["place"] = moved_apart(bits, GAP * max(np.ptp(bits), 1))
    figure = Figure(figsize=(7.5, 5.8), layout="constrained")
    axes = figure.subplots()
    _draw_reference(axes, results)
    searches = list(points["search"].unique())
    styles = {search: style_of(search, searches) for search in searches}
    for search, style in styles.items():
        if search in SCHEMES:
            _draw_scheme(axes, points, search, style)
        else:
            _draw_search(axes, points[points["search"] == search], style)
    axes.grid(color="#DDDDDD", lw=0.5)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(title=titled(dataset), xlabel="effective bits per weight", ylabel="test accuracy (%)")
    _accuracy_legend(figure, points, styles, left_out)
    return figure


def layer_names(layers: list[str]) -> list[tuple[str, str]]:
    """Part of the network and short name of each layer, in the order of the network.

    >>> layer_names(["patch.stages.0.0", "patch.stages.2.0", "blocks.0.attention.q.0", "head"])
    [('patch', 'conv1'), ('patch', 'conv2'), ('block 1', 'q'), ('', 'head')]
    """
    convolutions = [layer for layer in layers if ".stages." in layer]
    names = []
    for layer in layers:
        first, *inner = [word for word in layer.split(".") if not word.isdigit()]
        last = "proj" if inner and inner[-1] == "projection" else (inner or [first])[-1]
        if layer in convolutions:
            names.append((first, f"conv{convolutions.index(layer) + 1}"))
        elif first == "blocks":
            names.append((f"block {int(layer.split('.')[1]) + 1}", last))
        else:
            names.append((first if inner else "", last))
    return names


def _name_layers(axes: Axes, layers: list[str]) -> None:
    """Layers below the axes, parts of the network above, gaps between the parts."""
    names = layer_names(layers)
    axes.set_xticks(np.arange(len(layers)) + 0.5, [name for _, name in names], rotation=90)
    parts = pd.Series([part for part, _ in names])
    centres = parts.index.to_series().groupby(parts, sort=False).mean() + 0.5
    above = axes.secondary_xaxis("top")
    above.set_xticks(list(centres), list(centres.index))
    for side in (axes.xaxis, above.xaxis):
        side.set_tick_params(length=0, labelsize="small")
    above.spines[:].set_visible(False)
    for boundary in np.flatnonzero(parts.ne(parts.shift())):
        axes.axvline(float(boundary), color="white", lw=3)


def _draw_network(axes: Axes, network: pd.DataFrame, top: float) -> None:
    """One network as a row of cells [layers]: colour is the scheme, the digit is the bits."""
    colours = np.array([[to_rgb(STYLES[scheme].colour) for scheme in network["scheme"]]])
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
            Patch(color=style.colour, label=style.label)
            for scheme, style in STYLES.items()
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

    layers  layer, scheme, bits, weights, cell, dataset, seed (one row per operation)
    cells   cell, method, setting, draw, distilled
    """
    rows = cells[~cells["distilled"] & cells["method"].isin([search, f"{search}-{BINARY}"])]
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
        _name_layers(axes, list(chosen["layer"].unique()))
        axes.set_title(titled(dataset))
    panels[0].set_ylabel("budget\n(bits per weight)")
    _assignments_legend(figure, chosen)
    return figure


def energy_views(energy: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """Energy saved against float under every view: a row of panels per dataset, a column per view.

    energy  `costs.energy_table`; cells: cell, method. Bars end at the mean, lines span the seeds.
    """
    quantized = cells[cells["setting"].notna() & ~cells["distilled"]]
    shown = quantized[["cell", "method"]].merge(energy, on="cell")
    datasets, methods = list(energy["dataset"].unique()), list(quantized["method"].unique())
    styles = {method: style_of(method, methods) for method in methods}
    panel = max(1.6, 0.3 + 0.16 * len(quantized))  # inches
    figure = Figure(
        figsize=(1.6 + 1.75 * len(VIEWS), 1 + len(datasets) * panel), layout="constrained"
    )
    figure.suptitle("How many times less energy than the float network, under five views")
    panels = figure.subplots(len(datasets), len(VIEWS), squeeze=False, sharey="row", sharex="col")
    for row, dataset in zip(panels, datasets, strict=True):
        rows = shown[shown["dataset"] == dataset]
        for axes, (view, heading) in zip(row, VIEWS.items(), strict=True):
            low, value, high = (rows[f"energy_{view}{end}"] for end in ("_low", "", "_high"))
            axes.barh(
                rows["cell"],
                value,
                xerr=[value - low, high - value],
                color=[styles[method].colour for method in rows["method"]],
                error_kw={"lw": 0.8},
                height=0.7,
            )
            axes.axvline(1, color="#000000", lw=0.8, ls="--")
            axes.tick_params(labelsize="x-small")
            axes.spines[["top", "right"]].set_visible(False)
            if dataset == datasets[0]:
                axes.set_title(heading, fontsize="small")
            if dataset == datasets[-1]:
                axes.set_xlabel("times less", fontsize="small")
        row[0].set_ylabel(titled(dataset), fontsize="small")
        row[0].invert_yaxis()
    return figure

"""Accuracy against effective bits."""

from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from hetspike.names import FLOAT_TUNED, is_plain, is_stand_in
from hetspike.quantization.levels import BINARY, SCHEMES
from hetspike.results.figures.style import STYLES, Picture, Style, family_of, style_of, titled

BAND = 0.08  # opacity
GAP = 0.013  # least distance between two points, of the range of bits


def _points(results: pd.DataFrame) -> pd.DataFrame:
    """What is drawn: a row per method and setting, with the columns search, addition and draws.

    Draws of a search are averaged, and their intervals: a mean's own interval would be narrower.
    """
    measured = [f"accuracy{end}" for end in ("", "_low", "_high")] + ["effective_bits"]
    shown = results[results["setting"].notna() & results["cell"].map(is_plain)]
    draws = shown.groupby(["method", "setting"], sort=False)
    points = draws[measured].mean().assign(draws=draws.size()).reset_index()
    methods = list(points["method"].unique())
    names = [family_of(method, methods) for method in points["method"]]
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
    axes.axhspan(row["accuracy_low"], row["accuracy_high"], color=colour, alpha=BAND, lw=0)
    axes.axhline(row["accuracy"], color=colour, lw=1, ls="--", zorder=1)


def _draw_paper(axes: Axes, results: pd.DataFrame) -> list[Line2D]:
    """What the paper reports, at the budget that we read its bits as: a cross, and its legend."""
    return [
        axes.plot(
            row["setting"],
            row["paper_accuracy"],
            color="black",
            marker="x",
            markersize=8,
            markeredgewidth=1.6,
            ls="none",
            zorder=4,
            label=f"the paper's own result, on {row['paper_dataset']}"
            + (":\nother data than these points" if is_stand_in(row["dataset"]) else ""),
        )[0]
        for row in results.dropna(subset="paper_accuracy").to_dict("records")
    ]


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
    figure: Figure,
    points: pd.DataFrame,
    styles: dict[str, Style],
    paper: list[Line2D],
    left_out: list[str],
) -> None:
    reference = STYLES[FLOAT_TUNED]
    handles: list[Artist] = [
        Line2D([], [], color=reference.colour, lw=1, ls="--", label=reference.label),
        Patch(color=reference.colour, alpha=BAND, lw=0, label="its interval"),
    ]
    for search, draws in points.groupby("search", sort=False)["draws"].max().items():
        handles.append(_legend_line(str(search), styles[str(search)], draws))
    if (points["addition"] == BINARY).any():
        hollow = Line2D([], [], color="black", marker="o", markerfacecolor="white", ls="none")
        hollow.set_label("hollow: may choose binary as well")
        handles.append(hollow)
    handles += paper
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


def accuracy_against_bits(results: pd.DataFrame) -> Figure:
    """Test accuracy of one dataset's quantized cells against their effective bits.

    results: one dataset's rows of `results.tables.results_table`. Bars run from accuracy_low to
    _high; the band is the reference's, the cross is the paper's. Distilled cells are left out, and
    searches among other candidates, except for those with binary, which go on where the search
    without it stops.
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
    _accuracy_legend(figure, points, styles, _draw_paper(axes, results), left_out)
    return figure


FIGURES = {
    "accuracy-{dataset}": Picture(
        lambda of, dataset: accuracy_against_bits(of.results[of.results["dataset"] == dataset]),
        "Accuracy against bits on {dataset}",
        "Test accuracy of the quantized networks on {dataset} against their effective bits, with "
        "95 % intervals, beside float and the paper's result. The table of results has the "
        "numbers.",
    )
}

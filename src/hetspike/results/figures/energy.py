"""Energy under each view, and under each assumption about memory."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from hetspike.cost.energy import ENERGY_VIEWS, REFERENCES
from hetspike.cost.memory import NAMED
from hetspike.names import FLOAT_TUNED, is_plain
from hetspike.results.cost_tables import RATIOS, measure_of
from hetspike.results.figures.style import Picture, Style, style_of, titled

# columns of panels: a measure of `results.cost_tables.energy_table`, and its heading
PANELS = {
    measure: f"{ENERGY_VIEWS[view].heading}, against {reference}"
    for measure, (view, reference) in RATIOS.items()
}
WIDTH = 1.45  # of a panel, inches
GREY = "#777777"
RANGED = "total"  # the view whose range is drawn


def _styles(quantized: pd.DataFrame) -> dict[str, Style]:
    """Method -> its style."""
    methods = list(quantized["method"].unique())
    return {method: style_of(method, methods) for method in methods}


def energy_views(energy: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """Energy saved, a row of panels per dataset: a column per view, reference after reference.

    energy  `results.cost_tables.energy_table`
    cells   cell, method, setting

    Bars end at the mean, lines span the seeds.
    """
    quantized = cells[cells["setting"].notna() & cells["cell"].map(is_plain)]
    shown = quantized[["cell", "method"]].merge(energy, on="cell")
    datasets, styles = list(energy["dataset"].unique()), _styles(quantized)
    panel = max(1.6, 0.3 + 0.16 * len(quantized))  # inches
    figure = Figure(
        figsize=(1.6 + WIDTH * len(PANELS), 1.2 + len(datasets) * panel), layout="constrained"
    )
    figure.suptitle(
        f"How many times less energy than {FLOAT_TUNED}, charged in {', '.join(REFERENCES)}"
    )
    figure.supxlabel("dashed: no saving; lines: range over seeds", fontsize="small")
    panels = figure.subplots(len(datasets), len(PANELS), squeeze=False, sharey="row", sharex="col")
    for row, dataset in zip(panels, datasets, strict=True):
        rows = shown[shown["dataset"] == dataset]
        for axes, (measure, heading) in zip(row, PANELS.items(), strict=True):
            low, value, high = (rows[f"{measure}{end}"] for end in ("_low", "", "_high"))
            axes.barh(
                rows["cell"],
                value,
                xerr=[value - low, high - value],
                color=[styles[method].colour for method in rows["method"]],
                error_kw={"lw": 0.8},
                height=0.7,
            )
            axes.axvline(1, color="#000000", lw=0.8, ls="--")
            axes.tick_params(labelsize="small")
            axes.spines[["top", "right"]].set_visible(False)
            if dataset == datasets[0]:
                axes.set_title(fill(heading, 16), fontsize="small")
            if dataset == datasets[-1]:
                axes.set_xlabel("times less", fontsize="small")
        row[0].set_ylabel(titled(dataset), fontsize="small")
        row[0].invert_yaxis()
    return figure


def energy_range(dataflows: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """The ratio of all energy under every assumption: a panel per dataset and reference.

    dataflows  `results.sensitivity.dataflow_table`
    cells      cell, method, setting

    Points are assumptions, means over seeds; lines span them.
    """
    quantized = cells[cells["setting"].notna() & cells["cell"].map(is_plain)]
    shown, styles = dataflows.merge(quantized[["cell", "method"]], on="cell"), _styles(quantized)
    datasets, names = list(dataflows["dataset"].unique()), list(quantized["cell"])
    panel = max(1.6, 0.3 + 0.16 * len(names))  # inches
    figure = Figure(figsize=(9, 1.4 + len(datasets) * panel), layout="constrained")
    figure.suptitle(f"How many times less energy than {FLOAT_TUNED}, by what memory is assumed")
    panels = figure.subplots(
        len(datasets), len(REFERENCES), squeeze=False, sharey="row", sharex="col"
    )
    for row, dataset in zip(panels, datasets, strict=True):
        rows = shown[shown["dataset"] == dataset]
        for axes, reference in zip(row, REFERENCES, strict=True):
            for place, name in enumerate(names):
                own = rows[rows["cell"] == name]
                _draw_range(axes, own, measure_of(RANGED, reference), place, styles)
            for factor in rows["paper_energy"].dropna().unique():
                axes.axvline(factor, color=GREY, lw=1.2, ls=":", zorder=0)
            axes.axvline(1, color="#000000", lw=0.8, ls="--", zorder=0)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(labelsize="small")
            axes.spines[["top", "right"]].set_visible(False)
            if dataset == datasets[0]:
                axes.set_title(f"against {reference}", fontsize="small")
            if dataset == datasets[-1]:
                axes.set_xlabel("times less (log)", fontsize="small")
        row[0].set_yticks(np.arange(len(names)), names)
        row[0].set_ylabel(titled(dataset), fontsize="small")
        row[0].invert_yaxis()
    marks = {
        "as the views assume (Lemaire 2022)": Line2D([], [], color=GREY, marker="D", ls="none"),
        "another assumption": Line2D([], [], color=GREY, marker="|", ls="none"),
        "the paper's factor": Line2D([], [], color=GREY, ls=":"),
        "no saving": Line2D([], [], color="#000000", ls="--", lw=0.8),
    }
    handles, told = list(marks.values()), list(marks)
    figure.legend(handles, told, loc="outside lower center", ncols=4, fontsize="small")
    return figure


def _draw_range(
    axes: Axes, rows: pd.DataFrame, measure: str, place: int, styles: dict[str, Style]
) -> None:
    """The ratios of one network under all assumptions, and among them that of the views."""
    if rows.empty:
        return
    colour, values = styles[rows["method"].iloc[0]].colour, rows[measure]
    named = (rows[list(NAMED._fields)] == pd.Series(NAMED._asdict())).all(axis=1)
    axes.plot([values.min(), values.max()], [place, place], color=colour, lw=2)
    axes.plot(values, [place] * len(values), "|", color=colour, markersize=6, mew=0.8)
    axes.plot(values[named], [place], "D", color=colour, markersize=5, mec="#000000", mew=0.5)


FIGURES = {
    "energy": Picture(
        lambda of: energy_views(of.energy, of.cells),
        "Energy under each view",
        "How many times less energy than float every network takes under five views, with float "
        "charged in fp32, then under three of them in fp16 and as 8-bit weights, by dataset. The "
        "table of energy has the numbers.",
    ),
    "energy-range": Picture(
        lambda of: energy_range(of.dataflows, of.cells),
        "Energy under each assumption about memory",
        "The range of every network's energy ratio, operations and memory together, over all "
        "assumptions about where potentials and weights are and how wide potentials are, by "
        "dataset, against float charged in fp32, fp16 and as 8-bit weights. A mark tells the "
        "assumptions of the views, a dotted line the paper's factor. The table of dataflows has "
        "the numbers.",
    ),
}

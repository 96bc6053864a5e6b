"""Energy under each view."""

from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure

from hetspike.cost.energy import ENERGY_VIEWS, INT8, INT8_VIEWS
from hetspike.names import FLOAT_TUNED
from hetspike.results.figures.style import Picture, style_of, titled

# columns of panels: a measure of `results.cost_tables.energy_table`, and its heading
PANELS = {f"energy_{name}": view.heading for name, view in ENERGY_VIEWS.items()} | {
    f"energy_{name}_{INT8}": f"{ENERGY_VIEWS[name].heading}, against {INT8}" for name in INT8_VIEWS
}
WIDTH = 1.45  # of a panel, inches


def energy_views(energy: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """Energy saved, a row of panels per dataset: a column per view against float, then int8.

    energy  `results.cost_tables.energy_table`
    cells   cell, method, setting, distilled

    Bars end at the mean, lines span the seeds.
    """
    quantized = cells[cells["setting"].notna() & ~cells["distilled"]]
    shown = quantized[["cell", "method"]].merge(energy, on="cell")
    datasets, methods = list(energy["dataset"].unique()), list(quantized["method"].unique())
    styles = {method: style_of(method, methods) for method in methods}
    panel = max(1.6, 0.3 + 0.16 * len(quantized))  # inches
    figure = Figure(
        figsize=(1.6 + WIDTH * len(PANELS), 1.2 + len(datasets) * panel), layout="constrained"
    )
    figure.suptitle(
        f"How many times less energy than {FLOAT_TUNED}, under five views; then "
        f"than its operations at 8-bit weights ({INT8})"
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


FIGURES = {
    "energy": Picture(
        lambda of: energy_views(of.energy, of.cells),
        "Energy under each view",
        "How many times less energy than float every network takes under five views, and under "
        "three of them than float's operations at 8-bit weights, by dataset. The table of energy "
        "has the numbers.",
    )
}

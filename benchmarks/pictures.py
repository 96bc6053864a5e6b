"""The pictures of docs/PERFORMANCE.md, in the colours of the study's figures."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from hetspike.results.figures.style import STYLES

KERNELS, MODULES, PEER = (STYLES[name].colour for name in ("uniform", "sensitivity", "pot"))
LAW = STYLES["random"].colour


def colour_of(kind: str) -> str:
    """Return the colour of ours by kernels, ours by modules, or a peer."""
    if kind.startswith("kernels") or kind == "hetspike":
        return KERNELS
    return MODULES if kind == "modules" else PEER


def _bars(axes: Axes, rows: pd.DataFrame, value: str, label: str, most: int) -> None:
    """Draw a bar for each kind, with its number; bars are as thick as if there were `most`."""
    places = -np.arange(len(rows))
    bars = axes.barh(places, rows[value], color=[*map(colour_of, rows["kind"])], height=0.7)
    axes.bar_label(bars, rows[value].map(label.format), padding=3, fontsize="small")
    axes.set_yticks(places, rows["kind"], fontsize="small")
    axes.set_xlim(0, 1.2 * rows[value].max())
    axes.set_ylim(0.5 - most, 0.5)
    axes.tick_params(axis="x", labelsize="small")
    axes.spines[["top", "right"]].set_visible(False)


def of_steps(steps: pd.DataFrame) -> Figure:
    """Draw the milliseconds of a step, a panel for each task."""
    tasks, most = list(steps["task"].unique()), steps["task"].value_counts().max()
    figure = Figure(figsize=(9, 6), layout="constrained")
    for axes, task in zip(figure.subplots(math.ceil(len(tasks) / 2), 2).flat, tasks, strict=True):
        rows = steps[steps["task"] == task]
        _bars(axes, rows.assign(ms=1e3 * rows["seconds"]), "ms", "{:.0f}", most)
        axes.set_title(task, fontsize="medium")
        axes.set_xlabel("milliseconds of one thread", fontsize="small")
    return figure


def of_frames(frames: pd.DataFrame) -> Figure:
    """Draw the events that become frames in a second, a panel for each stand-in."""
    datasets = list(frames["dataset"].unique())
    figure = Figure(figsize=(9, 1.8), layout="constrained")
    for axes, dataset in zip(figure.subplots(1, len(datasets)), datasets, strict=True):
        _bars(axes, frames[frames["dataset"] == dataset], "millions", "{:.0f}", 2)
        axes.set_title(dataset, fontsize="medium")
        axes.set_xlabel("million events a second", fontsize="small")
    return figure


def of_scaling(scaling: pd.DataFrame, value: str, law: str, unit: str) -> Figure:
    """Draw what grows with each factor, and the law that one expects, from the first point on."""
    factors = list(scaling["factor"].unique())
    figure = Figure(figsize=(10, 5), layout="constrained")
    panels = list(figure.subplots(2, math.ceil(len(factors) / 2)).flat)
    for axes, factor in zip(panels, factors, strict=False):
        rows = scaling[scaling["factor"] == factor]
        sizes, measured = rows["value"].to_numpy(float), rows[value].to_numpy(float)
        expected = measured[0] * (sizes / sizes[0]) ** rows[law].iloc[0]
        axes.plot(sizes, expected, color=LAW, ls="--", lw=1.2, label="law")
        axes.plot(sizes, measured, color=KERNELS, marker="o", lw=1.4, label="measured")
        _logarithmic(axes, sizes, np.concatenate([measured, expected]))
        axes.set_title(factor, fontsize="medium")
        axes.set_ylabel(unit, fontsize="small")
    for axes in panels[len(factors) :]:
        axes.axis("off")
        axes.legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False)
    return figure


def _logarithmic(axes: Axes, sizes: np.ndarray, values: np.ndarray) -> None:
    """Scale both axes so that a power is a straight line, of the same slope in every panel."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(sizes)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(values.min() / 2, 2 * values.max())
    axes.grid(color="#DDDDDD", lw=0.5)
    axes.tick_params(labelsize="small")
    axes.spines[["top", "right"]].set_visible(False)

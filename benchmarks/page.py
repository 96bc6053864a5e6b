"""docs/PERFORMANCE.md, from the rows of the benchmarks."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from pictures import of_frames, of_scaling, of_steps

from hetspike.atomic import beside
from hetspike.results.figures.style import rendered

TEMPLATE = Path(__file__).parent / "PERFORMANCE.md.jinja"
PACKAGES = ("hetspike", "torch", "numba", "numpy", "spikingjelly", "brevitas", "tonic")


def write(found: Mapping[str, Sequence[Any]], folder: Path, *, minutes: float) -> Path:
    """Write the page into a folder, and its pictures into `performance` beside it.

    found  the rows of each benchmark, by its name
    """
    tables = {name: pd.DataFrame(rows) for name, rows in found.items()}
    steps, peak = _steps(tables["steps"].iloc[:-1]), tables["steps"].iloc[-1]
    scaling = _scaling(tables["scaling"])
    framing = tables["framing"].assign(millions=lambda of: of["events"] / of["seconds"] / 1e6)
    searches, integers, cache = (tables[name] for name in ("searches", "integers", "frame_cache"))
    paper, study = tables["paper_size"].iloc[:-1], tables["paper_size"].iloc[-1]
    pictures = {
        "steps": of_steps(steps),
        "time": of_scaling(scaling, "ms", "time_law", "milliseconds"),
        "memory": of_scaling(scaling, "mebibytes", "memory_law", "MiB"),
        "frames": of_frames(framing),
    }
    (folder / "performance").mkdir(parents=True, exist_ok=True)
    for name, figure in pictures.items():
        with beside(str(folder / f"performance/{name}.png")) as part:
            part.write_bytes(rendered(figure, "png"))
    template = jinja2.Template(TEMPLATE.read_text(), undefined=jinja2.StrictUndefined)
    text = template.render(
        minutes=minutes,
        machine=_markdown(pd.DataFrame(_machine().items(), columns=["", "this run"]), names=2),
        steps=_markdown(_steps_shown(steps), names=2),
        peak=peak["flop_a_second"],
        not_zero=peak["not_zero"],
        scaling=_markdown(_scaling_shown(scaling)),
        qat=searches["seconds"].iloc[0],
        searches=_markdown(_searches_shown(searches.iloc[1:])),
        classified=integers["recordings"].iloc[0],
        integers=_markdown(_integers_shown(integers)),
        framing=_markdown(_framing_shown(framing)),
        stored=cache["recordings"].iloc[0],
        cache=_markdown(_cache_shown(cache)),
        batch=int(paper["batch"].iloc[0]),
        paper=_markdown(_paper_shown(paper)),
        hours=study["hours"],
    )
    page = folder / "PERFORMANCE.md"
    with beside(str(page)) as part:
        part.write_text(text.strip() + "\n")
    return page


def _markdown(table: pd.DataFrame, names: int = 1) -> str:
    """Return a table of texts as Markdown; the first columns are names, the others numbers."""
    sides = ["left"] * names + ["right"] * (table.shape[1] - names)
    return table.to_markdown(index=False, disable_numparse=True, colalign=sides)


def _machine() -> dict[str, str]:
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "Processor": model[1] if model else platform.machine(),
        "Cores": str(os.cpu_count()),
        "Memory": f"{memory / 2**30:.1f} GiB",
        "System": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.release()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _steps(steps: pd.DataFrame) -> pd.DataFrame:
    """Add how many times the kernels' time a step takes; dnas has two kinds of steps."""
    ours = steps[steps["kind"].str.startswith("kernels")].groupby("task")["seconds"].mean()
    times = steps["seconds"] / steps["task"].map(ours)
    return steps.assign(ms=1e3 * steps["seconds"], times=times)


def _scaling(scaling: pd.DataFrame) -> pd.DataFrame:
    """Add milliseconds and MiB; less than one of these is lost in that of the libraries."""
    mebibytes = (scaling["memory"] / 2**20).clip(lower=1)
    return scaling.assign(ms=1e3 * scaling["seconds"], mebibytes=mebibytes)


def _steps_shown(steps: pd.DataFrame) -> pd.DataFrame:
    quartiles = zip(1e3 * steps["low"], 1e3 * steps["high"], strict=True)
    return pd.DataFrame(
        {
            "Step": steps["task"],
            "By": steps["kind"],
            "ms": steps["ms"].map("{:.1f}".format),
            "Quartiles": [f"{low:.1f} to {high:.1f}" for low, high in quartiles],
            "Times ours": steps["times"].map("{:.2f}".format),
            "Dense GFLOP": (steps["flop"] / 1e9).map("{:.1f}".format),
            "Share of peak": (100 * steps["share"]).map("{:.0f} %".format),
        }
    )


def _exponent(sizes: pd.Series, values: pd.Series) -> float:
    """Fit the power of the size by least squares of logarithms."""
    logarithms = np.log(sizes.to_numpy(float)), np.log(values.to_numpy(float))
    return float(np.polyfit(*logarithms, 1)[0]) if len(sizes) > 1 else np.nan


def _scaling_shown(scaling: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for factor, of in scaling.groupby("factor", sort=False):
        first, last = of.iloc[0], of.iloc[-1]
        rows.append(
            {
                "Factor": factor,
                "From, to": f"{first['value']} to {last['value']}",
                "ms": f"{first['ms']:,.0f} to {last['ms']:,.0f}",
                "Time, exponent": f"{_exponent(of['value'], of['ms']):.2f}",
                "Time, law": f"{first['time_law']:g}",
                "MiB": f"{first['mebibytes']:,.0f} to {last['mebibytes']:,.0f}",
                "Memory, exponent": f"{_exponent(of['value'], of['mebibytes']):.2f}",
                "Memory, law": f"{first['memory_law']:g}",
            }
        )
    return pd.DataFrame(rows)


def _searches_shown(searches: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Search": searches["search"],
            "Candidates": searches["candidates"].map(str),
            "Seconds": searches["seconds"].map("{:.1f}".format),
            "Of a QAT run": searches["of_qat"].map("{:.2f}".format),
        }
    )


def _integers_shown(integers: pd.DataFrame) -> pd.DataFrame:
    smaller = integers["bytes"].iloc[0] / integers["bytes"]
    return pd.DataFrame(
        {
            "Network": integers["kind"],
            "Bytes": integers["bytes"].map("{:,}".format),
            "Times smaller": smaller.map("{:.1f}".format),
            "Seconds": integers["seconds"].map("{:.2f}".format),
        }
    )


def _framing_shown(framing: pd.DataFrame) -> pd.DataFrame:
    by_kind = framing.pivot(index="dataset", columns="kind", values="millions")
    counts = framing.drop_duplicates("dataset").set_index("dataset").reindex(by_kind.index)
    return pd.DataFrame(
        {
            "Recordings of": by_kind.index,
            "Events each": (counts["events"] / counts["recordings"]).map("{:,.0f}".format),
            **{kind: by_kind[kind].map("{:.1f} M/s".format) for kind in ("hetspike", "tonic")},
            "Times as fast": (by_kind["hetspike"] / by_kind["tonic"]).map("{:.1f}".format),
        }
    )


def _cache_shown(cache: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Frames in a": cache["kind"],
            "MB": (cache["bytes"] / 1e6).map("{:.0f}".format),
            "Recordings a second": cache["recordings_a_second"].map("{:.0f}".format),
        }
    )


def _paper_shown(paper: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "A step of training": paper["kind"],
            "Seconds": paper["seconds"].map("{:.1f}".format),
            "Recordings a second": (paper["batch"] / paper["seconds"]).map("{:.1f}".format),
            "Peak memory": (paper["peak"] / 2**30).map("{:.1f} GiB".format),
        }
    )

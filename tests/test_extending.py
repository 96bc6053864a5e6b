"""What CONTRIBUTING.md says of additions: each is one module and one entry of a registry.

A copy of the project gets a dataset, a scheme, a search, a network, an energy view, a table and two
figures of its own, and runs a small study with all of them.
"""

import csv
from pathlib import Path

import pytest
import yaml
from projects import ROOT, copy_project, long_run, snakemake_anew

MODULES = {
    "data/events/flashes.py": '''
"""Weak and strong flashes on a small sensor."""

import numpy as np

from hetspike.data.events.recordings import EVENT, Recordings, Splits


def flashes(*, train: int, validation: int, test: int, seed: int) -> Splits:
    """Few or many events, and so is the class; a group is a recording."""
    draw = np.random.default_rng(seed)
    splits, first = {}, 0
    for split, count in (("train", train), ("validation", validation), ("test", test)):
        labels = np.arange(count) % 2
        recordings = []
        for label in labels:
            count = 100 + 900 * label
            events = np.zeros(count, EVENT)
            for axis in ("x", "y"):
                events[axis] = draw.integers(0, 16, count)
            events["t"] = np.sort(draw.integers(0, 100_000, count))
            events["p"] = draw.integers(0, 2, count)
            recordings.append(events)
        groups = np.arange(first, first + len(labels))
        first += len(labels)
        splits[split] = Recordings.from_list(
            recordings, labels, groups, (16, 16), ("weak", "strong")
        )
    return splits
''',
    "quantization/halves.py": '''
"""Levels {0, ±0.5, ±1, ...}."""

from hetspike.quantization.levels import Levels, nearest


def halves(bits: int) -> Levels:
    return nearest([level / 2 for level in range(2 ** (bits - 1))])
''',
    "search/narrowest.py": '''
"""The narrowest candidates score best."""

import numpy as np


def scores(model, train, space, *, settings, seed, say=lambda line: None):
    found = [[-choice.bits * n for choice in space.candidates] for n in space.weights.values()]
    return np.array(found, float)
''',
    "networks/tiny.py": '''
"""A convolution, neurons and a classifier."""

from typing import Literal

from spikingjelly.activation_based import functional, layer
from torch import Tensor, nn

from hetspike.networks import Architecture
from hetspike.networks.spikformer import conv_bn_lif
from hetspike.settings import NetworkSettings


class TinySettings(NetworkSettings):
    architecture: Literal["tiny"]
    width: int

    @property
    def weights(self) -> int:
        return 18 * self.width

    def largest(self, height: int, width: int) -> int:
        return self.width * height * width


class Tiny(nn.Module):
    def __init__(self, classes: int, *, width: int) -> None:
        super().__init__()
        self.stage = conv_bn_lif(2, width)
        self.head = layer.Linear(width, classes, step_mode="m")

    def forward(self, frames: Tensor) -> Tensor:
        functional.reset_net(self)
        return self.head(self.stage(frames).mean((3, 4))).mean(0)


ARCHITECTURE = Architecture(Tiny)
''',
    "cost/wires.py": '''
"""One picojoule for every value that a layer takes in."""

import pandas as pd


def wires(row: pd.Series) -> float:
    return float(row["inputs"])
''',
    "results/present/rates.py": '''
"""Spike rates of networks."""

from hetspike.results.present.columns import NETWORK, Table

TABLES = {
    "rates": Table(
        lambda of: of.layers.groupby(["dataset", "cell"], sort=False)["rate"].mean().reset_index(),
        NETWORK | {"Spike rate": "{rate:.3f}"},
        "{stand_ins}Share of inputs that are not zero, mean over layers and seeds.",
    )
}
''',
    "results/figures/bars.py": '''
"""Accuracies, and weights of layers, as bars."""

from matplotlib.figure import Figure

from hetspike.results.figures.style import Picture, titled


def bars(names, heights, title: str) -> Figure:
    figure = Figure()
    figure.subplots().bar(names, heights)
    figure.suptitle(title)
    return figure


def accuracies(of, dataset: str) -> Figure:
    rows = of.results[of.results["dataset"] == dataset]
    return bars(rows["cell"], rows["accuracy"], titled(dataset))


FIGURES = {
    "bars-{dataset}": Picture(accuracies, "Accuracies on {dataset}", "A bar a row on {dataset}."),
    "weights": Picture(
        lambda of: bars(of.layers["layer"], of.layers["weights"], "Weights"),
        "Weights of layers",
        "A bar a layer.",
    ),
}
''',
}
ENTRIES = {
    "data/events/__init__.py": "from hetspike.data.events.flashes import flashes\n"
    'DATASETS["sim-flashes"] = flashes\n',
    "quantization/levels.py": "from hetspike.quantization.halves import halves\n"
    'SCHEMES["halves"] = Scheme(halves, range(2, 9))\n',
    "search/__init__.py": 'SEARCHES["narrowest"] = SearchSettings\n',
    "networks/__init__.py": "from hetspike.networks.tiny import TinySettings\n"
    'NETWORKS["tiny"] = TinySettings\n',
    "cost/energy.py": "from hetspike.cost.wires import wires\n"
    'ENERGY_VIEWS["wires"] = View(wires, "Wires", by_width=False)\n',
    "results/present/__init__.py": 'MODULES["rates"] = "rates"\n',
    "results/figures/__init__.py": 'MODULES |= {"bars-{dataset}": "bars", "weights": "bars"}\n',
}
RECIPE = {
    **{"epochs": 6, "warmup_epochs": 0.5, "batch_size": 8, "learning_rate": 0.01},
    **{"final_learning_rate": 1e-4, "weight_decay": 0.0, "label_smoothing": 0.0},
}
STUDY = {
    "study": "own",
    "seeds": [0],
    "datasets": {
        "sim-flashes": {
            "source": {"train": 32, "validation": 16, "test": 16, "seed": 0},
            "framing": {"steps": 2, "slice_by": "time"},
            "network": {"architecture": "tiny", "width": 8},
        }
    },
    "float_training": RECIPE,
    "qat": RECIPE | {"epochs": 2},
    "boundary_layers": "searched",
    "schemes": {"uniform": [3], "halves": [3]},
    "candidates": {"uniform": [2, 3, 4], "halves": [3]},
    "searches": {"narrowest": {"search": "narrowest", "budgets": [3.0], "settings": {}}},
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    project = copy_project(ROOT, tmp_path_factory.mktemp("extended") / "project")
    package = project / "src/hetspike"
    for name, code in MODULES.items():
        (package / name).write_text(code.lstrip())
    for name, entry in ENTRIES.items():
        with (package / name).open("a") as registry:
            registry.write(entry)
    (project / "own.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    done = snakemake_anew(project, "--cores", "2", "--configfile", "own.yaml")
    assert done.returncode == 0, done.stdout
    return project / "results/own/tables"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@long_run
def test_a_study_of_additions_runs_to_its_tables(tables):
    rows = rows_of(tables / "results.csv")
    cells = ["float", "float-tuned", "uniform-3", "halves-3", "narrowest-3"]
    assert [(row["dataset"], row["cell"]) for row in rows] == [("sim-flashes", c) for c in cells]
    assert all(float(row["accuracy"]) > 90 for row in rows[:2])


@long_run
def test_a_new_energy_view_has_its_columns_and_its_heading(tables):
    rows = {row["cell"]: row for row in rows_of(tables / "energy.csv")}
    assert float(rows["halves-3"]["energy_wires"]) == 1  # no weight changes what comes in
    assert "wires_pj" in rows["float"] and "energy_wires_int8" not in rows["float"]
    assert "| Wires" in (tables / "energy.md").read_text()


@long_run
def test_a_new_scheme_and_search_are_drawn(tables):
    figures = {path.name for path in (tables.parent / "figures").glob("*.png")}
    assert {"assignments-narrowest.png", "accuracy-sim-flashes.png", "energy.png"} <= figures


@long_run
def test_a_new_network_is_packed_and_not_run_on_integers(tables):
    integer = rows_of(tables / "integer.csv")
    assert [row["cell"] for row in integer] == []
    packed = tables.parent / "packed/sim-flashes/0/halves-3.safetensors"
    assert b'"architecture":"tiny"' in packed.read_bytes().replace(b"\\", b"")


@long_run
def test_a_new_table_is_written_in_every_form_and_reported(tables):
    rows = rows_of(tables / "rates.csv")
    assert [row["cell"] for row in rows][:2] == ["float", "float-tuned"]
    assert all(0 < float(row["rate"]) < 1 for row in rows)
    assert "| Spike rate" in (tables / "rates.md").read_text()
    assert "Spike rate" in (tables / "rates.tex").read_text()
    assert "Spike rate" in (tables.parent / "report.html").read_text()


@long_run
def test_new_figures_are_drawn_and_reported(tables):
    figures = tables.parent / "figures"
    assert {path.name for path in figures.glob("bars*.p??")} == {
        *("bars-sim-flashes.pdf", "bars-sim-flashes.png")
    }
    page = (tables.parent / "report.html").read_text()
    assert "Accuracies on sim-flashes" in page and "A bar a row on sim-flashes." in page
    assert "Weights of layers" in page and (figures / "weights.png").exists()

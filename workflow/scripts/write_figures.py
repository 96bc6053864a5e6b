"""All figures of a study, each as PNG and PDF."""

from itertools import groupby
from pathlib import Path

import pandas as pd
from histories import read_histories
from jobs import Named, Say
from reading import read_table
from splits import read_split

from hetspike.atomic import sealed
from hetspike.networks import load
from hetspike.results.figures import drawn_in
from hetspike.results.figures.style import Measured, rendered


def with_short_names(table: pd.DataFrame, architectures: Named) -> pd.DataFrame:
    """The part and the short name of each layer, as the architecture of its dataset tells.

    Operations that hold no weights have none.
    """
    return pd.concat(
        _named(rows, architectures[dataset])
        for dataset, rows in table.groupby("dataset", sort=False)
    )


def _named(rows: pd.DataFrame, architecture: str) -> pd.DataFrame:
    shown = rows[rows["weights"] > 0] if "weights" in rows else rows
    layers = list(shown["layer"].unique())
    names = load(architecture).layer_names(layers)
    named = pd.DataFrame(names, index=layers, columns=["part", "short_name"])
    return rows.join(named, on="layer")


def main(*, input: Named, output: Named, params: Named, say: Say) -> None:
    labels = params["labels"]
    layers = pd.concat(map(read_table, input["layers"]), ignore_index=True)
    architectures = {labels[dataset]: each for dataset, each in params["architectures"].items()}
    histories = read_histories(input["histories"], params["networks"])
    recorded = {
        labels[dataset]: (path, dataset, "train", params["sources"][dataset])
        for dataset, path in zip(labels, input["recordings"], strict=True)
    }
    measured = Measured(
        results=read_table(input["results"], gaps=None),
        energy=read_table(input["energy"], gaps=None),
        dataflows=read_table(input["dataflows"], gaps=None),
        firing=with_short_names(read_table(input["firing"], gaps=None), architectures),
        layers=with_short_names(layers.replace({"dataset": labels}), architectures),
        histories=histories.replace({"dataset": labels}),
        cells=pd.DataFrame(params["cells"]).rename(columns={"name": "cell"}),
        recordings=lambda dataset: read_split(*recorded[dataset]),
    )
    by_name = groupby(map(Path, output["figures"]), lambda path: path.stem)
    files = {name: [*paths] for name, paths in by_name}
    for name, paths in files.items():
        picture, of = drawn_in(name)
        if "dataset" in of:
            of["dataset"] = labels[of["dataset"]]
        figure = picture.draw(measured, **of)
        for path in paths:
            with sealed(path) as part:
                part.write_bytes(rendered(figure, path.suffix[1:]))
    say(f"{len(files)} figures")

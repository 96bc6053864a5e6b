"""Training, accuracy against bits, what searches chose for each layer, energy, spike rates."""

from pathlib import Path

import pandas as pd
from jobs import Named, Say, run
from reading import read_table

from hetspike.atomic import sealed
from hetspike.networks import load
from hetspike.results.figures.accuracy import accuracy_against_bits
from hetspike.results.figures.energy import energy_views
from hetspike.results.figures.layers import assignments, spike_rates
from hetspike.results.figures.style import rendered
from hetspike.results.figures.training import training_curves
from hetspike.training.history import Epoch


def with_short_names(rows: pd.DataFrame, architecture: str) -> pd.DataFrame:
    """The part and the short name of each layer that holds weights, as its architecture tells."""
    layers = list(rows.loc[rows["weights"] > 0, "layer"].unique())
    names = load(architecture).layer_names(layers)
    named = pd.DataFrame(names, index=layers, columns=["part", "short_name"])
    return rows.join(named, on="layer")


def main(*, input: Named, output: Named, params: Named, say: Say) -> None:
    results = read_table(input["results"], gaps=None)
    layers = pd.concat(map(read_table, input["layers"]), ignore_index=True)
    layers = pd.concat(
        with_short_names(rows, params["architectures"][dataset])
        for dataset, rows in layers.groupby("dataset", sort=False)
    )
    layers = layers.replace({"dataset": params["labels"]})
    cells = pd.DataFrame(params["cells"]).rename(columns={"name": "cell"})
    histories = pd.concat(
        [
            read_table(path, Epoch._fields).assign(dataset=dataset, seed=seed, cell=cell)
            for (dataset, seed, cell), path in zip(
                params["networks"], input["histories"], strict=True
            )
        ],
        ignore_index=True,
    )
    made = {
        **{
            f"training-{dataset}": training_curves(
                rows.replace({"dataset": params["labels"]}), cells
            )
            for dataset, rows in histories.groupby("dataset")
        },
        **{
            f"accuracy-{dataset}": accuracy_against_bits(results[results["dataset"] == label])
            for dataset, label in params["labels"].items()
        },
        **{
            f"assignments-{search}": assignments(layers, cells, search)
            for search in params["searches"]
        },
        "energy": energy_views(read_table(input["energy"], gaps=None), cells),
        "spike-rates": spike_rates(layers, cells),
    }
    for path in map(Path, output["figures"]):
        with sealed(path) as part:
            part.write_bytes(rendered(made[path.stem], path.suffix[1:]))
    say(f"{len(made)} figures")


if "snakemake" in globals():
    run(main, snakemake)

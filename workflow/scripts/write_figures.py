"""Training, accuracy against bits, what searches chose for each layer, energy, spike rates."""

from pathlib import Path

import pandas as pd
from jobs import job
from reading import read_table

from hetspike.figures.accuracy import accuracy_against_bits
from hetspike.figures.energy import energy_views
from hetspike.figures.layers import assignments, spike_rates
from hetspike.figures.style import rendered
from hetspike.figures.training import training_curves
from hetspike.files import sealed
from hetspike.history import Epoch

with job(snakemake):
    results = read_table(snakemake.input.results, gaps=None)
    layers = pd.concat(map(read_table, snakemake.input.layers), ignore_index=True)
    layers = layers.replace({"dataset": snakemake.params.labels})
    cells = pd.DataFrame(snakemake.params.cells).rename(columns={"name": "cell"})
    histories = pd.concat(
        [
            read_table(path, Epoch._fields).assign(dataset=dataset, seed=seed, cell=cell)
            for (dataset, seed, cell), path in zip(
                snakemake.params.networks, snakemake.input.histories, strict=True
            )
        ],
        ignore_index=True,
    )
    made = {
        **{
            f"training-{dataset}": training_curves(
                rows.replace({"dataset": snakemake.params.labels}), cells
            )
            for dataset, rows in histories.groupby("dataset")
        },
        **{
            f"accuracy-{dataset}": accuracy_against_bits(results[results["dataset"] == label])
            for dataset, label in snakemake.params.labels.items()
        },
        **{
            f"assignments-{search}": assignments(layers, cells, search)
            for search in snakemake.params.searches
        },
        "energy": energy_views(read_table(snakemake.input.energy, gaps=None), cells),
        "spike-rates": spike_rates(layers, cells),
    }
    for output in map(Path, snakemake.output):
        with sealed(output) as part:
            part.write_bytes(rendered(made[output.stem], output.suffix[1:]))

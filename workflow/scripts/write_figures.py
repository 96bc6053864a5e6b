"""Training, accuracy against bits, what searches chose for each layer, energy, spike rates."""

from pathlib import Path

import pandas as pd
from jobs import beside, job

from hetspike.figures.accuracy import accuracy_against_bits
from hetspike.figures.energy import energy_views
from hetspike.figures.layers import assignments, spike_rates
from hetspike.figures.style import rendered
from hetspike.figures.training import training_curves

with job(snakemake):
    results = pd.read_csv(snakemake.input.results)
    layers = pd.concat(map(pd.read_csv, snakemake.input.layers), ignore_index=True)
    layers = layers.replace({"dataset": snakemake.params.labels})
    cells = pd.DataFrame(snakemake.params.cells).rename(columns={"name": "cell"})
    histories = pd.concat(
        [
            pd.read_csv(path).assign(dataset=dataset, seed=seed, cell=cell)
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
        "energy": energy_views(pd.read_csv(snakemake.input.energy), cells),
        "spike-rates": spike_rates(layers, cells),
    }
    for output in map(Path, snakemake.output):
        with beside(output) as part:
            part.write_bytes(rendered(made[output.stem], output.suffix[1:]))

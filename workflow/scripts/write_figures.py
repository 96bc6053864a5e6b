"""Accuracy against effective bits, what every search chose for each layer, energy by view."""

from pathlib import Path

import pandas as pd
from jobs import beside, job

from hetspike.figures import accuracy_against_bits, assignments, energy_views, png

with job(snakemake):
    results = pd.read_csv(snakemake.input.results)
    layers = pd.concat(map(pd.read_csv, snakemake.input.layers), ignore_index=True)
    layers = layers.replace({"dataset": snakemake.params.labels})
    cells = pd.DataFrame(snakemake.params.cells).rename(columns={"name": "cell"})
    made = {
        f"accuracy-{dataset}": accuracy_against_bits(results[results["dataset"] == label])
        for dataset, label in snakemake.params.labels.items()
    } | {
        f"assignments-{search}": assignments(layers, cells, search)
        for search in snakemake.params.searches
    }
    made["energy"] = energy_views(pd.read_csv(snakemake.input.energy), cells)
    for output in snakemake.output:
        with beside(output) as part:
            part.write_bytes(png(made[Path(output).stem]))

"""Every trained network of one dataset and seed as a file to ship."""

from pathlib import Path

import pandas as pd
from jobs import beside, job
from training import read_samples

from hetspike.checkpoint import load_trained
from hetspike.packing import EXAMPLES, pack

with job(snakemake) as say:
    samples = read_samples(snakemake.input.validation)
    example = samples.frames[:EXAMPLES].transpose(0, 1).float()
    for cell, network, history, output in zip(
        snakemake.params.configurations,
        snakemake.input.networks,
        snakemake.input.histories,
        snakemake.output,
        strict=True,
    ):
        model, about = load_trained(Path(network).read_bytes())
        packed = pack(
            model,
            example,
            network=about["network"],
            classes=about["classes"],
            dataset=snakemake.wildcards.dataset,
            row=cell,
            seed=int(snakemake.wildcards.seed),
            validation_accuracy=float(pd.read_csv(history)["validation_accuracy"].max()),
            configuration=snakemake.params.configurations[cell],
        )
        with beside(output) as part:
            part.write_bytes(packed)
    say(f"{len(snakemake.output)} networks")

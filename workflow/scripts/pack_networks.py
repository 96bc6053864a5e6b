"""Every trained network of one dataset and seed as a file to ship, its selected epoch, too."""

from pathlib import Path

import pandas as pd
from jobs import beside, job
from training import read_samples

from hetspike.checkpoint import load_trained
from hetspike.history import selected
from hetspike.packing import EXAMPLES, pack

with job(snakemake) as say:
    samples = read_samples(snakemake.input.validation)
    example = samples.frames[:EXAMPLES].transpose(0, 1).float()

    def pack_one(kind, number, cell, validation_accuracy):
        model, about = load_trained(Path(snakemake.input[kind][number]).read_bytes())
        packed = pack(
            model,
            example,
            network=about["network"],
            classes=about["classes"],
            dataset=snakemake.wildcards.dataset,
            row=cell,
            seed=int(snakemake.wildcards.seed),
            validation_accuracy=float(validation_accuracy),
            configuration=snakemake.params.configurations[cell],
        )
        with beside(snakemake.output[kind][number]) as part:
            part.write_bytes(packed)

    for number, cell in enumerate(snakemake.params.configurations):
        history = pd.read_csv(snakemake.input.histories[number])
        pack_one("networks", number, cell, history["validation_accuracy"].iloc[-1])
        pack_one("selected", number, cell, selected(history)["validation_accuracy"])
    say(f"{len(snakemake.output.networks)} networks")

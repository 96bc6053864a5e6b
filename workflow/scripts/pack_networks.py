"""Every trained network of one dataset and seed as a file to ship, its selected epoch, too."""

from pathlib import Path

from framed import read_samples
from jobs import job
from reading import network_of, read_table

from hetspike.atomic import beside
from hetspike.packed.checkpoint import load_trained
from hetspike.packed.packing import EXAMPLES, pack
from hetspike.training.history import Epoch, selected

with job(snakemake) as say:
    samples = read_samples(snakemake.input.validation)
    example = samples.frames[:EXAMPLES].transpose(0, 1).float()

    def pack_one(kind, number, cell, validation_accuracy):
        path = snakemake.input[kind][number]
        with network_of(path):
            model, about = load_trained(Path(path).read_bytes())
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
        history = read_table(snakemake.input.histories[number], Epoch._fields)
        pack_one("networks", number, cell, history["validation_accuracy"].iloc[-1])
        pack_one("selected", number, cell, selected(history)["validation_accuracy"])
    say(f"{len(snakemake.output.networks)} networks")

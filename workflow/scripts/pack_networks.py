"""Every trained network of one dataset and seed as a file to ship, its selected epoch, too."""

from pathlib import Path

from framed import read_samples
from jobs import Named, Say, run
from reading import network_of, read_table

from hetspike.atomic import beside
from hetspike.packed.checkpoint import load_trained
from hetspike.packed.packing import EXAMPLES, pack
from hetspike.training.history import Epoch, selected


def main(*, input: Named, output: Named, params: Named, wildcards: Named, say: Say) -> None:
    samples = read_samples(input["validation"])
    example = samples.frames[:EXAMPLES].transpose(0, 1).float()

    def pack_one(source: str, target: str, cell: str, validation_accuracy: float) -> None:
        with network_of(source):
            model, about = load_trained(Path(source).read_bytes())
        packed = pack(
            model,
            example,
            network=about["network"],
            classes=about["classes"],
            dataset=wildcards["dataset"],
            row=cell,
            seed=int(wildcards["seed"]),
            validation_accuracy=float(validation_accuracy),
            configuration=params["configurations"][cell],
        )
        with beside(target) as part:
            part.write_bytes(packed)

    for number, cell in enumerate(params["configurations"]):
        history = read_table(input["histories"][number], Epoch._fields)
        last, best = history.iloc[-1], selected(history)
        for kind, epoch in (("networks", last), ("selected", best)):
            accuracy = epoch["validation_accuracy"]
            pack_one(input[kind][number], output[kind][number], cell, accuracy)
    say(f"{len(output['networks'])} networks")


if "snakemake" in globals():
    run(main, snakemake)

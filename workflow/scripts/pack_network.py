"""A trained network as a file to ship, and that of its selected epoch."""

from pathlib import Path

import pandas as pd
from framed import read_samples
from jobs import Named, Say
from reading import network_of, read_table

from hetspike.atomic import beside
from hetspike.packed.checkpoint import load_trained
from hetspike.packed.packing import EXAMPLES, pack
from hetspike.training.history import Epoch, selected


def main(*, input: Named, output: Named, params: Named, wildcards: Named, say: Say) -> None:
    samples = read_samples(input["validation"])
    example = samples.frames[:EXAMPLES].transpose(0, 1).float()

    def packed(kind: str, epoch: pd.Series) -> bytes:
        with network_of(input[kind]):
            model, about = load_trained(Path(input[kind]).read_bytes())
        return pack(
            model,
            example,
            network=about["network"],
            classes=about["classes"],
            dataset=wildcards["dataset"],
            row=wildcards["row"],
            seed=int(wildcards["seed"]),
            validation_accuracy=float(epoch["validation_accuracy"]),
            configuration=params["configuration"],
        )

    history = read_table(input["history"], Epoch._fields)
    last, chosen = history.iloc[-1], selected(history)
    network = packed("network", last)
    of_selected = network if chosen["epoch"] == last["epoch"] else packed("selected", chosen)
    for kind, content in {"network": network, "selected": of_selected}.items():
        with beside(output[kind]) as part:
            part.write_bytes(content)
    say(f"{Path(output['network']).stat().st_size} bytes")

"""Every packed network of one dataset and seed on the test recordings: what it says and takes."""

from pathlib import Path

import numpy as np
import pandas as pd
from framed import read_samples
from jobs import Named, Say, run, write_text
from numpy.typing import NDArray
from reading import network_of, read_arrays

from hetspike.cost.operations import predict_and_count
from hetspike.data.samples import Samples
from hetspike.inspection.inference import logits_of
from hetspike.names import LINEAR
from hetspike.packed.engine import Engine, runs_on_integers
from hetspike.packed.packing import load_packed
from hetspike.training.linear import counts, predict_linear

MEASURED = ["cell", "packed_bytes", "accuracy", "agreement", "integer_accuracy"]


def selected_predictions(
    content: bytes, selected: str, predicted: NDArray, test: Samples
) -> NDArray:
    """What the network of the selected epoch says; nothing new where that was the last one."""
    if (selected_content := Path(selected).read_bytes()) == content:
        return predicted
    with network_of(selected):
        network, _ = load_packed(selected_content)
    return logits_of(network, test).argmax(1).numpy()


def main(*, input: Named, output: Named, params: Named, wildcards: Named, say: Say) -> None:
    test = read_samples(input["test"])
    labels = test.labels.numpy()
    groups = read_arrays(input["events"], "groups")["groups"]
    base = pd.DataFrame({"recording": np.arange(len(labels)), "group": groups, "label": labels})
    predictions, layers, networks = [], [], []

    def add_predictions(cell: str, predicted: NDArray, selected: NDArray) -> None:
        predictions.append(base.assign(cell=cell, prediction=predicted, selected=selected))
        say(f"{cell}: test {100 * (labels == predicted).mean():.1f} %")

    fitted = read_arrays(input["linear"], "weights", "biases")
    predicted = predict_linear(**fitted, counts=counts(test.frames))
    add_predictions(LINEAR, predicted, selected=predicted)
    for cell, path, selected in zip(
        params["cells"], input["networks"], input["selected"], strict=True
    ):
        content = Path(path).read_bytes()
        with network_of(path):
            network, packed = load_packed(content)
        answers, operations = predict_and_count(network, test, packed.assignment)
        predicted = np.array(answers)
        add_predictions(cell, predicted, selected_predictions(content, selected, predicted, test))
        layers.append(pd.DataFrame(operations).assign(cell=cell))
        about = {
            "cell": cell,
            "packed_bytes": Path(path).stat().st_size,
            "accuracy": (labels == predicted).mean(),
        }
        if runs_on_integers(packed):
            classes, _ = Engine(packed).run(test.frames)
            about["agreement"] = (classes.numpy() == predicted).mean()
            about["integer_accuracy"] = (classes.numpy() == labels).mean()
        networks.append(about)
    for name, parts in (("predictions", predictions), ("layers", layers)):
        table = pd.concat(parts).assign(**wildcards)
        write_text(output[name], table.to_csv(index=False))
    table = pd.DataFrame(networks, columns=MEASURED).assign(**wildcards)
    write_text(output["networks"], table.to_csv(index=False))
    say(f"{len(layers)} networks on {len(labels)} test recordings")


if "snakemake" in globals():
    run(main, snakemake)

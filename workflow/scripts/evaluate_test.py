"""A packed network on the test recordings: what it says and what it takes."""

from pathlib import Path

import numpy as np
import pandas as pd
from framed import read_samples
from jobs import Named, Say, write_text
from reading import network_of
from spike_counts import write_counts
from tested import test_recordings

from hetspike.cost.operations import predict_and_count
from hetspike.inspection.inference import logits_of
from hetspike.inspection.spike_counts import NeuronWatch
from hetspike.packed.engine import Engine, runs_on_integers
from hetspike.packed.packing import load_packed


def main(*, input: Named, output: Named, wildcards: Named, say: Say) -> None:
    test = read_samples(input["test"])
    labels = test.labels.numpy()
    content, of_selected = (Path(input[kind]).read_bytes() for kind in ("network", "selected"))
    with network_of(input["network"]):
        network, packed = load_packed(content)
    watch = NeuronWatch(network)
    answers, operations = predict_and_count(network, test, packed.assignment, watch)
    write_counts(output["spikes"], watch.counts)
    predicted = selected = np.array(answers)
    if of_selected != content:  # the selected epoch was not the last one
        with network_of(input["selected"]):
            network, _ = load_packed(of_selected)
        selected = logits_of(network, test).argmax(1).numpy()
    about = {"packed_bytes": len(content), "accuracy": (labels == predicted).mean()}
    about |= dict.fromkeys(["agreement", "integer_accuracy"])  # of networks that run on integers
    if runs_on_integers(packed):
        classes, _ = Engine(packed).run(test.frames)
        about["agreement"] = (classes.numpy() == predicted).mean()
        about["integer_accuracy"] = (classes.numpy() == labels).mean()
    recordings = test_recordings(input["test"], input["events"])
    tables = {
        "predictions": recordings.assign(prediction=predicted, selected=selected),
        "layers": pd.DataFrame(operations),
        "networks": pd.DataFrame([about]),
    }
    named = {"cell": wildcards["row"], "dataset": wildcards["dataset"], "seed": wildcards["seed"]}
    for name, table in tables.items():
        write_text(output[name], table.assign(**named).to_csv(index=False))
    say(f"test {100 * about['accuracy']:.1f} %")

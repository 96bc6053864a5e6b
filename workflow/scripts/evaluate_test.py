"""Every network of one dataset and seed on the test recordings: predictions, operations a layer."""

import numpy as np
import pandas as pd
from jobs import job, write_text
from networks import read_network
from training import read_samples

from hetspike.evaluate import predict_and_count
from hetspike.linear import predict_linear
from hetspike.names import LINEAR
from hetspike.quantizer import freeze

with job(snakemake) as say:
    test = read_samples(snakemake.input.test)
    labels = test.labels.numpy()
    with np.load(snakemake.input.events) as recordings:
        groups = recordings["groups"]
    base = pd.DataFrame({"recording": np.arange(len(labels)), "group": groups, "label": labels})
    predictions, layers = [], []

    def add_predictions(cell, predicted):
        predictions.append(base.assign(cell=cell, prediction=predicted))
        say(f"{cell}: test {100 * (labels == predicted).mean():.1f} %")

    with np.load(snakemake.input.linear) as fitted:
        add_predictions(LINEAR, predict_linear(**fitted, frames=test.frames.numpy()))
    for cell, path in zip(snakemake.params.cells, snakemake.input.networks, strict=True):
        network, about = read_network(path)
        predicted, operations = predict_and_count(freeze(network), test, about["assignment"])
        add_predictions(cell, np.array(predicted))
        layers.append(pd.DataFrame(operations).assign(cell=cell))
    for path, parts in (
        (snakemake.output.predictions, predictions),
        (snakemake.output.layers, layers),
    ):
        table = pd.concat(parts).assign(**snakemake.wildcards)
        write_text(path, table.to_csv(index=False))
    say(f"{len(layers)} networks on {len(labels)} test recordings")

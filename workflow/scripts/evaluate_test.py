"""Every network of one dataset on its test recordings: predictions, and operations per layer."""

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
    dataset, networks = snakemake.wildcards.dataset, snakemake.params.networks
    test = read_samples(snakemake.input.test)
    labels = test.labels.numpy()
    with np.load(snakemake.input.events) as recordings:
        groups = recordings["groups"]
    base = pd.DataFrame({"recording": np.arange(len(labels)), "group": groups, "label": labels})
    predictions, layers = [], []

    def add_predictions(cell, seed, predicted):
        predictions.append(base.assign(cell=cell, seed=seed, prediction=predicted))
        say(f"{cell} seed {seed}: test {100 * (labels == predicted).mean():.1f} %")

    with np.load(snakemake.input.linear) as fitted:
        predicted = predict_linear(**fitted, frames=test.frames.numpy())
    add_predictions(LINEAR, networks[0][1], predicted)
    for (cell, seed), path in zip(networks, snakemake.input.networks, strict=True):
        network, about = read_network(path)
        predicted, operations = predict_and_count(freeze(network), test, about["assignment"])
        add_predictions(cell, seed, np.array(predicted))
        layers.append(pd.DataFrame(operations).assign(cell=cell, seed=seed))
    for path, parts in (
        (snakemake.output.predictions, predictions),
        (snakemake.output.layers, layers),
    ):
        write_text(path, pd.concat(parts).assign(dataset=dataset).to_csv(index=False))
    say(f"{len(networks)} networks on {len(labels)} test recordings")

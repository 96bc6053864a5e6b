"""The float training of one dataset and seed once more, its test accuracy after every epoch."""

import pandas as pd
from framed import read_samples
from jobs import job, write_text
from reading import read_table
from training import float_network, learn

from hetspike.inspection.inference import accuracy, logits_of
from hetspike.training.history import Epoch

with job(snakemake) as say:
    network, _ = float_network(snakemake)
    test = read_samples(snakemake.input.test, snakemake.resources.gpu)
    seen = []
    history = learn(
        snakemake,
        network,
        on_epoch=lambda epoch: seen.append(accuracy(logits_of(network, test), test.labels)),
    )
    epochs = pd.DataFrame(history)
    study = read_table(snakemake.input.history, Epoch._fields)
    same = epochs["validation_loss"].equals(study["validation_loss"])
    table = epochs.assign(test_accuracy=seen, **snakemake.wildcards)
    write_text(snakemake.output[0], table.to_csv(index=False))
    say(f"{len(table)} epochs, {'the same' if same else 'NOT the same bits'} as in the study")

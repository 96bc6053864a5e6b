"""The float training of one dataset and seed once more, its test accuracy after every epoch."""

import pandas as pd
from framed import read_samples
from jobs import Named, Say, write_text
from reading import read_table
from training import float_network, learn

from hetspike.inspection.inference import accuracy, logits_of
from hetspike.training.history import Epoch


def main(
    *, input: Named, output: Named, params: Named, wildcards: Named, resources: Named, say: Say
) -> None:
    seed, gpu = int(wildcards["seed"]), resources["gpu"]
    network, _ = float_network(input["train"], params["network"], seed)
    test = read_samples(input["test"], gpu)
    seen: list[float] = []

    def watch(epoch: Epoch) -> None:
        seen.append(accuracy(logits_of(network, test), test.labels))

    epochs = pd.DataFrame(learn(network, input, params, seed=seed, gpu=gpu, on_epoch=watch))
    study = read_table(input["history"], Epoch._fields)
    same = epochs["validation_loss"].equals(study["validation_loss"])
    table = epochs.assign(test_accuracy=seen, **wildcards)
    write_text(output["epochs"], table.to_csv(index=False))
    say(f"{len(table)} epochs, {'the same' if same else 'NOT the same bits'} as in the study")

"""Which end of a QAT varies least: `python benchmarks/ends.py results/default DATASET`.

From the float network of the first seed that a study has trained, uniform-2 and uniform-3 are
fine-tuned under several orders of the training recordings. Each run ends in several ways:

    running       the last epoch, with the running statistics of its batch norms
    re-estimated  the last epoch, with statistics of all training recordings: the way of the studies
    mean of 2, 3  the means of the weights after the last epochs, with such statistics

The accuracy is that of validation recordings. Its standard deviation over orders is the noise of
the end.
"""

import argparse
import copy
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from hetspike.data.samples import Samples, StoredFrames
from hetspike.documents import read_mapping
from hetspike.inspection.inference import accuracy, logits_of
from hetspike.packed.checkpoint import load_trained
from hetspike.quantization.quantizer import Choice, quantize, single_scheme
from hetspike.settings import Recipe
from hetspike.training import loop
from hetspike.training.batch_norms import reestimate

CONFIG = Path(__file__).parents[1] / "config/stand-ins.yaml"
WIDTHS = 2, 3
MEANS = 2, 3  # epochs whose weights are averaged


def stored(path: Path) -> Samples:
    """Return the frames of a split."""
    with path.open("rb") as file:
        frames = StoredFrames(file, str(path))
    return Samples(frames, frames.labels)


def mean_of(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the means of several weights; what counts whole numbers stays as it is."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0)
        if value.is_floating_point()
        else value
        for name, value in states[-1].items()
    }


def ends(
    network: nn.Module, train: Samples, validation: Samples, recipe: Recipe, order: int
) -> Iterator[tuple[str, float]]:
    """Fine-tune a network; yield the name of every end and its accuracy in percent."""
    states: list[dict[str, Tensor]] = []
    with patch.object(loop, "reestimate"):  # which is done below, after each end
        loop.fit(
            *(network, train, validation, recipe),
            seed=order,
            keep=lambda state: states.append(copy.deepcopy(state["model"])),
        )

    def score() -> float:
        return 100 * accuracy(logits_of(network.eval(), validation), validation.labels)

    yield "running", score()
    for name, averaged in [("re-estimated", 1), *((f"mean of {n}", n) for n in MEANS)]:
        network.load_state_dict(mean_of(states[-averaged:]))
        rows = torch.randperm(len(train.labels))
        reestimate(
            network.train(), (frames for frames, _ in train.batches(recipe.batch_size, rows))
        )
        yield name, score()


def main(results: Path, dataset: str, orders: int) -> None:
    torch.set_num_threads(1)
    recipe = Recipe(**read_mapping(str(CONFIG))["qat"])
    train, validation = (
        stored(results / f"frames/{dataset}/{split}.zip") for split in ("train", "validation")
    )
    checkpoint = min(results.glob(f"networks/{dataset}/*/float.safetensors"))
    start, _ = load_trained(checkpoint.read_bytes())
    rows = []
    for bits in WIDTHS:
        levels = single_scheme(start, Choice("uniform", bits), {})
        for order in range(orders):
            network = quantize(copy.deepcopy(start), levels)
            for end, percent in ends(network, train, validation, recipe, order):
                rows.append({"bits": bits, "order": order, "end": end, "accuracy": percent})
            print(pd.DataFrame(rows).tail(2 + len(MEANS)).to_string(header=False), flush=True)
    by_end = pd.DataFrame(rows).groupby(["bits", "end"], sort=False)["accuracy"]
    table = by_end.agg(["mean", "std", "min", "max", "size"])
    pooled = table["std"].groupby("end", sort=False).agg(lambda each: np.sqrt((each**2).mean()))
    print(table.round(2).to_string(), pooled.round(2).to_string(), sep="\n\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("--orders", type=int, default=4)
    main(**vars(parser.parse_args()))

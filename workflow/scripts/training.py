"""Samples on disk, and training between them and a network's file."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jobs import beside, write_rows
from safetensors.torch import save_file
from torch import nn

from hetspike.config import Recipe
from hetspike.train import Samples, fit

torch.set_num_threads(1)


def read_samples(path: str) -> Samples:
    with np.load(path) as arrays:
        return Samples(torch.from_numpy(arrays["frames"]), torch.from_numpy(arrays["labels"]))


def train_network(
    snakemake: Any,
    say: Callable[[str], None],
    network: nn.Module,
    about: dict[str, Any],
    **learning: Any,
) -> None:
    """Train by the rule's recipe; write the network and its history.

    `about` says how to build the network again: classes, network (its size), assignment;
    `learning` goes to `fit` as it is.
    """
    history = fit(
        network,
        read_samples(snakemake.input.train),
        read_samples(snakemake.input.validation),
        Recipe(**snakemake.params.recipe),
        seed=int(snakemake.wildcards.seed),
        on_epoch=lambda epoch: say(
            f"epoch {epoch.epoch}: "
            f"train {epoch.train_loss:.3f} {100 * epoch.train_accuracy:.1f} %, "
            f"validation {epoch.validation_loss:.3f} {100 * epoch.validation_accuracy:.1f} %"
        ),
        **learning,
    )
    with beside(snakemake.output.network) as part:
        save_file(network.state_dict(), part, metadata={"hetspike": json.dumps(about)})
    write_rows(snakemake.output.history, history)
    say(f"validation {100 * max(epoch.validation_accuracy for epoch in history):.1f} %")

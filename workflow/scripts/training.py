"""Training between samples on disk and a network's file."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from framed import read_samples, stored_frames
from jobs import Named, Say, write_settings, write_text
from torch import nn

from hetspike.atomic import beside, remove
from hetspike.errors import UserError
from hetspike.networks import build, network_settings
from hetspike.packed.checkpoint import trained_bytes
from hetspike.settings import Augmentation, Recipe
from hetspike.training.history import Epoch, selected
from hetspike.training.loop import fit
from hetspike.training.resume import fingerprint, keep, left, read_state


def float_network(
    train: str, settings: dict[str, Any], seed: int
) -> tuple[nn.Module, dict[str, Any]]:
    """An untrained network with the weights of a seed, and how to build it again."""
    classes = len(stored_frames(train).classes)
    torch.manual_seed(seed)
    about = {"classes": classes, "network": settings, "assignment": {}}
    return build(network_settings(settings), classes), about


def learn(network: nn.Module, input: Named, params: Named, *, gpu: int, **how: Any) -> list[Epoch]:
    """Train by the rule's recipe; `how` goes to `fit` as it is."""
    train, validation = (read_samples(input[split], gpu) for split in ("train", "validation"))
    moves = params["augmentation"]
    return fit(
        network,
        train,
        validation,
        Recipe(**params["recipe"]),
        augmentation=Augmentation(**moves) if moves else None,
        **how,
    )


def train_network(
    network: nn.Module,
    about: dict[str, Any],
    input: Named,
    output: Named,
    params: Named,
    *,
    gpu: int,
    say: Say,
    **how: Any,
) -> None:
    """Train; write the network, that of the epoch which validation selected, and the history.

    `about` says how to build the network again: classes, network (architecture and settings),
    assignment. A file beside the network keeps the state after each epoch: a training that was
    killed goes on from there, if nothing that it depends on has changed and the file is whole.
    """
    state_file = Path(output["network"]).with_suffix(".resume")
    run = fingerprint(network, params, input["code"], [input["train"], input["validation"]])
    resume = None
    try:
        resume = left(state_file, run)
    except UserError as error:
        say(str(error))
        print(f"hetspike: {error}", file=sys.stderr)
    if resume:
        say(f"goes on after epoch {len(resume['history'])}")
    history = learn(
        network,
        input,
        params,
        gpu=gpu,
        resume=resume,
        on_epoch=lambda epoch: say(
            f"epoch {epoch.epoch}: "
            f"train {epoch.train_loss:.3f} {100 * epoch.train_accuracy:.1f} %, "
            f"validation {epoch.validation_loss:.3f} {100 * epoch.validation_accuracy:.1f} %"
        ),
        keep=partial(keep, state_file, run),
        **how,
    )
    chosen = read_state(state_file)["selected"]
    for name, weights in (("network", network.state_dict()), ("selected", chosen)):
        with beside(output[name]) as part:
            part.write_bytes(trained_bytes(network, about, weights))
    epochs = pd.DataFrame(history)
    write_text(output["history"], epochs.to_csv(index=False))
    write_settings(output["settings"], params["made_by"], gpu=gpu)
    remove(state_file)
    best = selected(epochs)
    say(
        f"validation {100 * history[-1].validation_accuracy:.1f} %, "
        f"selected epoch {best['epoch']:.0f}: {100 * best['validation_accuracy']:.1f} %"
    )

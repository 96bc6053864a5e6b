"""Training between samples on disk and a network's file."""

import hashlib
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import pandas as pd
import torch
from framed import read_samples, stored_frames
from jobs import write_rows, write_settings
from torch import nn

from hetspike.atomic import REMEDY, beside, intact, remove, sealed
from hetspike.errors import UserError
from hetspike.networks import build, network_settings
from hetspike.packed.checkpoint import trained_bytes
from hetspike.settings import Augmentation, Recipe
from hetspike.training.history import Epoch, selected
from hetspike.training.loop import fit


def float_network(snakemake: Any) -> tuple[nn.Module, dict[str, Any]]:
    """An untrained network with the weights of a seed, and how to build it again."""
    classes = len(stored_frames(snakemake.input.train).classes)
    settings = snakemake.params.network
    torch.manual_seed(int(snakemake.wildcards.seed))
    about = {"classes": classes, "network": settings, "assignment": {}}
    return build(network_settings(settings), classes), about


def learn(snakemake: Any, network: nn.Module, **how: Any) -> list[Epoch]:
    """Train by the rule's recipe; `how` goes to `fit` as it is."""
    train, validation = (
        read_samples(snakemake.input[split], snakemake.resources.gpu)
        for split in ("train", "validation")
    )
    moves = snakemake.params.augmentation
    return fit(
        network,
        train,
        validation,
        Recipe(**snakemake.params.recipe),
        seed=int(snakemake.wildcards.seed),
        augmentation=Augmentation(**moves) if moves else None,
        **how,
    )


def train_network(
    snakemake: Any,
    say: Callable[[str], None],
    network: nn.Module,
    about: dict[str, Any],
    **learning: Any,
) -> None:
    """Train; write the network, that of the epoch which validation selected, and the history.

    `about` says how to build the network again: classes, network (architecture and settings),
    assignment. A file
    beside the network keeps the state after each epoch: a training that was killed goes on from
    there, if nothing that it depends on has changed and the file is whole.
    """
    state_file = Path(snakemake.output.network).with_suffix(".resume")
    run = _fingerprint(snakemake, network)
    resume = _resumable(state_file, run, say)
    if resume:
        say(f"goes on after epoch {len(resume['history'])}")

    def keep(state: dict[str, Any]) -> None:
        with sealed(state_file) as part:
            torch.save(state | {"run": run}, part)

    history = learn(
        snakemake,
        network,
        resume=resume,
        on_epoch=lambda epoch: say(
            f"epoch {epoch.epoch}: "
            f"train {epoch.train_loss:.3f} {100 * epoch.train_accuracy:.1f} %, "
            f"validation {epoch.validation_loss:.3f} {100 * epoch.validation_accuracy:.1f} %"
        ),
        keep=keep,
        **learning,
    )
    chosen = _state(state_file)["selected"]
    for output, weights in (("network", network.state_dict()), ("selected", chosen)):
        with beside(snakemake.output[output]) as part:
            part.write_bytes(trained_bytes(network, about, weights))
    write_rows(snakemake.output.history, history)
    write_settings(snakemake)
    remove(state_file)
    best = selected(pd.DataFrame(history))
    say(
        f"validation {100 * history[-1].validation_accuracy:.1f} %, "
        f"selected epoch {best['epoch']:.0f}: {100 * best['validation_accuracy']:.1f} %"
    )


def _fingerprint(snakemake: Any, network: nn.Module) -> str:
    """Of all that a training depends on: its settings, code and samples, and the first weights."""
    found = hashlib.sha256(repr(sorted(snakemake.params.items())).encode())
    for path in snakemake.input.code:
        found.update(Path(path).read_bytes())
    for split in ("train", "validation"):
        found.update(repr(Path(snakemake.input[split]).stat().st_mtime_ns).encode())
    for weights in network.state_dict().values():
        found.update(weights.numpy().tobytes())
    return found.hexdigest()


def _resumable(state_file: Path, run: str, say: Callable[[str], None]) -> dict[str, Any] | None:
    """What an interrupted training left, unless it was another one, or the file is damaged."""
    if not state_file.exists():
        return None
    try:
        state = _state(state_file, remedy="the training starts anew")
    except UserError as error:
        say(str(error))
        print(f"hetspike: {error}", file=sys.stderr)
        return None
    return state if state.get("run") == run else None


def _state(state_file: Path, remedy: str = REMEDY) -> dict[str, Any]:
    """The state after an epoch, on the CPU. Raises UserError where its file is damaged."""
    content = intact(state_file, remedy)
    try:
        return dict(torch.load(BytesIO(content), map_location="cpu", weights_only=True))
    except (
        *(AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError),
        UnpicklingError,
    ) as error:
        raise UserError(f"{state_file} holds no state of a training: {remedy}") from error

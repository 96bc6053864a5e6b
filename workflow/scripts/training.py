"""Samples on disk, and training between them and a network's file."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jobs import beside, write_rows
from safetensors.torch import save_file
from torch import nn

from hetspike.config import Augmentation, Recipe
from hetspike.errors import UserError
from hetspike.history import Epoch, selected
from hetspike.model import Spikformer
from hetspike.samples import Samples, StoredFrames
from hetspike.train import fit

torch.set_num_threads(1)
# float32 means float32: of itself a GPU takes fewer bits, and another algorithm each time
torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.deterministic = True


def stored_frames(path: str) -> StoredFrames:
    with open(path, "rb") as file:
        return StoredFrames(file, path)


def read_samples(path: str, gpu: int = 0) -> Samples:
    if gpu and not torch.cuda.is_available():
        raise UserError(
            "a GPU is here, but torch does not see it: install its build for this GPU, or set "
            "`device: cpu`"
        )
    frames = stored_frames(path)
    return Samples(frames, frames.labels, "cuda" if gpu else "cpu")


def float_network(snakemake: Any) -> tuple[nn.Module, dict[str, Any]]:
    """An untrained network with the weights of a seed, and how to build it again."""
    classes = len(stored_frames(snakemake.input.train).classes)
    size = snakemake.params.network
    torch.manual_seed(int(snakemake.wildcards.seed))
    about = {"classes": classes, "network": size, "assignment": {}}
    return Spikformer(classes, **size), about


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

    `about` says how to build the network again: classes, network (its size), assignment. A file
    beside the network keeps the state after each epoch: a training that was killed goes on from
    there, if nothing that it depends on has changed.
    """
    state_file = Path(snakemake.output.network).with_suffix(".resume")
    run = _fingerprint(snakemake, network)
    resume = _resumable(state_file, run)
    if resume:
        say(f"goes on after epoch {len(resume['history'])}")

    def keep(state: dict[str, Any]) -> None:
        with beside(state_file) as part:
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
    chosen = torch.load(state_file, map_location="cpu")["selected"]
    for output, weights in (("network", network.state_dict()), ("selected", chosen)):
        with beside(snakemake.output[output]) as part:
            save_file(weights, part, metadata={"hetspike": json.dumps(about)})
    write_rows(snakemake.output.history, history)
    state_file.unlink()
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


def _resumable(state_file: Path, run: str) -> dict[str, Any] | None:
    """What an interrupted training left, unless it was another one."""
    if not state_file.exists():
        return None
    state = torch.load(state_file, map_location="cpu")
    return state if state["run"] == run else None

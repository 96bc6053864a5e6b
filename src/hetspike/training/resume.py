"""Files with the state of an interrupted training, from which the training continues.

`hetspike.training.loop.fit` makes the state after each epoch and takes it to resume. The file is
sealed and contains a fingerprint of the training, so that no other training uses it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from hetspike.atomic import REMEDY, intact, sealed
from hetspike.errors import UserError


def fingerprint(
    network: nn.Module, settings: Mapping[str, Any], code: Iterable[str], samples: Iterable[str]
) -> str:
    """Return a SHA-256 of all that a training depends on.

    network   with the weights at the start of the training
    code      files whose content counts
    samples   files whose time of change counts
    """
    digest = hashlib.sha256(repr(sorted(settings.items())).encode())
    for path in code:
        digest.update(Path(path).read_bytes())
    for path in samples:
        digest.update(repr(Path(path).stat().st_mtime_ns).encode())
    for weights in network.state_dict().values():
        digest.update(weights.numpy().tobytes())
    return digest.hexdigest()


def keep(file: Path, run: str, state: Mapping[str, Any]) -> None:
    """Write the state of a run after an epoch; it replaces that of the epoch before."""
    with sealed(file) as part:
        torch.save({**state, "run": run}, part)


def left(file: Path, run: str) -> dict[str, Any] | None:
    """Return the state in a file; None if there is no file, or if it is of another run.

    Raises UserError if the file is damaged.
    """
    if not file.exists():
        return None
    state = read_state(file, remedy="the training starts anew")
    return state if state.get("run") == run else None


def read_state(file: Path, remedy: str = REMEDY) -> dict[str, Any]:
    """Return the state in a file, on the CPU. Raises UserError if the file is damaged."""
    content = intact(file, remedy)
    try:
        return dict(torch.load(BytesIO(content), map_location="cpu", weights_only=True))
    except (
        *(AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError),
        UnpicklingError,
    ) as error:
        raise UserError(f"{file} holds no state of a training: {remedy}") from error

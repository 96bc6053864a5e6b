"""The state of a training after its last epoch, in a sealed file: an interrupted one goes on there.

The state is what `hetspike.training.loop.fit` hands out and takes back. A fingerprint says which
training left it; another one does not take it.
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
    """Of all that a training depends on: first weights, settings, code, times of samples."""
    found = hashlib.sha256(repr(sorted(settings.items())).encode())
    for path in code:
        found.update(Path(path).read_bytes())
    for path in samples:
        found.update(repr(Path(path).stat().st_mtime_ns).encode())
    for weights in network.state_dict().values():
        found.update(weights.numpy().tobytes())
    return found.hexdigest()


def keep(file: Path, run: str, state: Mapping[str, Any]) -> None:
    """Write the state of a run after an epoch in the place of the one before."""
    with sealed(file) as part:
        torch.save({**state, "run": run}, part)


def left(file: Path, run: str) -> dict[str, Any] | None:
    """The state that an interrupted run left; None without one, and where another run left it.

    Raises UserError where the file is damaged.
    """
    if not file.exists():
        return None
    state = read_state(file, remedy="the training starts anew")
    return state if state.get("run") == run else None


def read_state(file: Path, remedy: str = REMEDY) -> dict[str, Any]:
    """The state after an epoch, on the CPU. Raises UserError where its file is damaged."""
    content = intact(file, remedy)
    try:
        return dict(torch.load(BytesIO(content), map_location="cpu", weights_only=True))
    except (
        *(AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError),
        UnpicklingError,
    ) as error:
        raise UserError(f"{file} holds no state of a training: {remedy}") from error

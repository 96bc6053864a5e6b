"""Trained Spikformers from the bytes of a file, quantizers included.

Training writes safetensors whose header says how to build the network again: `classes`, `network`
(its size) and `assignment`.
"""

from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from torch import nn

from hetspike.container import opened, said_by
from hetspike.errors import UserError
from hetspike.model import Spikformer
from hetspike.quantizer import Choice, quantize


def skeleton(about: dict[str, Any]) -> Spikformer:
    """An untrained network of the size that a header tells."""
    try:
        return Spikformer(about["classes"], **about["network"])
    except (KeyError, TypeError):
        raise UserError(
            "the file does not hold a Spikformer of hetspike: unpack it into the module that it "
            "was packed from"
        ) from None


def load_trained(data: bytes) -> tuple[nn.Module, dict[str, Any]]:
    """The network that a training wrote, and how it was built: classes, network, assignment."""
    about = said_by(opened(data)[0])
    if "assignment" not in about:
        raise UserError(
            "no trained network, its header has no assignment: name one of results/<study>/networks"
        )
    about["assignment"] = {name: Choice(*each) for name, each in about["assignment"].items()}
    network = quantize(skeleton(about), about["assignment"])
    try:
        network.load_state_dict(tensors_of(data))
    except (RuntimeError, SafetensorError):
        raise UserError(
            "the file does not hold the network that its header tells: train it again"
        ) from None
    return network, about

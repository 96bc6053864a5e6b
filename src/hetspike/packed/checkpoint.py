"""Trained networks as the bytes of a file, quantizers included.

The header says how to build the network again: `classes`, `network` (its architecture and settings)
and `assignment`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hetspike.errors import UserError
from hetspike.networks import build
from hetspike.packed.header import PackedHeader, TrainedHeader, header, read_as, write
from hetspike.packed.traits import check_traits, traits
from hetspike.quantization.quantizer import freeze, quantize


def skeleton(said: TrainedHeader | PackedHeader) -> nn.Module:
    """Build the network of a header on the device meta; its tensors are assigned later."""
    if said.classes is None or said.network is None:
        raise UserError(
            "the file does not hold a network that hetspike builds: unpack it into the module that "
            "it was packed from"
        )
    with torch.device("meta"):
        return build(said.network, said.classes)


def trained_bytes(
    network: nn.Module, about: Mapping[str, Any], tensors: dict[str, Tensor] | None = None
) -> bytes:
    """Return the bytes of the file of a trained network.

    about    how to build it again: classes, network (architecture and settings), assignment
    tensors  another state of it, of an earlier epoch for example

    Raises UserError where the network is not the one that a header tells, and for tensors that are
    not finite.
    """
    found = traits(freeze(network))
    said = header(TrainedHeader, **about, traits=found)
    check_traits(skeleton(said), found)
    return write(said, network.state_dict() if tensors is None else tensors)


def load_trained(data: bytes) -> tuple[nn.Module, dict[str, Any]]:
    """Load a trained network, and how it was built: classes, network, assignment.

    Raises UserError where the file is none of ours, damaged, or of another kind.
    """
    said, tensors = read_as(TrainedHeader, data)
    about = said.model_dump(mode="json", include={"classes", "network"})
    about["assignment"] = said.assignment
    network = skeleton(said)
    check_traits(network, said.traits)
    weights = {
        name.replace(".parametrizations.weight.original", ".weight"): each
        for name, each in tensors.items()
        if not name.endswith(".log_scale")
    }
    try:
        network.load_state_dict(weights, assign=True)
        network = quantize(network, said.assignment)
        network.load_state_dict(tensors)
    except RuntimeError:
        raise UserError(
            "the file does not hold the network that its header tells: train it again"
        ) from None
    return network, about

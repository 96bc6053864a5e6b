"""Files of trained networks, with their quantizers.

The header contains all that is needed to build the network again: `classes`, `network` (its
architecture and settings) and `assignment`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hetspike.errors import UserError
from hetspike.networks import build
from hetspike.packed.header import PackedHeader, TrainedHeader, make_header, read_as, write
from hetspike.packed.traits import check_traits, traits
from hetspike.quantization.quantizer import freeze, quantize


def skeleton(header: TrainedHeader | PackedHeader) -> nn.Module:
    """Build the network of a header on the device meta; its tensors are assigned later.

    Raises UserError if the header does not name an architecture.
    """
    if header.classes is None or header.network is None:
        raise UserError(
            "the file does not hold a network that hetspike builds: unpack it into the module that "
            "it was packed from"
        )
    with torch.device("meta"):
        return build(header.network, header.classes)


def trained_bytes(
    network: nn.Module, about: Mapping[str, Any], tensors: dict[str, Tensor] | None = None
) -> bytes:
    """Return the bytes of the file of a trained network.

    about    entries of the header: classes, network (architecture and settings), assignment
    tensors  another state of the network, for example of an earlier epoch

    Raises UserError if the network is not the one that `about` describes, and for tensors that are
    not finite.
    """
    own_traits = traits(freeze(network))
    header = make_header(TrainedHeader, **about, traits=own_traits)
    check_traits(skeleton(header), own_traits)
    return write(header, network.state_dict() if tensors is None else tensors)


def load_trained(data: bytes) -> tuple[nn.Module, dict[str, Any]]:
    """Load a trained network; return it with the `about` of `trained_bytes`.

    Raises UserError if the file is not one of hetspike, is damaged, or is of another kind.
    """
    header, tensors = read_as(TrainedHeader, data)
    about = header.model_dump(mode="json", include={"classes", "network"})
    about["assignment"] = header.assignment
    network = skeleton(header)
    check_traits(network, header.traits)
    weights = {
        name.replace(".parametrizations.weight.original", ".weight"): tensor
        for name, tensor in tensors.items()
        if not name.endswith(".log_scale")
    }
    try:
        network.load_state_dict(weights, assign=True)
        network = quantize(network, header.assignment)
        network.load_state_dict(tensors)
    except RuntimeError:
        raise UserError(
            "the file does not hold the network that its header describes: train it again"
        ) from None
    return network, about

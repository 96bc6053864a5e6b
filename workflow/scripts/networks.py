"""Networks on disk, read back: as they were trained, quantizers included.

They are written by `training`, which does not know quantizers: a change to these trains no float
baseline again.
"""

import json
from typing import Any

from safetensors import safe_open
from torch import nn

from hetspike.model import Spikformer
from hetspike.quantizer import Choice, quantize


def read_network(path: str) -> tuple[nn.Module, dict[str, Any]]:
    """The network and how it was built: classes, network (its size), assignment."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["hetspike"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    about["assignment"] = {name: Choice(*each) for name, each in about["assignment"].items()}
    network = quantize(Spikformer(about["classes"], **about["network"]), about["assignment"])
    network.load_state_dict(state)
    return network, about

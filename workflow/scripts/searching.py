"""What every job of a search begins with."""

from pathlib import Path
from typing import Any

import torch
from framed import read_samples
from jobs import Named
from reading import network_of
from torch import nn

from hetspike.data.samples import Samples
from hetspike.inspection.effort import Effort
from hetspike.packed.checkpoint import load_trained
from hetspike.quantization.quantizer import boundary_choices, choices
from hetspike.search import SEARCHES
from hetspike.search.space import Space
from hetspike.settings import SEED_DRAWS


def begin(
    input: Named, params: Named, wildcards: Named, gpu: int
) -> tuple[nn.Module, Samples, Space, Effort, dict[str, Any]]:
    """The float network, training samples, the space, the effort so far, and how to search."""
    with network_of(input["float_network"]):
        network, _ = load_trained(Path(input["float_network"]).read_bytes())
    train = read_samples(input["train"], gpu)
    network.to(train.device)
    example, _ = train.batch(torch.arange(1))
    wanted = params["search"]
    boundary = boundary_choices(network, params["boundary_layers"], example)
    space = Space.of(network, choices(wanted["candidates"]), boundary)
    effort = Effort()
    effort.watch(network)
    how = {
        "settings": SEARCHES[wanted["name"]](**wanted["settings"]),
        "seed": int(wildcards["seed"]) + SEED_DRAWS * wanted["draw"],
    }
    return network, train, space, effort, how

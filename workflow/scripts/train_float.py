"""The float baseline of one dataset and seed, from random weights."""

import numpy as np
import torch
from jobs import job
from training import train_network

from hetspike.model import Spikformer

with job(snakemake) as say:
    with np.load(snakemake.input.train) as arrays:
        classes = len(arrays["classes"])
    torch.manual_seed(int(snakemake.wildcards.seed))
    size = snakemake.params.network
    network = Spikformer(classes, **size)
    train_network(snakemake, say, network, {"classes": classes, "network": size, "assignment": {}})

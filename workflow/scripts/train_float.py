"""The float baseline of one dataset and seed, from random weights."""

import torch
from jobs import job
from training import stored_frames, train_network

from hetspike.model import Spikformer

with job(snakemake) as say:
    classes = len(stored_frames(snakemake.input.train).classes)
    torch.manual_seed(int(snakemake.wildcards.seed))
    size = snakemake.params.network
    network = Spikformer(classes, **size)
    train_network(snakemake, say, network, {"classes": classes, "network": size, "assignment": {}})

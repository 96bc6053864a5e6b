"""The float baseline of one dataset and seed, from random weights."""

from jobs import job
from training import float_network, train_network

with job(snakemake) as say:
    train_network(snakemake, say, *float_network(snakemake))

"""QAT of one row from the float network; without a choice of levels it fine-tunes the float."""

from pathlib import Path

import torch
from framed import read_samples
from jobs import job
from reading import network_of, read_json
from training import train_network

from hetspike.packed.checkpoint import load_trained
from hetspike.quantization.quantizer import Choice, boundary_choices, quantize, single_scheme
from hetspike.settings import Distillation

with job(snakemake) as say:
    with network_of(snakemake.input.float_network):
        network, about = load_trained(Path(snakemake.input.float_network).read_bytes())
    assignment = {}
    if snakemake.params.choice:
        example, _ = read_samples(snakemake.input.train).batch(torch.arange(1))
        boundary = boundary_choices(network, snakemake.params.boundary_layers, example)
        assignment = single_scheme(network, Choice(*snakemake.params.choice), boundary)
    elif path := snakemake.input.get("search"):
        found = read_json(path, "assignment")["assignment"]
        assignment = {layer: Choice(*choice) for layer, choice in found.items()}
    about["assignment"] = assignment
    learning = {}
    if how := snakemake.params.distillation:
        learning = {"teacher": network, "distillation": Distillation(**how)}
    train_network(snakemake, say, quantize(network, assignment), about, **learning)

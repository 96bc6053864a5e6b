"""QAT of one row from the float network; without a choice of levels it fine-tunes the float."""

from pathlib import Path

import torch
from framed import read_samples
from jobs import Named, Say
from reading import network_of, read_json
from training import train_network

from hetspike.packed.checkpoint import load_trained
from hetspike.quantization.quantizer import Choice, boundary_choices, quantize, single_scheme
from hetspike.settings import Distillation


def main(
    *, input: Named, output: Named, params: Named, wildcards: Named, resources: Named, say: Say
) -> None:
    with network_of(input["float_network"]):
        network, about = load_trained(Path(input["float_network"]).read_bytes())
    assignment = {}
    if params["choice"]:
        example, _ = read_samples(input["train"]).batch(torch.arange(1))
        boundary = boundary_choices(network, params["boundary_layers"], example)
        assignment = single_scheme(network, Choice(*params["choice"]), boundary)
    elif path := input.get("search"):
        found = read_json(path, "assignment")["assignment"]
        assignment = {layer: Choice(*choice) for layer, choice in found.items()}
    about["assignment"] = assignment
    learning = {"seed": int(wildcards["seed"]), "gpu": resources["gpu"], "say": say}
    if how := params["distillation"]:
        learning |= {"teacher": network, "distillation": Distillation(**how)}
    train_network(quantize(network, assignment), about, input, output, params, **learning)

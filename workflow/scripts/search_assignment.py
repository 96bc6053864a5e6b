"""One search: {layer: [scheme, bits]} at or under the budget, and what it cost to find."""

from pathlib import Path

import torch
from framed import read_samples
from jobs import Named, Say, run, write_json, write_settings
from reading import network_of

from hetspike.inspection.effort import Effort
from hetspike.packed.checkpoint import load_trained
from hetspike.quantization.quantizer import boundary_choices, choices
from hetspike.search import SEARCHES, load
from hetspike.search.space import Space
from hetspike.settings import SEED_DRAWS


def main(
    *, input: Named, output: Named, params: Named, wildcards: Named, resources: Named, say: Say
) -> None:
    with network_of(input["float_network"]):
        network, _ = load_trained(Path(input["float_network"]).read_bytes())
    train = read_samples(input["train"], resources["gpu"])
    network.to(train.device)
    example, _ = train.batch(torch.arange(1))
    wanted = params["search"]
    space = Space.of(
        network,
        choices(wanted["candidates"]),
        wanted["budget"],
        boundary_choices(network, params["boundary_layers"], example),
    )
    effort = Effort()
    effort.watch(network)
    assignment = load(wanted["name"])(
        network,
        train,
        space,
        settings=SEARCHES[wanted["name"]](**wanted["settings"]),
        seed=int(wildcards["seed"]) + SEED_DRAWS * wanted["draw"],
        say=say,
    )
    write_json(output["search"], {"passes": effort.passes, "assignment": assignment})
    write_settings(output["settings"], params["made_by"], gpu=resources["gpu"])
    say(
        f"{space.effective_bits(assignment):.3f} of {space.budget:g} effective bits, "
        f"{effort.passes} recordings passed"
    )


if "snakemake" in globals():
    run(main, snakemake)

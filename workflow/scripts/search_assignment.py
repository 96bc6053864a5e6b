"""One search: {layer: [scheme, bits]} at or under the budget, and what it cost to find."""

from pathlib import Path

import torch
from framed import read_samples
from jobs import job, write_json, write_settings
from reading import network_of

from hetspike.inspection.effort import Effort
from hetspike.packed.checkpoint import load_trained
from hetspike.quantization.quantizer import boundary_choices, choices
from hetspike.search import SEARCHES, load
from hetspike.search.space import Space
from hetspike.settings import SEED_DRAWS

with job(snakemake) as say:
    with network_of(snakemake.input.float_network):
        network, _ = load_trained(Path(snakemake.input.float_network).read_bytes())
    train = read_samples(snakemake.input.train, snakemake.resources.gpu)
    network.to(train.device)
    example, _ = train.batch(torch.arange(1))
    wanted = snakemake.params.search
    space = Space.of(
        network,
        choices(wanted["candidates"]),
        wanted["budget"],
        boundary_choices(network, snakemake.params.boundary_layers, example),
    )
    effort = Effort()
    effort.watch(network)
    assignment = load(wanted["name"])(
        network,
        train,
        space,
        settings=SEARCHES[wanted["name"]](**wanted["settings"]),
        seed=int(snakemake.wildcards.seed) + SEED_DRAWS * wanted["draw"],
        say=say,
    )
    write_json(snakemake.output.search, {"passes": effort.passes, "assignment": assignment})
    write_settings(snakemake)
    say(
        f"{space.effective_bits(assignment):.3f} of {space.budget:g} effective bits, "
        f"{effort.passes} recordings passed"
    )

"""One search: {layer: [scheme, bits]} at or under the budget, and what it cost to find."""

from jobs import job, write_json
from networks import read_network
from training import read_samples

from hetspike.effort import Effort
from hetspike.quantizer import Choice, boundary_choices
from hetspike.search import SEARCHES, load
from hetspike.search.space import Space

APART = 1000  # more than there are seeds: draws of different seeds differ

with job(snakemake) as say:
    network, _ = read_network(snakemake.input.float_network)
    train, validation = (read_samples(snakemake.input[split]) for split in ("train", "validation"))
    wanted = snakemake.params.search
    candidates = wanted["candidates"].items()
    space = Space.of(
        network,
        tuple(Choice(scheme, bits) for scheme, widths in candidates for bits in widths),
        wanted["budget"],
        boundary_choices(network, snakemake.params.boundary_layers),
    )
    effort = Effort()
    effort.watch(network)
    assignment = load(wanted["name"])(
        network,
        train,
        validation,
        space,
        settings=SEARCHES[wanted["name"]](**wanted["settings"]),
        seed=int(snakemake.wildcards.seed) + APART * wanted["draw"],
        say=say,
    )
    write_json(snakemake.output[0], {"passes": effort.passes, "assignment": assignment})
    say(
        f"{space.effective_bits(assignment):.3f} of {space.budget:g} effective bits, "
        f"{effort.passes} recordings passed"
    )

"""One search: {layer: [scheme, bits]} at or under the budget."""

from jobs import job, write_json
from networks import read_network
from training import read_samples

from hetspike.quantizer import Choice, boundary_choices
from hetspike.search import SEARCHES, load
from hetspike.search.space import Space

with job(snakemake) as say:
    network, _ = read_network(snakemake.input.float_network)
    wanted = snakemake.params.search
    candidates = snakemake.params.candidates.items()
    space = Space.of(
        network,
        tuple(Choice(scheme, bits) for scheme, widths in candidates for bits in widths),
        wanted["budget"],
        boundary_choices(network, snakemake.params.boundary_layers),
    )
    assignment = load(wanted["name"])(
        network,
        read_samples(snakemake.input.train),
        read_samples(snakemake.input.validation),
        space,
        settings=SEARCHES[wanted["name"]](**wanted["settings"]),
        seed=int(snakemake.wildcards.seed),
        say=say,
    )
    write_json(snakemake.output[0], assignment)
    say(f"{space.effective_bits(assignment):.3f} of {space.budget:g} effective bits")

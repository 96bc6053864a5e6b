"""One search: {layer: [scheme, bits]} at or under the budget, and what it cost to find."""

from jobs import Named, Say, write_json, write_settings
from reading import read_arrays
from searching import begin

from hetspike.search import search


def main(
    *, input: Named, output: Named, params: Named, wildcards: Named, resources: Named, say: Say
) -> None:
    network, train, space, effort, how = begin(input, params, wildcards, resources["gpu"])
    budget = params["search"]["budget"]
    if scores := input.get("scores"):
        space.check(budget)
        found = read_arrays(scores, "scores", "passes")
        assignment, passes = space.best(found["scores"], budget), int(found["passes"])
    else:
        name = params["search"]["name"]
        assignment = search(name, network, train, space, budget, say=say, **how)
        passes = effort.passes
    write_json(output["search"], {"passes": passes, "assignment": assignment})
    write_settings(output["settings"], params["made_by"], gpu=resources["gpu"])
    say(
        f"{space.effective_bits(assignment):.3f} of {budget:g} effective bits, "
        f"{passes} recordings passed"
    )

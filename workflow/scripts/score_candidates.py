"""The scores of one search, which serve all its budgets, and what they cost."""

import io

import numpy as np
from jobs import Named, Say
from searching import begin

from hetspike.atomic import sealed
from hetspike.search import load


def main(
    *, input: Named, output: Named, params: Named, wildcards: Named, resources: Named, say: Say
) -> None:
    network, train, space, effort, how = begin(input, params, wildcards, resources["gpu"])
    scores = load(params["search"]["name"]).scores(network, train, space, say=say, **how)
    arrays = io.BytesIO()
    np.savez(arrays, scores=scores, passes=effort.passes)
    with sealed(output["scores"]) as part:
        part.write_bytes(arrays.getvalue())
    say(
        f"{len(space.weights)} layers, {len(space.candidates)} candidates, "
        f"{effort.passes} recordings passed"
    )

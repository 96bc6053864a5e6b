"""Recordings of one dataset, by split, and the list of those that have names."""

import numpy as np
from jobs import Named, Say, write_settings, write_text
from reading import read_listed

from hetspike.atomic import sealed
from hetspike.data.events import DATASETS
from hetspike.data.events.recordings import SPLITS
from hetspike.data.events.sample_lists import check_frozen, listing


def main(*, input: Named, output: Named, params: Named, wildcards: Named, say: Say) -> None:
    recordings = DATASETS[wildcards["dataset"]](**params["source"])
    if frozen := input.get("frozen"):
        check_frozen(recordings, read_listed(frozen, input["sums"]), frozen)
    for split in SPLITS:
        with sealed(output[split]) as part, part.open("wb") as file:
            np.savez(file, **recordings[split].to_arrays())
    write_text(output["samples"], listing(recordings))
    write_settings(output["settings"], params["made_by"], archives=input["archives"])
    counted = ", ".join(f"{split} {len(recordings[split])}" for split in SPLITS)
    lacking = "".join(  # a part of an archive will do, but not without a word
        f"; {split} lacks {', '.join(missing)}"
        for split in SPLITS
        if (missing := recordings[split].missing())
    )
    say(f"{counted} recordings{lacking}")

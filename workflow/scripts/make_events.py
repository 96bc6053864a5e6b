"""Recordings of one dataset, by split, and the list of those that have names."""

from pathlib import Path

import numpy as np
from jobs import beside, job, write_text

from hetspike.events import DATASETS
from hetspike.events.frozen import check_frozen, listing
from hetspike.events.recordings import SPLITS

with job(snakemake) as say:
    recordings = DATASETS[snakemake.wildcards.dataset](**snakemake.params.source)
    if frozen := snakemake.input.get("frozen"):
        check_frozen(recordings, Path(frozen).read_text(), frozen)
    for split in SPLITS:
        with beside(snakemake.output[split]) as part, part.open("wb") as file:
            np.savez(file, **recordings[split].to_arrays())
    write_text(snakemake.output.samples, listing(recordings))
    say(", ".join(f"{split} {len(recordings[split])}" for split in SPLITS) + " recordings")

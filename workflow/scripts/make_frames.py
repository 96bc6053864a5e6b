"""Events to frames [R, T, 2, H, W], split by split."""

import numpy as np
from jobs import beside, job
from splits import read_split

from hetspike.events.recordings import SPLITS
from hetspike.frames import frames

with job(snakemake) as say:
    dataset, source = snakemake.wildcards.dataset, snakemake.params.source
    for split in SPLITS:
        recordings = read_split(snakemake.input[split], dataset, split, source)
        framed = frames(recordings, **snakemake.params.framing)
        with beside(snakemake.output[split]) as part, part.open("wb") as file:
            np.savez(file, frames=framed, labels=recordings.labels, classes=recordings.classes)
    say(f"{framed.shape[1]} frames of {framed.shape[-1]}x{framed.shape[-2]} a recording")

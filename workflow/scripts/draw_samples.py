"""A recording of each class as a film strip."""

import numpy as np
from jobs import beside, job

from hetspike.events.recordings import Recordings
from hetspike.figures import png, sample_recordings

with job(snakemake):
    with np.load(snakemake.input.recordings) as arrays:
        recordings = Recordings.from_arrays(arrays)
    figure = sample_recordings(recordings, snakemake.wildcards.dataset)
    with beside(snakemake.output[0]) as part:
        part.write_bytes(png(figure))

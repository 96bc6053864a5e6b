"""A recording of each class as a film strip."""

from jobs import beside, job
from splits import read_split

from hetspike.figures import png, sample_recordings

with job(snakemake):
    dataset = snakemake.wildcards.dataset
    recordings = read_split(snakemake.input.recordings, dataset, "train", snakemake.params.source)
    figure = sample_recordings(recordings, dataset)
    with beside(snakemake.output[0]) as part:
        part.write_bytes(png(figure))

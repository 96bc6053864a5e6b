"""A recording of each class as a film strip."""

from pathlib import Path

from jobs import job
from splits import read_split

from hetspike.atomic import sealed
from hetspike.results.figures.samples import sample_recordings
from hetspike.results.figures.style import rendered

with job(snakemake):
    dataset = snakemake.wildcards.dataset
    recordings = read_split(snakemake.input.recordings, dataset, "train", snakemake.params.source)
    figure = sample_recordings(recordings, snakemake.params.labels[dataset])
    for output in map(Path, snakemake.output):
        with sealed(output) as part:
            part.write_bytes(rendered(figure, output.suffix[1:]))

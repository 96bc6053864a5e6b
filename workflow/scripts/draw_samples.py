"""A recording of each class as a film strip."""

from pathlib import Path

from jobs import Named, Say, run
from splits import read_split

from hetspike.atomic import sealed
from hetspike.results.figures.samples import sample_recordings
from hetspike.results.figures.style import rendered


def main(*, input: Named, output: Named, params: Named, wildcards: Named, say: Say) -> None:
    dataset = wildcards["dataset"]
    recordings = read_split(input["recordings"], dataset, "train", params["source"])
    figure = sample_recordings(recordings, params["labels"][dataset])
    for path in map(Path, output["figures"]):
        with sealed(path) as part:
            part.write_bytes(rendered(figure, path.suffix[1:]))
    say(f"{len(recordings.classes)} classes")


if "snakemake" in globals():
    run(main, snakemake)

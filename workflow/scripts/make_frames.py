"""Events to frames [R, T, 2, H, W], split by split."""

from jobs import beside, job
from splits import read_split
from tqdm import tqdm

from hetspike.events.recordings import SPLITS
from hetspike.frames import frames
from hetspike.samples import store

with job(snakemake) as say:
    dataset, source = snakemake.wildcards.dataset, snakemake.params.source
    for split in SPLITS:
        recordings = read_split(snakemake.input[split], dataset, split, source)
        framed = frames(recordings, **snakemake.params.framing)
        shown = tqdm(framed, split, len(recordings), leave=False, disable=None, unit="recording")
        with beside(snakemake.output[split]) as part, part.open("wb") as file:
            shape = store(file, shown, recordings.labels, recordings.classes)
    say(f"{shape[1]} frames of {shape[-1]}x{shape[-2]} a recording")

"""Recordings of one dataset, by split, and a table of what was made."""

import hashlib
from pathlib import Path

import numpy as np
from jobs import beside, job, write_text

from hetspike.events import DATASETS
from hetspike.events.recordings import SPLITS
from hetspike.events.samples import check_frozen, listing

with job(snakemake) as say:
    dataset = snakemake.wildcards.dataset
    recordings = DATASETS[dataset](**snakemake.params.source)
    if frozen := snakemake.input.get("frozen"):
        check_frozen(recordings, Path(frozen).read_text(), frozen)
    samples = listing(recordings)
    write_text(snakemake.output.samples, samples)
    # a column of its own: where samples are made, there is nothing to list
    listed = {"samples_sha256": hashlib.sha256(samples.encode()).hexdigest()} if samples else {}
    rows = [",".join(("dataset,split,recordings,events,classes,sensor,md5", *listed))]
    for split in SPLITS:
        with beside(snakemake.output[split]) as part, part.open("wb") as file:
            np.savez(file, **recordings[split].to_arrays())
        made = recordings[split]
        md5 = hashlib.md5(Path(snakemake.output[split]).read_bytes()).hexdigest()
        sensor = "x".join(map(str, made.sensor_size))
        events = sum(len(made[index]) for index in range(len(made)))
        fields = (
            dataset,
            split,
            len(made),
            events,
            len(made.classes),
            sensor,
            md5,
            *listed.values(),
        )
        rows.append(",".join(map(str, fields)))
    write_text(snakemake.output.table, "\n".join(rows) + "\n")
    say(", ".join(f"{split} {len(recordings[split])}" for split in SPLITS) + " recordings")

"""Events to frames [R, T, 2, H, W], split by split, and a table of what was framed."""

import hashlib
from collections.abc import Iterable, Iterator

import pandas as pd
from jobs import Named, Say, write_settings, write_text
from numpy.typing import NDArray
from reading import read_text
from splits import md5_of, read_split
from tqdm import tqdm

from hetspike.atomic import sealed
from hetspike.data.events.recordings import SPLITS
from hetspike.data.frames import frames
from hetspike.data.samples import store


def main(*, input: Named, output: Named, params: Named, wildcards: Named, say: Say) -> None:
    dataset, source = wildcards["dataset"], params["source"]
    # a column of its own: where samples are made, there is nothing to list
    samples = read_text(input["samples"]).encode()
    listed = {"samples_sha256": hashlib.sha256(samples).hexdigest()} if samples else {}
    rows = []
    for split in SPLITS:
        recordings = read_split(input[split], dataset, split, source)
        events: list[int] = []

        def counted(framed: Iterable[NDArray], events: list[int] = events) -> Iterator[NDArray]:
            for counts in framed:  # each event once, see `frames`
                events.append(int(counts.sum()))
                yield counts

        framed = counted(frames(recordings, **params["framing"]))
        shown = tqdm(framed, split, len(recordings), leave=False, disable=None, unit="recording")
        with sealed(output[split]) as part, part.open("wb") as file:
            shape = store(file, shown, recordings.labels, recordings.classes)
        rows.append(
            {
                "dataset": dataset,
                "split": split,
                "recordings": len(recordings),
                "events": sum(events),
                "classes": len(recordings.classes),
                "classes_present": len(recordings.classes) - len(recordings.missing()),
                "sensor": "x".join(map(str, recordings.sensor_size)),
                "md5": md5_of(recordings),
                **listed,
            }
        )
    write_text(output["table"], pd.DataFrame(rows).to_csv(index=False))
    write_settings(output["settings"], params["made_by"])
    say(f"{shape[1]} frames of {shape[-1]}x{shape[-2]} a recording")

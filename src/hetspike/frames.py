"""Events -> frames: how often each pixel fired in each of T slices of a recording.

With n events, event i at time t_i, a recording is cut either into slices

    count   of equal event count:  event i falls into step floor(i T / n)
    time    of equal duration:     event i falls into step floor((t_i - t_0) T / (t_last - t_0)),
                                   the last event into the last step

so that every event is counted exactly once. Slices of equal count differ by at most one event; an
event on the boundary between two durations belongs to the later one.
"""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hetspike.errors import UserError
from hetspike.events.recordings import OnDemand, Recordings

LARGEST_COUNT = np.iinfo(np.uint8).max


def steps_by_count(events: NDArray[np.void], steps: int) -> NDArray[np.int64]:
    """Step of each event, slices of equal event count: [E] -> [E]."""
    return np.arange(len(events)) * steps // max(len(events), 1)


def steps_by_time(events: NDArray[np.void], steps: int) -> NDArray[np.int64]:
    """Step of each event, slices of equal duration from first to last event: [E] -> [E]."""
    elapsed = events["t"] - events["t"][:1]
    duration = elapsed.max(initial=1)  # [us]; 1 where all events share one moment
    return np.minimum(elapsed * steps // duration, steps - 1)


SLICINGS = {"count": steps_by_count, "time": steps_by_time}


def event_counts(
    events: NDArray[np.void],
    sensor_size: tuple[int, int],
    *,
    steps: int,
    slice_by: Literal["count", "time"],
) -> NDArray[np.int64]:
    """Counts [T, 2, H, W] of a recording [E]; channel 0 counts darker, channel 1 brighter."""
    assert steps > 0, "at least one step"
    width, height = sensor_size
    shape = (steps, 2, height, width)
    step = SLICINGS[slice_by](events, steps)
    polarity = events["p"].astype(np.intp)
    cells = np.ravel_multi_index((step, polarity, events["y"], events["x"]), shape)
    return np.bincount(cells, minlength=math.prod(shape)).reshape(shape)


def frames(
    recordings: Recordings | OnDemand, *, steps: int, slice_by: Literal["count", "time"]
) -> Iterator[NDArray[np.uint8]]:
    """The counts of each recording as bytes, [T, 2, H, W].

    One at a time: together they may be too large for memory. A recording of fewer events than steps
    has empty frames, one without events only those. Raises UserError where a pixel fires more often
    in a slice than a byte can count: cutting the count off would lose events without a word.
    """
    for index in range(len(recordings)):
        counts = event_counts(
            recordings[index], recordings.sensor_size, steps=steps, slice_by=slice_by
        )
        if counts.max() > LARGEST_COUNT:
            raise UserError(
                f"recording {index}: a pixel fires {counts.max()} times in one of {steps} steps, "
                f"more than the {LARGEST_COUNT} that a frame counts: set more `steps`"
            )
        yield counts.astype(np.uint8)

"""Frames: the number of events of each pixel in each of T time steps of a recording.

A recording has n events, event i at time t_i. It is divided into T steps

    count   of equal event count:  event i belongs to step floor(i T / n)
    time    of equal duration:     event i belongs to step floor((t_i - t_0) T / (t_last - t_0)),
                                   the last event to the last step

so that every event is counted exactly once. Steps of equal count differ by at most one event. An
event on the boundary between two steps of equal duration belongs to the later step.
"""

from collections.abc import Iterator
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from hetspike.data.events.formats import LONGEST
from hetspike.data.events.recordings import EVENT, OnDemand, Recordings
from hetspike.errors import UserError
from hetspike.kernels.events import count

LARGEST_COUNT = np.iinfo(np.uint8).max
LARGEST_FRAMES = 2**29  # values of a recording's frames, 2 GiB as int32
MOST_STEPS = 2**20  # multiplied by the duration of the longest recording, it fits 63 bits
SLICINGS = ["count", "time"]


def event_counts(
    events: NDArray[np.void],
    sensor_size: tuple[int, int],
    *,
    steps: int,
    slice_by: Literal["count", "time"],
    where: str = "the recording",
    dtype: type[np.integer] = np.int32,
) -> NDArray[Any]:
    """Count the events [E] of a recording: [T, 2, H, W]; channel 0 is darker, 1 is brighter.

    Raises UserError, with `where` in the message, for wrong events (see `check_events`), and for a
    pixel with more events in a step than the dtype can count.
    """
    assert steps > 0, "at least one step"
    width, height = sensor_size
    usual = isinstance(events, np.ndarray) and events.dtype == EVENT and events.ndim == 1
    if not usual:
        check_events(events, sensor_size, where)
    t, p, y, x = (events[name] if usual else events[name].astype(np.int64) for name in "tpyx")
    counts = np.zeros((steps, 2, height, width), dtype)
    if not count(t, p, y, x, slice_by == "time", LONGEST, counts):
        check_events(events, sensor_size, where)
        most = event_counts(events, sensor_size, steps=steps, slice_by=slice_by).max()
        raise UserError(
            f"{where}: a pixel fires {most} times in one of {steps} steps, more than the "
            f"{np.iinfo(dtype).max} that a frame counts: set more `steps`"
        )
    return counts


def frames(
    recordings: Recordings | OnDemand, *, steps: int, slice_by: Literal["count", "time"]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames [T, 2, H, W] of each recording as bytes, one recording at a time.

    All recordings together may be too large for memory. A recording with fewer events than steps
    has some empty frames. Raises UserError for wrong `steps`, `slice_by` or sensors, and for what
    `event_counts` refuses: a smaller count would lose events without a notice.
    """
    size = _checked_size(recordings, steps, slice_by)
    for index in range(len(recordings)):
        yield event_counts(
            recordings[index],
            size,
            steps=steps,
            slice_by=slice_by,
            where=f"recording {index}",
            dtype=np.uint8,
        )


def check_events(events: NDArray[np.void], sensor_size: tuple[int, int], where: str) -> None:
    """Raise UserError unless events are an array [E] with the fields of `recordings.EVENT`.

    The fields may have any integer type. The message names `where`. Events outside the sensor, with
    polarities other than 0 and 1, back in time or over a longer time than LONGEST are errors, too.
    """

    def refuse(problem: str) -> NoReturn:
        raise UserError(f"{where} {problem}: give events in order of time, of the type EVENT")

    names = events.dtype.names if isinstance(events, np.ndarray) else None
    if names is None or events.ndim != 1:
        refuse("is no array [E] of events with fields")
    for name, kinds in {"x": "iu", "y": "iu", "t": "iu", "p": "biu"}.items():
        if name not in names:
            refuse(f"has events without the field {name!r}")
        if (field := events.dtype[name]).kind not in kinds or field.shape:
            refuse(f"has events whose {name!r} is of the type {field}")
    for name, most in zip("xyp", (*sensor_size, 2), strict=True):
        if len(events) and not 0 <= events[name].min() <= events[name].max() < most:
            refuse(
                f"has events whose {name!r} goes from {events[name].min()} to "
                f"{events[name].max()}, not within 0 to {most - 1}"
            )
    t = events["t"]
    if (t[1:] < t[:-1]).any():
        refuse("has events that go back in time")
    if len(t) and int(t[-1]) - int(t[0]) > LONGEST:
        refuse("lasts longer than twelve days")


def _checked_size(recordings: Recordings | OnDemand, steps: int, slice_by: str) -> tuple[int, int]:
    """Return the sensor's width and height. Raises UserError if these steps give no frames."""
    if not isinstance(recordings, Recordings | OnDemand):
        raise UserError(f"{type(recordings).__name__} is no Recordings: make one of your events")
    if slice_by not in SLICINGS:
        raise UserError(f"slice_by is {slice_by!r}: take {' or '.join(SLICINGS)}")
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer):
        raise UserError(f"steps is {steps!r}: give a whole number")
    if not 1 <= steps <= MOST_STEPS:
        raise UserError(f"steps is {steps}: take 1 to {MOST_STEPS}")
    size = np.asarray(recordings.sensor_size)
    if size.shape != (2,) or size.dtype.kind not in "iu" or (size < 1).any():
        raise UserError(
            f"the sensor has {recordings.sensor_size} pixels: give its width and its height"
        )
    width, height = size.tolist()
    if (values := width * height * 2 * int(steps)) > LARGEST_FRAMES:
        raise UserError(
            f"{steps} steps of {width}x{height} pixels are {values:,} counts a recording, more "
            f"than {LARGEST_FRAMES:,}: set fewer `steps`"
        )
    if isinstance(recordings, Recordings) and not _laid_end_to_end(recordings):
        raise UserError(
            "the offsets of the recordings do not cut their events into one part for each label: "
            "use `Recordings.from_list`"
        )
    return width, height


def _laid_end_to_end(recordings: Recordings) -> bool:
    """Return whether the offsets divide all events into one part per label."""
    offsets, events = np.asarray(recordings.offsets), np.asarray(recordings.events)
    if offsets.shape != (len(recordings) + 1,) or offsets.dtype.kind not in "iu" or not events.ndim:
        return False
    ends = (int(offsets[0]), int(offsets[-1])) == (0, len(events))
    return ends and not (offsets[1:] < offsets[:-1]).any()

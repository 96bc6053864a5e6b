from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hetspike.data import frames as framing
from hetspike.data.events.recordings import EVENT, OnDemand, Recordings
from hetspike.errors import UserError

WIDTH, HEIGHT = 3, 2


def recording(*events: tuple[int, int, int, bool]) -> np.ndarray:
    """Events (x, y, t, p) as a structured array."""
    return np.array(list(events), dtype=EVENT)


def together(*recordings: np.ndarray, sensor_size: tuple[int, int] = (WIDTH, HEIGHT)) -> Recordings:
    many = len(recordings)
    return Recordings.from_list(recordings, [0] * many, range(many), sensor_size, ["only"])


FIVE = recording(
    (0, 0, 10, True), (2, 1, 11, False), (2, 1, 12, False), (1, 0, 20, True), (0, 1, 50, True)
)


def frames(recordings: Recordings, **how) -> np.ndarray:
    """Of all recordings together: [R, T, 2, H, W]."""
    one_by_one = list(framing.frames(recordings, **how))
    return np.stack(one_by_one) if one_by_one else np.empty((0, how["steps"], 2, HEIGHT, WIDTH))


events_in_time = st.lists(
    st.tuples(
        st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(0, 1000), st.booleans()
    ),
    max_size=60,
).map(lambda events: recording(*sorted(events, key=lambda event: event[2])))


def test_equal_count_by_hand():
    # floor(i * 2 / 5) for i = 0..4 is 0 0 0 1 1
    expected = np.zeros((1, 2, 2, HEIGHT, WIDTH), np.uint8)
    expected[0, 0, 1, 0, 0] = 1
    expected[0, 0, 0, 1, 2] = 2
    expected[0, 1, 1, 0, 1] = 1
    expected[0, 1, 1, 1, 0] = 1
    found = frames(together(FIVE), steps=2, slice_by="count")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_equal_time_by_hand():
    # 10 to 50 us in four slices of 10 us: [10, 20) [20, 30) [30, 40) [40, 50]
    expected = np.zeros((1, 4, 2, HEIGHT, WIDTH), np.uint8)
    expected[0, 0, 1, 0, 0] = 1
    expected[0, 0, 0, 1, 2] = 2
    expected[0, 1, 1, 0, 1] = 1  # t = 20, on the boundary, is in the later slice
    expected[0, 3, 1, 1, 0] = 1  # the last event is in the last slice
    np.testing.assert_array_equal(frames(together(FIVE), steps=4, slice_by="time"), expected)


@pytest.mark.parametrize(
    ("slice_by", "events", "per_step"),
    [
        ("count", [], [0, 0, 0, 0]),
        ("time", [], [0, 0, 0, 0]),
        ("count", [7], [1, 0, 0, 0]),
        ("time", [7], [1, 0, 0, 0]),
        ("count", [3, 5, 5], [1, 1, 1, 0]),  # floor(i * 4 / 3): 0 1 2
        ("time", [3, 5, 5], [1, 0, 0, 2]),
        ("time", [6, 6, 6], [3, 0, 0, 0]),  # all in one moment: no duration to cut
    ],
)
def test_few_events(slice_by, events, per_step):
    found = frames(
        together(recording(*((0, 0, t, True) for t in events))), steps=4, slice_by=slice_by
    )
    assert found.sum((0, 2, 3, 4)).tolist() == per_step


@pytest.mark.parametrize("slice_by", ["count", "time"])
@given(st.lists(events_in_time, max_size=4), st.integers(1, 9))
def test_every_event_is_counted_once(slice_by, recordings, steps):
    found = frames(together(*recordings), steps=steps, slice_by=slice_by)
    assert found.shape == (len(recordings), steps, 2, HEIGHT, WIDTH)
    for counted, events in zip(found, recordings, strict=True):
        # over all steps, each pixel and polarity holds exactly its own events
        expected = np.zeros((2, HEIGHT, WIDTH), int)
        np.add.at(expected, (events["p"].astype(int), events["y"], events["x"]), 1)
        np.testing.assert_array_equal(counted.sum(0), expected)


@given(events_in_time, st.integers(1, 9))
def test_counts_are_equal_to_within_one(events, steps):
    per_step = frames(together(events), steps=steps, slice_by="count").sum((0, 2, 3, 4))
    assert np.ptp(per_step) <= 1


@given(events_in_time, st.integers(1, 9))
def test_durations_are_those_of_a_histogram(events, steps):
    assume(len(events) and np.ptp(events["t"]) > 0)  # test_few_events has the other cases
    # numpy's bins are half-open but for the last; times shifted and scaled to integer edges
    scaled = (events["t"] - events["t"].min()) * steps
    expected, _ = np.histogram(scaled, bins=steps, range=(0, scaled.max()))
    per_step = frames(together(events), steps=steps, slice_by="time").sum((0, 2, 3, 4))
    np.testing.assert_array_equal(per_step, expected)


def random_events(count: int, duration: int, seed: int) -> np.ndarray:
    """Sorted events that start at t = 0 and end with a single one at t = duration."""
    rng = np.random.default_rng(seed)
    events = np.empty(count, EVENT)
    events["x"], events["y"] = rng.integers(WIDTH, size=count), rng.integers(HEIGHT, size=count)
    events["t"] = np.sort(rng.integers(duration, size=count))
    events["t"][0], events["t"][-1] = 0, duration
    events["p"] = rng.random(count) < 0.5
    return events


def tonic_frames(events: np.ndarray, **slicing: int) -> np.ndarray:
    from tonic.transforms import ToFrame

    return ToFrame(sensor_size=(WIDTH, HEIGHT, 2), **slicing)(events)


def test_equal_counts_agree_with_tonic():
    # tonic drops the remainder of events / steps, so the two agree where there is none
    events = random_events(240, 1000, seed=1)
    found = frames(together(events), steps=8, slice_by="count")[0]
    np.testing.assert_array_equal(found, tonic_frames(events, n_event_bins=8))


def test_equal_durations_agree_with_tonic_but_for_the_last_event():
    # tonic rounds the slice down to whole microseconds, here 1000 / 8 exactly, and leaves its end
    # open, which drops what happens at the very last moment
    events = random_events(240, 1000, seed=2)
    found = frames(together(events), steps=8, slice_by="time")[0].astype(int)
    last = events[-1]
    found[-1, int(last["p"]), last["y"], last["x"]] -= 1
    np.testing.assert_array_equal(found, tonic_frames(events, n_time_bins=8))


@pytest.mark.parametrize("slice_by", ["count", "time"])
def test_a_count_beyond_a_byte_is_an_error_not_a_loss(slice_by):
    most = recording(*((1, 1, 0, True) for _ in range(255)))
    assert frames(together(most), steps=1, slice_by=slice_by).max() == 255
    one_more = recording(*((1, 1, 0, True) for _ in range(256)))
    with pytest.raises(UserError, match=r"recording 1: a pixel fires 256 times .* `steps`"):
        frames(together(most, one_more), steps=1, slice_by=slice_by)


# What is no recording, or no way to frame one


def fields(**columns: object) -> np.ndarray:
    """Events of one recording, a keyword a field, of NumPy's own choice of types."""
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    length = len(next(iter(arrays.values())))
    events = np.empty(length, [(name, a.dtype, a.shape[1:]) for name, a in arrays.items()])
    for name, values in arrays.items():
        events[name] = values
    return events


def changed(**columns: object) -> np.ndarray:
    """Two sound events with other values."""
    return fields(**{"x": [0, 2], "y": [1, 0], "t": [5, 9], "p": [True, False]} | columns)


def without(name: str) -> np.ndarray:
    sound = changed()
    return fields(**{field: sound[field] for field in sound.dtype.names if field != name})


ODD_EVENTS = {
    "none": (None, "is no array"),
    "a list": ([(0, 0, 5, True)], "is no array"),
    "numbers": (np.zeros((2, 4)), "is no array"),
    "objects": (np.array([(0, 0, 5, True)], object), "is no array"),
    "two axes": (np.zeros((1, 2), EVENT), "is no array"),
    "one event alone": (np.zeros((), EVENT), "is no array"),
    "no x": (without("x"), "without the field 'x'"),
    "no y": (without("y"), "without the field 'y'"),
    "no t": (without("t"), "without the field 't'"),
    "no p": (without("p"), "without the field 'p'"),
    "fractions of pixels": (changed(x=[0.5, 1]), "'x' is of the type float64"),
    "a pixel that is NaN": (changed(y=[np.nan, 1]), "'y' is of the type float64"),
    "a moment that is NaN": (changed(t=[0, np.nan]), "'t' is of the type float64"),
    "polarities as numbers": (changed(p=[0.0, 1.0]), "'p' is of the type float64"),
    "polarities as words": (changed(p=["on", "off"]), "'p' is of the type <U3"),
    "pixels as objects": (changed(x=np.array([0, 1], object)), "'x' is of the type object"),
    "dates": (changed(t=np.array([0, 1], "M8[us]")), "'t' is of the type datetime64"),
    "complex": (changed(t=[0j, 1j]), "'t' is of the type complex128"),
    "pairs": (changed(x=[[0, 0], [1, 1]]), "'x' is of the type"),
    "left of the sensor": (changed(x=[-1, 2]), "'x' goes from -1 to 2, not within 0 to 2"),
    "right of it": (changed(x=[0, 3]), "'x' goes from 0 to 3, not within 0 to 2"),
    "above it": (changed(y=[1, -5]), "'y' goes from -5 to 1, not within 0 to 1"),
    "below it": (changed(y=[1, 2]), "'y' goes from 1 to 2, not within 0 to 1"),
    "darker as -1": (changed(p=[-1, 1]), "'p' goes from -1 to 1, not within 0 to 1"),
    "polarity 2": (changed(p=[0, 2]), "'p' goes from 0 to 2, not within 0 to 1"),
    "back in time": (changed(t=[9, 5]), "go back in time"),
    "years": (changed(t=[0, 2**41]), "lasts longer than twelve days"),
    "all of time": (changed(t=[-(2**63), 2**63 - 1]), "lasts longer than twelve days"),
}


def test_what_is_no_event_is_told_in_one_line(tried):
    for what, (events, problem) in ODD_EVENTS.items():
        recordings = OnDemand(
            names=("odd",),
            read=lambda _, events=events: events,
            labels=np.zeros(1, np.int64),
            groups=np.zeros(1, np.int64),
            sensor_size=(WIDTH, HEIGHT),
            classes=("only",),
        )
        with pytest.raises(UserError) as refused:
            list(framing.frames(recordings, steps=2, slice_by="time"))
        line = str(refused.value)
        assert line.startswith("recording 0 ") and problem in line and "\n" not in line, what
        assert line.endswith(": give events in order of time, of the type EVENT")
    tried("Framing", "Arrays that are no events", refused=len(ODD_EVENTS))


SOUND = together(FIVE)
ODD_CALLS = {
    "no steps": (SOUND, {"steps": 0}, "steps is 0: take 1 to 1048576"),
    "steps back": (SOUND, {"steps": -4}, "steps is -4: take 1 to"),
    "many steps": (SOUND, {"steps": 2**20 + 1}, "steps is 1048577: take 1 to"),
    "half a step": (SOUND, {"steps": 2.5}, "steps is 2.5: give a whole number"),
    "a yes": (SOUND, {"steps": True}, "steps is True: give a whole number"),
    "no number": (SOUND, {"steps": None}, "steps is None: give a whole number"),
    "another slicing": (SOUND, {"slice_by": "space"}, "slice_by is 'space': take count or time"),
    "no slicing": (SOUND, {"slice_by": []}, "slice_by is []: take count or time"),
    "a list": ([FIVE], {}, "list is no Recordings: make one of your events"),
    "no width": (replace(SOUND, sensor_size=(0, 2)), {}, "the sensor has (0, 2) pixels"),
    "one side": (replace(SOUND, sensor_size=34), {}, "the sensor has 34 pixels: give its width"),
    "three sides": (replace(SOUND, sensor_size=(3, 2, 2)), {}, "the sensor has (3, 2, 2) pixels"),
    "no memory": (replace(SOUND, sensor_size=(2**15,) * 2), {}, "are 4,294,967,296 counts a"),
    "few offsets": (replace(SOUND, offsets=np.array([0])), {}, "the offsets of the recordings"),
    "open end": (replace(SOUND, offsets=np.array([0, 4])), {}, "the offsets of the recordings"),
    "early begin": (replace(SOUND, offsets=np.array([-1, 5])), {}, "the offsets of the"),
    "halves": (replace(SOUND, offsets=np.array([0.0, 5.0])), {}, "the offsets of the"),
    "two labels": (replace(SOUND, labels=np.zeros(2, int)), {}, "the offsets of the recordings"),
}


def test_a_call_that_gives_no_frames_is_told_in_one_line(tried):
    for what, (recordings, changes, problem) in ODD_CALLS.items():
        with pytest.raises(UserError) as refused:
            list(framing.frames(recordings, **{"steps": 2, "slice_by": "count"} | changes))
        line = str(refused.value)
        assert problem in line and "\n" not in line, what
    tried("Framing", "Calls that give no frames", refused=len(ODD_CALLS))


@pytest.mark.parametrize("t", ["i1", "u1", ">i2", "i4", "u8"])
@pytest.mark.parametrize("place", ["u1", "i8", "u8"])
@pytest.mark.parametrize("p", ["?", "i1", "u8"])
def test_events_of_other_integers_give_the_same_frames(t, place, p):
    """Times of the narrow ones lie further apart than the type holds, or begin below zero."""
    moments = np.array([0, 40, 120, 127, 220]) - (100 if t in ("i1", ">i2") else 0)
    events = np.zeros(5, [("p", p), ("t", t), ("x", place), ("y", place), ("more", "f8")])
    same = np.zeros(5, EVENT)
    for array in (events, same):
        array["t"], array["x"], array["y"], array["p"] = (
            moments,
            [0, 1, 2, 0, 1],
            1,
            [0, 1] * 2 + [1],
        )
    for slice_by in ("count", "time"):
        found = framing.event_counts(events, (WIDTH, HEIGHT), steps=4, slice_by=slice_by)
        expected = framing.event_counts(same, (WIDTH, HEIGHT), steps=4, slice_by=slice_by)
        np.testing.assert_array_equal(found, expected)
        framing.check_events(events, (WIDTH, HEIGHT), "recording")

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hetspike import frames as framing
from hetspike.errors import UserError
from hetspike.events.recordings import EVENT, Recordings

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

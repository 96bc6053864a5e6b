"""What may not be shared between splits is not, on the material itself and not only its names."""

from itertools import combinations

import numpy as np
import pytest

from hetspike.data.events import stand_ins
from hetspike.data.events.recordings import EVENT, SPLITS
from hetspike.data.events.stand_ins import gestures, orbit_photos, saccade_digits
from hetspike.errors import UserError

DATASETS = {
    "sim-saccade-digits": (saccade_digits, 300_000),
    "sim-gestures": (gestures, 600_000),
    "sim-orbit-photos": (orbit_photos, 300_000),
}
COUNTS = {"train": 33, "validation": 22, "test": 24}


@pytest.fixture(scope="module", params=DATASETS)
def dataset(request):
    build, duration = DATASETS[request.param]
    return build, duration, build(**COUNTS, seed=3)


def same(left, right):
    return all(
        np.array_equal(array, right[split].to_arrays()[name])
        for split in SPLITS
        for name, array in left[split].to_arrays().items()
    )


def test_counts_and_classes(dataset):
    _, _, splits = dataset
    for split, count in COUNTS.items():
        recordings = splits[split]
        per_class = np.bincount(recordings.labels, minlength=len(recordings.classes))
        assert len(recordings) == count
        assert per_class.min() >= 1 and np.ptp(per_class) <= 1


def test_events_lie_in_the_sensor_and_are_sorted(dataset):
    _, duration, splits = dataset
    for recordings in splits.values():
        assert recordings.sensor_size == (32, 32)
        for i in range(len(recordings)):
            events = recordings[i]
            assert len(events) > 100
            assert np.all(np.diff(events["t"]) >= 0)
            assert events["t"][0] >= 0 and events["t"][-1] <= duration
            for axis in ("x", "y"):
                assert events[axis].min() >= 0 and events[axis].max() < 32


def test_no_group_in_two_splits(dataset):
    _, _, splits = dataset
    for one, other in combinations(SPLITS, 2):
        assert not set(splits[one].groups) & set(splits[other].groups)


def test_the_seed_decides_every_event(dataset):
    build, _, splits = dataset
    assert same(splits, build(**COUNTS, seed=3))
    other = build(**COUNTS, seed=4)
    assert not np.array_equal(splits["train"].events, other["train"].events)
    assert np.array_equal(splits["train"].groups, other["train"].groups)  # the deal is fixed


def test_a_recording_does_not_depend_on_how_many_are_asked_for(dataset):
    build, _, splits = dataset
    fewer = build(train=12, validation=2, test=11, seed=3)
    for split, recordings in fewer.items():
        for i in range(len(recordings)):
            assert np.array_equal(recordings[i], splits[split][i])
            assert recordings.groups[i] == splits[split].groups[i]


def test_more_recordings_than_the_material_gives(dataset):
    build, _, _ = dataset
    with pytest.raises(UserError, match=r"^sim-[a-z-]+: test = 100000 .* at most \d+"):
        build(train=1, validation=1, test=100_000, seed=0)


def test_digits_are_labelled_as_their_images():
    from sklearn.datasets import load_digits

    for recordings in saccade_digits(**COUNTS, seed=0).values():
        assert np.array_equal(load_digits().target[recordings.groups], recordings.labels)


def test_no_pixel_of_a_photograph_is_seen_in_two_splits(monkeypatch):
    """The pixels that interpolation reads, at every moment of every orbit, from `_view` itself."""
    views = []

    def spy(image, origin, matrix):
        views.append((image, origin, matrix))
        return embedded_view(image, origin, matrix)

    embedded_view = stand_ins._view
    monkeypatch.setattr(stand_ins, "_view", spy)
    monkeypatch.setattr(stand_ins, "simulate", lambda movies, *_: [np.empty(0, EVENT)])
    counts = {"train": 120, "validation": 60, "test": 60}
    orbit_photos(**counts, seed=5)

    corners = np.array([(0, 0), (0, 31), (31, 0), (31, 31)])
    seen: dict[int, dict[str, np.ndarray]] = {}
    looks = stand_ins.PLACES + 1  # at the places to choose from, then at the chosen orbit
    splits = np.repeat(SPLITS, [counts[name] * looks for name in SPLITS])
    for split, (image, origin, matrix) in zip(splits, views, strict=True):
        points = origin[:, None] + corners @ matrix.T
        low, high = np.floor(points.min((0, 1))), np.ceil(points.max((0, 1)))
        assert np.all(low >= 0) and np.all(high < image.shape[::-1])
        (left, top), (right, bottom) = low.astype(int), high.astype(int)
        masks = seen.setdefault(id(image), {name: np.zeros(image.shape, bool) for name in SPLITS})
        masks[split][top : bottom + 1, left : right + 1] = True
    assert len(seen) == 10
    for masks in seen.values():
        assert all(mask.any() for mask in masks.values())
        for one, other in combinations(SPLITS, 2):
            assert not np.any(masks[one] & masks[other])


def test_a_subject_keeps_body_and_habits(monkeypatch):
    """Two takes by one person are more alike than takes by two: in their numbers of events."""
    monkeypatch.setattr(stand_ins, "SUBJECTS", 60)  # 36 of them in the training split
    people = 36
    recordings = gestures(train=11 * people * 2, validation=0, test=0, seed=0)["train"]
    clapping = recordings.labels == 0
    counts = np.log(np.diff(recordings.offsets)[clapping])
    first, second = counts[:people], counts[people:]
    assert np.array_equal(*np.split(recordings.groups[clapping], 2))
    assert np.corrcoef(first, second)[0, 1] > 0.5

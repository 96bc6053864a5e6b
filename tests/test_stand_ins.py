"""What may not be shared between splits is not, on the material itself and not only its names."""

from itertools import combinations

import numpy as np
import pytest

from hetspike.data.events import characters, textures
from hetspike.data.events.characters import saccade_characters
from hetspike.data.events.gestures import gestures
from hetspike.data.events.recordings import SPLITS
from hetspike.data.events.textures import orbit_textures

DATASETS = {
    "sim-saccade-characters": (saccade_characters, 300_000),
    "sim-gestures": (gestures, 600_000),
    "sim-orbit-textures": (orbit_textures, 300_000),
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


@pytest.mark.parametrize("build", [saccade_characters, orbit_textures])
def test_every_recording_of_drawn_material_is_a_group_of_its_own(build):
    groups = np.concatenate([each.groups for each in build(**COUNTS, seed=0).values()])
    assert len(np.unique(groups)) == sum(COUNTS.values())


def test_characters_come_in_pairs_that_differ_in_a_stroke():
    skeletons = np.array([characters.skeleton(each) for each in range(characters.CHARACTERS)])
    assert np.array_equal(skeletons[::2, :-1], skeletons[1::2, :-1])
    for one, other in combinations(skeletons, 2):
        assert not np.array_equal(one, other)
    begin, bend, end = skeletons.swapaxes(0, 2)
    assert (np.abs(begin - bend).sum(-1) > 0).all() and (np.abs(bend - end).sum(-1) > 0).all()


def test_a_stroke_begins_and_ends_where_its_character_says(monkeypatch):
    """And bends towards the place between: halfway it is at a / 4 + b / 2 + c / 4."""
    monkeypatch.setattr(characters, "MISS", 0.0)
    begin, bend, end = characters.skeleton(5).swapaxes(0, 1)
    lines = characters.written(5, np.random.default_rng(0))
    np.testing.assert_allclose(lines[:, 0], begin)
    np.testing.assert_allclose(lines[:, -1], end)
    np.testing.assert_allclose(lines[:, characters.POINTS // 2], begin / 4 + bend / 2 + end / 4)


def test_coverage_by_hand():
    """A pen of radius 1 along y = 2 from x = 1 to x = 3: half of a pixel at a distance of 1."""
    y, x = np.mgrid[:5, :6].astype(float)
    found = characters.coverage(np.array([[(1.0, 2.0), (3.0, 2.0)]]), x, y, pen=1.0)
    np.testing.assert_allclose(found[2], [0.5, 1, 1, 1, 0.5, 0])
    np.testing.assert_allclose(found[:, 2], [0, 0.5, 1, 0.5, 0])


@pytest.mark.parametrize("kind", textures.KINDS)
def test_textures_of_a_kind_differ_and_none_is_brighter(kind):
    first, second = (textures.texture(kind, 40, np.random.default_rng(each)) for each in (0, 1))
    for image in (first, second):
        assert image.mean() == pytest.approx(0, abs=1e-9) and image.std() == pytest.approx(1)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.5


def test_stripes_repeat_at_their_wavelength():
    """Upright ones of 8 pixels: the strongest wave of a row of 40 pixels is the fifth."""
    x, y = np.meshgrid(np.arange(40) / 8, np.arange(40) / 8)
    row = textures.KINDS["stripes"](x, y, np.random.default_rng(0))[0]
    assert np.abs(np.fft.rfft(row)).argmax() == 5


def test_a_subject_performs_every_gesture_once():
    recordings = gestures(**COUNTS, seed=0)["train"]
    assert recordings.groups.tolist() == [i // 11 for i in range(33)]
    assert all(len(np.unique(each)) == 11 for each in recordings.labels.reshape(3, 11))


def test_a_subject_keeps_body_and_habits():
    """Gestures of one subject are more alike than those of two: in their numbers of events."""
    people = 36
    recordings = gestures(train=11 * people, validation=0, test=0, seed=0)["train"]
    counts = np.log(np.diff(recordings.offsets)).reshape(people, 11)
    usual = counts - counts.mean(0)  # against all subjects at the same gesture
    assert np.corrcoef(usual[:, ::2].mean(1), usual[:, 1::2].mean(1))[0, 1] > 0.5

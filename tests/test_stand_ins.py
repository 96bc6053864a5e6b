"""What may not be shared between splits is not, on the material itself and not only its names."""

from itertools import combinations

import numpy as np
import pytest

from hetspike.data.events import characters, rendering, stand_ins, textures
from hetspike.data.events.characters import saccade_characters
from hetspike.data.events.recordings import EVENT, SPLITS
from hetspike.data.events.stand_ins import gestures, orbit_photos, saccade_digits
from hetspike.data.events.textures import orbit_textures
from hetspike.errors import UserError

DATASETS = {
    "sim-saccade-digits": (saccade_digits, 300_000),
    "sim-gestures": (gestures, 600_000),
    "sim-orbit-photos": (orbit_photos, 300_000),
    "sim-saccade-characters": (saccade_characters, 300_000),
    "sim-orbit-textures": (orbit_textures, 300_000),
}
LIMITED = [saccade_digits, gestures, orbit_photos]
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


@pytest.mark.parametrize("build", LIMITED)
def test_more_recordings_than_the_material_gives(build):
    with pytest.raises(UserError, match=r"^sim-[a-z-]+: test = 100000 .* at most \d+"):
        build(train=1, validation=1, test=100_000, seed=0)


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


def test_digits_are_labelled_as_their_images():
    from sklearn.datasets import load_digits

    for recordings in saccade_digits(**COUNTS, seed=0).values():
        assert np.array_equal(load_digits().target[recordings.groups], recordings.labels)


def test_no_pixel_of_a_photograph_is_seen_in_two_splits(monkeypatch):
    """The pixels that interpolation reads, at every moment of every orbit, from `view` itself."""
    views = []

    def spy(image, origin, matrix):
        views.append((image, origin, matrix))
        return embedded_view(image, origin, matrix)

    embedded_view = stand_ins.view
    monkeypatch.setattr(stand_ins, "view", spy)
    monkeypatch.setattr(rendering, "simulate", lambda movies, *_: [np.empty(0, EVENT)])
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


def test_a_subject_keeps_body_and_habits():
    """Two takes by one person are more alike than takes by two: in their numbers of events."""
    people = 36  # of sixty, in the training split
    counts = {"train": 11 * people * 2, "validation": 0, "test": 0}
    recordings = gestures(**counts, seed=0, subjects=60)["train"]
    clapping = recordings.labels == 0
    counts = np.log(np.diff(recordings.offsets)[clapping])
    first, second = counts[:people], counts[people:]
    assert np.array_equal(*np.split(recordings.groups[clapping], 2))
    assert np.corrcoef(first, second)[0, 1] > 0.5

"""Three simulated datasets from material that the dependencies ship: nothing is downloaded.

Each keeps the recording protocol of a published dataset and is made of what the sensor model of
`simulator` sees of it, 32 x 32 pixels large:

    sim-saccade-digits   N-Caltech101: a still image, three saccades of 100 ms along a triangle
    sim-gestures         DVS128 Gesture: eleven gestures, told apart by motion; split by subject
    sim-orbit-photos     CIFAR10-DVS: an image on a smooth closed path, run through repeatedly

The material (images, subjects, regions of photographs) is dealt to the splits once and for all,
whatever the seed and the counts. Recording i of a split shows class i mod (number of classes),
and depends on nothing but the seed, the split and i.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetspike.data.events import drawn_person
from hetspike.data.events.drawn_person import GESTURES, MIDDLE, SIZE
from hetspike.data.events.recordings import SPLITS, Recordings, Splits
from hetspike.data.events.simulator import Pixel, simulate
from hetspike.errors import UserError, provided_by
from hetspike.settings import Count, Seed

BATCH = 64  # recordings simulated at once: bounds the memory, changes no event

# (class, group, random numbers) -> luminance [S, SIZE, SIZE]
Scene = Callable[[int, int, np.random.Generator], NDArray[np.floating]]
# split -> class -> the groups that show this class
Material = Mapping[str, Sequence[Sequence[int]]]

SUBJECTS = 300  # drawn people

# crops of photographs; lengths in pixels of a photograph
REGION = 64  # least width and height of a region
TILT = 0.15  # largest turn of a crop [rad]
PITCH = (0.9, 1.1)  # pixels of a photograph to one of the sensor
PLACES = 6  # to choose from
ORBIT = 2.0  # largest half axis of an orbit

# photograph -> pixels averaged into one, so that some features of its texture fit the field; all
# ship inside scikit-image's wheel
PHOTOS = {
    "brick": 2,
    "cell": 2,
    "chelsea": 1,
    "coins": 1,
    "grass": 2,
    "gravel": 1,
    "hubble_deep_field": 1,
    "moon": 1,
    "page": 1,
    "text": 1,
}


def saccade_digits(*, train: Count, validation: Count, test: Count, seed: Seed) -> Splits:
    """scikit-learn's 1,797 handwritten digits under three saccades; 300 ms, groups are images.

    Size, slant, angle, place and contrast are drawn per recording. The arguments are numbers of
    recordings. Raises UserError beyond four recordings an image.
    """
    from scipy import ndimage

    with provided_by("study"):
        from sklearn.datasets import load_digits

    digits = load_digits()
    pad, zoom = 2, 4
    smooth = [
        ndimage.zoom(np.pad(image / 16, pad), zoom, order=3, mode="grid-constant", grid_mode=True)
        for image in digits.images
    ]
    # the file lists one writer after another: consecutive images in a split keep writers apart
    material = _deal([np.flatnonzero(digits.target == c) for c in range(10)])

    times = np.arange(0, 300_001, 5_000)
    corners = 2.0 * np.array([(-1, 1), (0, -1), (1, 1), (-1, 1)])  # x, y [pixels]
    saccade, progress = np.divmod(np.minimum(times / 100_000, 2.999999), 1)
    here, there = corners[saccade.astype(int)], corners[saccade.astype(int) + 1]
    path = here + (there - here) * (progress**2 * (3 - 2 * progress))[:, None]  # starts, stops

    def scene(label: int, image: int, rng: np.random.Generator) -> NDArray[np.floating]:
        height = rng.uniform(18, 22)
        angle, slant = rng.uniform(-0.12, 0.12), rng.uniform(-0.15, 0.15)
        room = (SIZE - height) / 2 - 1
        centre = MIDDLE + rng.uniform(-room, room, 2)
        shape = _rotation(angle) @ np.array([[1, slant], [0, 1]]) * height / (8 * zoom)
        to_image = np.linalg.inv(shape)  # from sensor pixels to pixels of the enlarged image
        middle = (np.array(smooth[image].shape) - 1) / 2
        strokes = _view(smooth[image], middle - (centre + path) @ to_image.T, to_image)
        return np.exp(-rng.uniform(0.8, 1.2) * strokes)

    return _record(
        {"train": train, "validation": validation, "test": test},
        seed,
        scene,
        material,
        times,
        views=4,
        classes=[str(c) for c in range(10)],
        name="sim-saccade-digits",
    )


def gestures(*, train: Count, validation: Count, test: Count, seed: Seed) -> Splits:
    """A drawn figure performs the gestures of DVS128 Gesture; 600 ms, groups are subjects.

    Build, tempo, reach and clothes belong to the subject; place, phase, sway and light to the
    recording.
    The arguments are numbers of recordings. Raises UserError beyond two takes of a gesture by one
    subject.
    """
    material = _deal([np.arange(SUBJECTS)] * len(GESTURES))
    times = np.arange(0, 600_001, 8_000)

    def scene(label: int, subject: int, rng: np.random.Generator) -> NDArray[np.floating]:
        person = np.random.default_rng(
            np.random.SeedSequence(seed, spawn_key=(len(SPLITS), subject))
        )
        return drawn_person.draw(GESTURES[label], times * 1e-6, person, rng)

    return _record(
        {"train": train, "validation": validation, "test": test},
        seed,
        scene,
        material,
        times,
        views=2,
        classes=GESTURES,
        name="sim-gestures",
    )


def orbit_photos(*, train: Count, validation: Count, test: Count, seed: Seed) -> Splits:
    """Crops of ten photographs on a circular orbit, run through twice; 300 ms, groups are regions.

    Each photograph is cut into regions; a crop never leaves its region as it moves. Place, angle,
    scale, contrast, orbit and phase are drawn per recording. The arguments are numbers of
    recordings. Raises UserError beyond forty recordings a region.
    """
    photos = _photos()
    regions = _regions(photos)
    shuffled = np.random.default_rng(0).permutation(len(regions))  # splits all over a photograph
    material = _deal([[r for r in shuffled if regions[r].photo == c] for c in range(len(PHOTOS))])
    times = np.arange(0, 300_001, 5_000)

    def scene(label: int, region: int, rng: np.random.Generator) -> NDArray[np.floating]:
        # much of a photograph is bare: the most detailed of some random places, at a contrast
        # that gives every class the same number of events
        orbits = [_orbit(regions[region], times / times[-1], rng) for _ in range(PLACES)]
        detail = [_detail(_view(photos[label], origin[:1], matrix)) for origin, matrix in orbits]
        best = int(np.argmax(detail))
        contrast = rng.uniform(0.07, 0.10) / max(detail[best], 0.005)
        return np.exp(contrast * _view(photos[label], *orbits[best]))

    return _record(
        {"train": train, "validation": validation, "test": test},
        seed,
        scene,
        material,
        times,
        views=40,
        classes=tuple(PHOTOS),
        name="sim-orbit-photos",
    )


@dataclass(frozen=True)
class Region:
    """A rectangle of a photograph: rows top to bottom - 1, columns left to right - 1."""

    photo: int
    top: int
    bottom: int
    left: int
    right: int


def _photos() -> list[NDArray[np.float64]]:
    """The photographs' log luminance, shrunk as PHOTOS says."""
    with provided_by("study"):
        from skimage import color, data, transform

    photos = []
    for name, factor in PHOTOS.items():
        photo = getattr(data, name)()
        grey = color.rgb2gray(photo) if photo.ndim == 3 else photo / 255
        photos.append(np.log(transform.downscale_local_mean(grey, (factor, factor)) + 0.05))
    return photos


def _regions(photos: Sequence[NDArray[np.float64]]) -> list[Region]:
    """Each photograph in as many equal rectangles as have room for any crop and its orbit."""
    regions = []
    for index, photo in enumerate(photos):
        rows, columns = (np.linspace(0, n, n // REGION + 1).astype(int) for n in photo.shape)
        regions += [
            Region(index, top, bottom, left, right)
            for top, bottom in pairwise(rows.tolist())
            for left, right in pairwise(columns.tolist())
        ]
    return regions


def _orbit(
    region: Region, progress: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where a random orbit looks: `_view`'s origin [S, 2] and matrix, inside the region."""
    matrix = _rotation(rng.uniform(-TILT, TILT)) * rng.uniform(*PITCH)
    phase = 2 * np.pi * (2 * progress + rng.uniform(-0.05, 0.05))
    orbit = rng.uniform(1.5, ORBIT) * np.stack([np.cos(phase), np.sin(phase)], axis=-1)

    # half the extent of the turned field, then the orbit, then the pixel that interpolation adds
    margin = np.abs(matrix).sum(axis=1) * (SIZE / 2) + ORBIT + 1
    low = np.array([region.left, region.top]) + margin
    high = np.array([region.right, region.bottom]) - 1 - margin
    assert np.all(low <= high), "a region has room for every crop"
    centre = rng.uniform(low, high)
    return centre + orbit - matrix @ (MIDDLE, MIDDLE), matrix


def _detail(images: NDArray[np.floating]) -> float:
    """Mean absolute difference between neighbouring pixels of [S, H, W]."""
    return (
        float(np.abs(np.diff(images, axis=1)).mean() + np.abs(np.diff(images, axis=2)).mean()) / 2
    )


def _rotation(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _view(
    image: NDArray[np.floating],
    origin: NDArray[np.float64],
    matrix: NDArray[np.float64],
) -> NDArray[np.float64]:
    """What the sensor sees of an image, [S, SIZE, SIZE]; beyond the image there is 0.

    Sensor pixel (x, y) looks at image point origin[s] + matrix @ (x, y); points are (x, y) too.
    """
    from scipy import ndimage

    # written out: a BLAS product may round differently on another machine
    y, x = np.mgrid[:SIZE, :SIZE]
    columns, rows = (across * x + down * y for across, down in matrix)
    looks = [rows + origin[:, 1, None, None], columns + origin[:, 0, None, None]]
    return ndimage.map_coordinates(image, looks, order=1, mode="constant")


def _deal(members: Sequence[ArrayLike]) -> Material:
    """Groups of each class -> split -> groups of each class: first 60, next 15, last 25 %."""
    parts = []
    for groups in map(np.asarray, members):
        parts.append(np.split(groups, [int(groups.size * 0.6), int(groups.size * 0.75)]))
    return {split: [part[k].tolist() for part in parts] for k, split in enumerate(SPLITS)}


def _record(
    counts: Mapping[str, int],
    seed: int,
    scene: Scene,
    material: Material,
    times: ArrayLike,
    *,
    views: int,
    classes: Sequence[str],
    name: str,
) -> Splits:
    """Render and simulate so many recordings of each split, each group at most `views` times."""
    splits = {}
    for number, split in enumerate(SPLITS):
        groups = material[split]
        most = views * len(classes) * min(len(g) for g in groups)
        if counts[split] > most:
            raise UserError(
                f"{name}: {split} = {counts[split]} recordings, but its material gives at most "
                f"{most}; ask for fewer"
            )
        labels = [i % len(classes) for i in range(counts[split])]
        shown = [groups[c][i // len(classes) % len(groups[c])] for i, c in enumerate(labels)]
        events = []
        for begin in range(0, counts[split], BATCH):
            movies, seeds = [], []
            for i in range(begin, min(begin + BATCH, counts[split])):
                drawing, sensor = np.random.SeedSequence(seed, spawn_key=(number, i)).spawn(2)
                movies.append(scene(labels[i], shown[i], np.random.default_rng(drawing)))
                seeds.append(sensor)
            events += simulate(np.stack(movies), times, seeds, Pixel())
        splits[split] = Recordings.from_list(events, labels, shown, (SIZE, SIZE), classes)
    return splits

"""Three simulated datasets from material that the dependencies ship: nothing is downloaded.

Each keeps the recording protocol of a published dataset and is made of what the sensor model of
`simulator` sees of it, 32 x 32 pixels large:

    sim-saccade-digits   N-Caltech101: a still image, three saccades of 100 ms along a triangle
    sim-gestures         DVS128 Gesture: eleven gestures, told apart by motion; split by subject
    sim-orbit-photos     CIFAR10-DVS: an image on a smooth closed path, run through repeatedly

The material (images, subjects, regions of photographs) is dealt to the splits once and for all,
whatever the seed and the counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hetspike.data.events import drawn_person
from hetspike.data.events.drawn_person import GESTURES
from hetspike.data.events.recordings import SPLITS, Splits
from hetspike.data.events.rendering import (
    MIDDLE,
    SIZE,
    deal,
    detail,
    orbit,
    record,
    rotation,
    saccades,
    view,
)
from hetspike.errors import provided_by
from hetspike.settings import Count, Seed

# drawn people; of twenty, every split gets some
Subjects = Annotated[int, Field(ge=20, le=1_000_000)]

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
    material = deal([np.flatnonzero(digits.target == c) for c in range(10)])

    times = np.arange(0, 300_001, 5_000)
    path = saccades(times / 100_000, reach=2.0)

    def scene(label: int, image: int, rng: np.random.Generator) -> NDArray[np.floating]:
        height = rng.uniform(18, 22)
        angle, slant = rng.uniform(-0.12, 0.12), rng.uniform(-0.15, 0.15)
        room = (SIZE - height) / 2 - 1
        centre = MIDDLE + rng.uniform(-room, room, 2)
        shape = rotation(angle) @ np.array([[1, slant], [0, 1]]) * height / (8 * zoom)
        to_image = np.linalg.inv(shape)  # from sensor pixels to pixels of the enlarged image
        middle = (np.array(smooth[image].shape) - 1) / 2
        strokes = view(smooth[image], middle - (centre + path) @ to_image.T, to_image)
        return np.exp(-rng.uniform(0.8, 1.2) * strokes)

    return record(
        {"train": train, "validation": validation, "test": test},
        seed,
        scene,
        times,
        material=material,
        views=4,
        classes=[str(c) for c in range(10)],
        name="sim-saccade-digits",
    )


def gestures(
    *, train: Count, validation: Count, test: Count, seed: Seed, subjects: Subjects = 300
) -> Splits:
    """A drawn figure performs the gestures of DVS128 Gesture; 600 ms, groups are subjects.

    Build, tempo, reach and clothes belong to the subject; place, phase, sway and light to the
    recording. The arguments are numbers of recordings, and of the people who are dealt to the
    splits. Raises UserError beyond two takes of a gesture by one subject.
    """
    material = deal([np.arange(subjects)] * len(GESTURES))
    times = np.arange(0, 600_001, 8_000)

    def scene(label: int, subject: int, rng: np.random.Generator) -> NDArray[np.floating]:
        person = np.random.default_rng(
            np.random.SeedSequence(seed, spawn_key=(len(SPLITS), subject))
        )
        return drawn_person.draw(GESTURES[label], times * 1e-6, person, rng)

    return record(
        {"train": train, "validation": validation, "test": test},
        seed,
        scene,
        times,
        material=material,
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
    material = deal([[r for r in shuffled if regions[r].photo == c] for c in range(len(PHOTOS))])
    times = np.arange(0, 300_001, 5_000)

    def scene(label: int, region: int, rng: np.random.Generator) -> NDArray[np.floating]:
        # much of a photograph is bare: the most detailed of some random places, at a contrast
        # that gives every class the same number of events
        orbits = [_orbit(regions[region], times / times[-1], rng) for _ in range(PLACES)]
        sharpness = [detail(view(photos[label], origin[:1], matrix)) for origin, matrix in orbits]
        best = int(np.argmax(sharpness))
        contrast = rng.uniform(0.07, 0.10) / max(sharpness[best], 0.005)
        return np.exp(contrast * view(photos[label], *orbits[best]))

    return record(
        {"train": train, "validation": validation, "test": test},
        seed,
        scene,
        times,
        material=material,
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
    """Where a random orbit looks: `view`'s origin [S, 2] and matrix, inside the region."""
    matrix = rotation(rng.uniform(-TILT, TILT)) * rng.uniform(*PITCH)
    start, radius = rng.uniform(-0.05, 0.05), rng.uniform(1.5, ORBIT)
    path = orbit(progress, 2, radius, start)

    # half the extent of the turned field, then the orbit, then the pixel that interpolation adds
    margin = np.abs(matrix).sum(axis=1) * (SIZE / 2) + ORBIT + 1
    low = np.array([region.left, region.top]) + margin
    high = np.array([region.right, region.bottom]) - 1 - margin
    assert np.all(low <= high), "a region has room for every crop"
    centre = rng.uniform(low, high)
    return centre + path - matrix @ (MIDDLE, MIDDLE), matrix

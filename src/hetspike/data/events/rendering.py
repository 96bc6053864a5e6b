"""What simulated datasets share: views of an image that moves, and recordings of what is seen.

Recording i of a split shows class i mod (number of classes), and depends on nothing but the seed,
the split and i.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetspike.data.events.recordings import SPLITS, Recordings, Splits
from hetspike.data.events.simulator import Pixel, simulate

SIZE = 32  # sensor width and height [pixels]
BATCH = 64  # recordings simulated at once: bounds the memory, changes no event
APART = 1_000_000  # from the first group of a split to that of the next

# (class, group, random numbers) -> luminance [S, SIZE, SIZE]
Scene = Callable[[int, int, np.random.Generator], NDArray[np.floating]]


def rotation(angle: float) -> NDArray[np.float64]:
    """Return the matrix [2, 2] that turns (x, y) by an angle [rad]."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def view(
    image: NDArray[np.floating],
    origin: NDArray[np.float64],
    matrix: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what the sensor sees of an image, [S, SIZE, SIZE]; beyond the image there is 0.

    Sensor pixel (x, y) looks at image point origin[s] + matrix @ (x, y); points are (x, y) too.
    """
    from scipy import ndimage

    # written out: a BLAS product may round differently on another machine
    y, x = np.mgrid[:SIZE, :SIZE]
    columns, rows = (across * x + down * y for across, down in matrix)
    looks = [rows + origin[:, 1, None, None], columns + origin[:, 0, None, None]]
    return ndimage.map_coordinates(image, looks, order=1, mode="constant")


def detail(images: NDArray[np.floating]) -> float:
    """Return the mean absolute difference between neighbouring pixels of [S, H, W]."""
    return (
        float(np.abs(np.diff(images, axis=1)).mean() + np.abs(np.diff(images, axis=2)).mean()) / 2
    )


def saccades(progress: NDArray[np.floating], reach: float) -> NDArray[np.float64]:
    """Return where the eye looks, (x, y) [S, 2]: three straight saccades along a triangle.

    progress  0 to 3: how many saccades are over; each of them starts and stops gently
    """
    corners = reach * np.array([(-1, 1), (0, -1), (1, 1), (-1, 1)])
    saccade, part = np.divmod(np.minimum(progress, 2.999999), 1)
    here, there = corners[saccade.astype(int)], corners[saccade.astype(int) + 1]
    return here + (there - here) * (part**2 * (3 - 2 * part))[:, None]


def orbit(
    progress: NDArray[np.floating], rounds: int, radius: float, start: float
) -> NDArray[np.float64]:
    """Return places (x, y) [S, 2] on a circle.

    progress  0 to 1, of all rounds together
    start     where the circle begins, in rounds
    """
    phase = 2 * np.pi * (rounds * progress + start)
    return radius * np.stack([np.cos(phase), np.sin(phase)], axis=-1)


def record(
    counts: Mapping[str, int],
    seed: int,
    scene: Scene,
    times: ArrayLike,
    *,
    classes: Sequence[str],
    group: int = 1,
) -> Splits:
    """Render and simulate so many recordings of each split.

    group  recordings of a group, one after the other
    """
    splits = {}
    for number, split in enumerate(SPLITS):
        labels = [i % len(classes) for i in range(counts[split])]
        groups = [number * APART + i // group for i in range(counts[split])]
        events = []
        for begin in range(0, counts[split], BATCH):
            movies, seeds = [], []
            for i in range(begin, min(begin + BATCH, counts[split])):
                drawing, sensor = np.random.SeedSequence(seed, spawn_key=(number, i)).spawn(2)
                movies.append(scene(labels[i], groups[i], np.random.default_rng(drawing)))
                seeds.append(sensor)
            events += simulate(np.stack(movies), times, seeds, Pixel())
        splits[split] = Recordings.from_list(events, labels, groups, (SIZE, SIZE), classes)
    return splits

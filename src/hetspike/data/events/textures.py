"""The stand-in sim-orbit-textures: ten kinds of textures, drawn by rule, that move on a circle.

It keeps the protocol of CIFAR10-DVS: an image on a smooth closed path, run through repeatedly. A
kind of texture says how an image is built; scale, direction, phase and all that is irregular are
drawn for each recording. What tells one kind from another is what repeats, not where it is dark.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hetspike.data.events.recordings import Splits
from hetspike.data.events.rendering import SIZE, detail, orbit, record, view
from hetspike.settings import Count, Seed

Image = NDArray[np.float64]
# (x, y) in wavelengths, and random numbers -> values of the texture
Kind = Callable[[Image, Image, np.random.Generator], Image]

RADIUS = (1.5, 2.0)  # of the circle [pixels]
ROUNDS = 2
MARGIN = 4  # pixels of an image on each side of what the sensor sees of it at rest
WAVELENGTH = (6.0, 9.0)  # pixels from one feature to the next
GRAIN = 0.35  # of the noise that lies over every texture, in its standard deviations


def orbit_textures(*, train: Count, validation: Count, test: Count, seed: Seed) -> Splits:
    """Textures on a circle, run through twice; 300 ms. Every recording shows a texture of its own.

    Kind, scale, direction, contrast, circle and phase are drawn per recording. The arguments are
    numbers of recordings.
    """
    times = np.arange(0, 300_001, 5_000)
    kinds = list(KINDS)

    def scene(label: int, group: int, rng: np.random.Generator) -> NDArray[np.floating]:
        image = texture(kinds[label], SIZE + 2 * MARGIN, rng)
        start, radius = rng.uniform(-0.05, 0.05), rng.uniform(*RADIUS)
        seen = view(image, MARGIN + orbit(times / times[-1], ROUNDS, radius, start), np.eye(2))
        # the same number of events for every kind, about
        return np.exp(rng.uniform(0.07, 0.10) / detail(seen) * seen)

    return record(
        {"train": train, "validation": validation, "test": test},
        seed,
        scene,
        times,
        classes=kinds,
    )


def texture(kind: str, size: int, rng: np.random.Generator) -> Image:
    """Draw an image [size, size] of mean 0 and standard deviation 1."""
    angle, scale = rng.uniform(0, 2 * np.pi), rng.uniform(*WAVELENGTH)
    row, column = np.mgrid[:size, :size] / scale
    x = np.cos(angle) * column - np.sin(angle) * row
    y = np.sin(angle) * column + np.cos(angle) * row
    drawn = _standard(KINDS[kind](x, y, rng)) * rng.choice([-1.0, 1.0])
    return _standard(drawn + GRAIN * _standard(_grains(x, y, rng)))


def _standard(image: Image) -> Image:
    return (image - image.mean()) / image.std()


def _wave(x: Image, y: Image, angle: float, rng: np.random.Generator) -> Image:
    """Return a plane wave of one feature a unit, at a random phase."""
    along = np.cos(angle) * x + np.sin(angle) * y
    return np.cos(2 * np.pi * (along + rng.uniform()))


def _grains(x: Image, y: Image, rng: np.random.Generator) -> Image:
    """Waves of all directions: grains without any order."""
    grains = np.zeros_like(x)
    for k in range(12):
        angle, finer = 2 * np.pi * (k + rng.uniform()) / 12, rng.uniform(0.7, 1.4)
        grains += _wave(finer * x, finer * y, angle, rng)
    return grains


def _stripes(x: Image, y: Image, rng: np.random.Generator) -> Image:
    """Straight stripes."""
    return _wave(x, y, 0, rng)


def _ripples(x: Image, y: Image, rng: np.random.Generator) -> Image:
    """Stripes that swing to the left and to the right."""
    return _wave(
        x + 0.35 * np.sin(2 * np.pi * (y / rng.uniform(2.5, 4) + rng.uniform())), y, 0, rng
    )


def _checks(x: Image, y: Image, rng: np.random.Generator) -> Image:
    """Two sets of stripes at a right angle."""
    return _wave(x, y, 0, rng) + _wave(x, y, np.pi / 2, rng)


def _hexagons(x: Image, y: Image, rng: np.random.Generator) -> Image:
    """Three sets of stripes at 60 degrees."""
    return np.sum([_wave(x, y, k * np.pi / 3, rng) for k in range(3)], axis=0)


def _bricks(x: Image, y: Image, rng: np.random.Generator) -> Image:
    """Joints between bricks twice as long as high, each course half a brick on."""
    course, across = np.divmod(y + rng.uniform(), 1)
    along = (x / 2 + course / 2 + rng.uniform()) % 1
    nearest = np.minimum(np.minimum(across, 1 - across), 2 * np.minimum(along, 1 - along))
    return _line(nearest)


def _line(distance: Image) -> Image:
    """Return a soft line where the distance is 0, some fifth of a feature wide."""
    return np.exp(-((distance / 0.15) ** 2))


def _distances(x: Image, y: Image, loose: float, rng: np.random.Generator) -> Image:
    """Return the distances [2, size, size] to the nearest two points of a loose grid."""
    from scipy.spatial import KDTree

    columns, rows = (np.arange(np.floor(each.min()) - 1, each.max() + 2) for each in (x, y))
    grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    points = grid + loose * rng.uniform(-0.5, 0.5, grid.shape)
    found, _ = KDTree(points).query(np.stack([x, y], axis=-1), k=2)
    return np.moveaxis(found, -1, 0)


def _cells(x: Image, y: Image, rng: np.random.Generator) -> Image:
    """Borders between the surroundings of scattered points."""
    first, second = _distances(x, y, 0.9, rng)
    return _line(second - first)


def _discs(x: Image, y: Image, rng: np.random.Generator) -> Image:
    """Filled discs."""
    first, _ = _distances(x, y, 0.6, rng)
    return 1 / (1 + np.exp((first - 0.3) / 0.05))


def _rings(x: Image, y: Image, rng: np.random.Generator) -> Image:
    """Circles."""
    first, _ = _distances(x, y, 0.6, rng)
    return _line(first - 0.32)


def _dashes(x: Image, y: Image, rng: np.random.Generator) -> Image:
    """Short lines of all directions."""
    drawn = np.zeros_like(x)
    low, high = (np.array([end(each) for each in (x, y)]) for end in (np.min, np.max))
    for _ in range(int(np.prod(high - low) * 0.9)):
        (cx, cy), angle = rng.uniform(low, high), rng.uniform(0, np.pi)
        along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        across = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        drawn = np.maximum(drawn, _line(np.hypot(np.maximum(np.abs(along) - 0.5, 0), across)))
    return drawn


KINDS: dict[str, Kind] = {
    "grains": _grains,
    "stripes": _stripes,
    "ripples": _ripples,
    "checks": _checks,
    "hexagons": _hexagons,
    "bricks": _bricks,
    "cells": _cells,
    "discs": _discs,
    "rings": _rings,
    "dashes": _dashes,
}

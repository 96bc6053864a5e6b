"""The stand-in sim-saccade-characters: invented characters, written by invented hands.

It keeps the protocol of N-Caltech101: a still image under three saccades of 100 ms along a
triangle. A character is a few strokes, each a bent line between places of a grid. Whoever writes it
misses every place by a little, so that no two of the same character are alike.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hetspike.data.events.recordings import Splits
from hetspike.data.events.rendering import SIZE, record, rotation, saccades, view
from hetspike.settings import Count, Seed

CHARACTERS = 20
STROKES = 3
PLACES = 3  # to a side of the grid
MISS = 0.11  # standard deviation of a place [widths of the grid]
ALPHABET = 0  # seed of the characters: the same ones for all recordings
HEIGHT = (14.0, 19.0)  # pixels of the sensor
MARGIN = 2  # pixels around the sensor that the saccades reach
FINER = 2  # points of the drawing to a pixel of the sensor
POINTS = 12  # straight pieces of a stroke


def saccade_characters(*, train: Count, validation: Count, test: Count, seed: Seed) -> Splits:
    """Characters under three saccades; 300 ms. Every recording shows a writing of its own.

    Strokes, size, slant, angle, place, pen and contrast are drawn per recording. The arguments are
    numbers of recordings.
    """
    times = np.arange(0, 300_001, 5_000)
    path = saccades(times / 100_000, reach=2.0)
    side = SIZE + 2 * MARGIN
    y, x = np.mgrid[: side * FINER, : side * FINER] / FINER

    def scene(character: int, group: int, rng: np.random.Generator) -> NDArray[np.floating]:
        height, slant = rng.uniform(*HEIGHT), rng.uniform(-0.2, 0.2)
        shape = rotation(rng.uniform(-0.15, 0.15)) @ np.array([[1, slant], [0, 1]]) * height
        room = (SIZE - height) / 2 - 2
        lines = (written(character, rng) - 0.5) @ shape.T + side / 2 + rng.uniform(-room, room, 2)
        strokes = coverage(lines, x, y, pen=rng.uniform(0.7, 1.1))
        seen = view(strokes, FINER * (MARGIN - path), FINER * np.eye(2))
        return np.exp(-rng.uniform(0.8, 1.2) * seen)

    return record(
        {"train": train, "validation": validation, "test": test},
        seed,
        scene,
        times,
        classes=[f"character {number}" for number in range(CHARACTERS)],
    )


def skeleton(character: int) -> NDArray[np.float64]:
    """Return where the strokes of a character begin, bend and end: [STROKES, 3, 2] in 0 to 1.

    Characters come in pairs that have all but the last stroke in common.
    """
    strokes = []
    for k in range(STROKES):
        last = k == STROKES - 1
        rng = np.random.default_rng([ALPHABET, character if last else character // 2, k])
        places = rng.choice(PLACES**2, 3, replace=False)
        strokes.append(np.stack(np.divmod(places, PLACES), axis=-1) / (PLACES - 1))
    return np.array(strokes)


def written(character: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the strokes as lines [STROKES, POINTS + 1, 2] of one writing."""
    places = skeleton(character)
    begin, bend, end = np.moveaxis(places + rng.normal(0, MISS, places.shape), 1, 0)[:, :, None]
    part = np.linspace(0, 1, POINTS + 1)[:, None]
    return (1 - part) ** 2 * begin + 2 * part * (1 - part) * bend + part**2 * end


def coverage(
    lines: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], pen: float
) -> NDArray[np.float64]:
    """Return how much of each pixel at x, y [H, W] a pen of that radius covers, 0 to 1."""
    nearest = np.full(x.shape, np.inf)
    for line in lines:
        for (ax, ay), (bx, by) in pairwise(line):
            dx, dy = bx - ax, by - ay
            along = ((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-9)
            along = np.clip(along, 0, 1)
            nearest = np.minimum(nearest, np.hypot(x - ax - along * dx, y - ay - along * dy))
    return np.clip(pen + 0.5 - nearest, 0, 1)

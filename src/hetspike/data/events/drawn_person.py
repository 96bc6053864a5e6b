"""A drawn person who performs the gestures of DVS128 Gesture before a still camera.

Sides are the person's own: the right hand is seen on the left. Directions are the viewer's.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetspike.data.events.rendering import SIZE

GESTURES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter clockwise",
    "left arm clockwise",
    "left arm counter clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)


def draw(
    gesture: str,
    seconds: NDArray[np.floating],
    person: np.random.Generator,
    rng: np.random.Generator,
) -> NDArray[np.floating]:
    """Luminance [S, SIZE, SIZE] of a head, a torso and two arms of two segments each."""
    # the person: build [pixels], habits, clothes
    arm = person.uniform(9.5, 12)
    shoulder, torso = person.uniform(3.2, 4.8), person.uniform(11, 14)
    limb, head = person.uniform(1.0, 1.5), person.uniform(2.3, 3.0)
    tempo, reach = person.uniform(1.5, 2.2), person.uniform(0.85, 1.1)
    contrast = person.uniform(0.25, 0.7)
    sleeve = person.uniform(0.5, 0.8)  # torso and head against the arms

    # this take
    place = np.array([(SIZE - 1) / 2, 12]) + rng.uniform((-4, -2), (4, 2))
    sway = rng.uniform(0.2, 0.8, 2) * np.sin(
        2 * np.pi * (rng.uniform(0.5, 1.5, 2) * seconds[:, None] + rng.uniform(0, 1, 2))
    )
    neck = place + sway
    phase = 2 * np.pi * (tempo * rng.uniform(0.9, 1.1) * seconds + rng.uniform(0, 1))
    contrast *= rng.uniform(0.8, 1.2)

    body = np.maximum(
        _capsule(neck, (0, 0.8 * shoulder), (0, torso), 0.8 * shoulder),
        _capsule(neck, (0, -head - 1), (0, -head - 1), head),
    )
    arms = np.zeros_like(body)
    for side, hand in zip((-1, 1), _hands(gesture, phase, person, rng), strict=True):
        hand = arm * reach * hand
        down = hand[:, 1:] / arm
        bend = np.sqrt(np.maximum(arm**2 - (hand**2).sum(1, keepdims=True), 0)) / 2
        elbow = hand / 2 + np.tanh(4 * down) * bend * _turned(hand)
        joint = neck + np.array([side * shoulder, 1])
        outward = np.array([side, 1])  # to image coordinates
        arms = np.maximum(arms, _capsule(joint, 0 * elbow, outward * elbow, limb))
        arms = np.maximum(arms, _capsule(joint, outward * elbow, outward * hand, limb))
    return np.exp(contrast * np.maximum(arms, sleeve * body))


def _hands(
    gesture: str,
    phase: NDArray[np.floating],
    person: np.random.Generator,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Paths [2, S, 2] of the right and the left hand from their shoulders, in arm lengths.

    Coordinates are (outward, down): the two hands mirror each other where they are equal.
    """
    wave, quarter = np.sin(phase), np.cos(phase)
    idle = 0.05 * np.sin(phase * person.uniform(0.3, 0.6) + rng.uniform(0, 2 * np.pi))
    rest = _path(0.12 + idle, 0.9)
    side = {"right": 0, "left": 1}.get(gesture.split()[0])
    hands = np.stack([rest, rest])
    match gesture.split()[-1]:
        case "clapping":
            hands[:] = _path(-0.1 + 0.3 * wave, 0.35)
        case "wave":
            hands[side] = _path(0.45 + 0.35 * wave, -0.6)
        case "clockwise":
            turn = -1 if "counter" in gesture else 1
            hands[side] = 0.85 * _path((1 if side else -1) * quarter, turn * wave)
        case "roll":
            hands[0] = _path(-0.4 - 0.25 * quarter, 0.35 + 0.25 * wave)
            hands[1] = _path(-0.4 - 0.25 * quarter, 0.35 - 0.25 * wave)
        case "drums":
            hands[0] = _path(0.15, 0.3 + 0.3 * wave)
            hands[1] = _path(0.15, 0.3 - 0.3 * wave)
        case "guitar":
            hands[0] = _path(-0.2, 0.5 + 0.25 * wave)
            hands[1] = _path(0.8 + idle, 0.1)
        case "gestures":  # everyone's own invention
            centre = person.uniform((0, -0.5), (0.4, 0.5))
            swing, lag = person.uniform(0.2, 0.5, 2), person.uniform(0, 2 * np.pi)
            hands[:] = centre + swing * _path(wave, np.sin(phase + lag))
    return hands


def _path(outward: ArrayLike, down: ArrayLike) -> NDArray[np.float64]:
    return np.stack(np.broadcast_arrays(outward, down), axis=-1)


def _capsule(
    joint: NDArray[np.float64], a: ArrayLike, b: ArrayLike, radius: float
) -> NDArray[np.float32]:
    """Anti-aliased coverage [S, SIZE, SIZE] of all points within radius of the segment a b.

    a and b are seen from the joint: [2], or [S, 2] when they move against it.
    """
    start, end = (np.add(joint, point).astype(np.float32)[:, :, None, None] for point in (a, b))
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    along_x, along_y = (end - start).swapaxes(0, 1)
    dx, dy = x - start[:, 0], y - start[:, 1]
    length = np.maximum(along_x**2 + along_y**2, 1e-6)  # squared; 0 for a disc
    nearest = np.clip((dx * along_x + dy * along_y) / length, 0, 1)
    distance = np.sqrt((dx - nearest * along_x) ** 2 + (dy - nearest * along_y) ** 2)
    return np.clip(radius + 0.5 - distance, 0, 1)


def _turned(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors [S, 2] at a right angle to v."""
    return np.stack([v[:, 1], -v[:, 0]], axis=-1) / np.linalg.norm(v, axis=1, keepdims=True)

"""The stand-in sim-gestures: drawn figures perform the gestures of DVS128 Gesture.

It keeps the protocol of DVS128 Gesture: eleven gestures, told apart by motion, and a split by
subject. Every subject performs each gesture once.
"""

import numpy as np
from numpy.typing import NDArray

from hetspike.data.events import drawn_person
from hetspike.data.events.drawn_person import GESTURES
from hetspike.data.events.recordings import SPLITS, Splits
from hetspike.data.events.rendering import record
from hetspike.settings import Count, Seed


def gestures(*, train: Count, validation: Count, test: Count, seed: Seed) -> Splits:
    """Gestures of 600 ms; groups are subjects.

    Build, tempo, reach and clothes belong to the subject; place, phase, sway and light to the
    recording. The arguments are numbers of recordings, of which each subject has eleven.
    """
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
        classes=GESTURES,
        group=len(GESTURES),
    )

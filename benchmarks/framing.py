"""Events a second that become frames: `hetspike.data.frames` against tonic's ToFrame.

    python benchmarks/framing.py

Recordings of every stand-in. Ours checks every event first and counts in bytes in the end.
"""

import time

from measuring import SIDE, Row, T, in_turn, middle, say, section
from measuring import recordings as recorded
from tonic.transforms import ToFrame

from hetspike.data.frames import frames

STAND_INS = ["sim-saccade-characters", "sim-gestures", "sim-orbit-textures"]


def measure(*, recordings: int, rounds: int) -> list[Row]:
    """Time both on the recordings of each stand-in."""
    peer = ToFrame(sensor_size=(SIDE, SIDE, 2), n_time_bins=T)
    found = []
    for dataset in STAND_INS:
        say(dataset)
        of = recorded(dataset, recordings)
        kinds = {
            "tonic": lambda of=of: [peer(of[index]) for index in range(len(of))],
            "hetspike": lambda of=of: [*frames(of, steps=T, slice_by="time")],
        }
        for kind, taken in in_turn(kinds, rounds, time.process_time).items():
            about = {"dataset": dataset, "kind": kind, "recordings": len(of)}
            found.append(about | {"events": len(of.events), **middle(taken)})
    return found


if __name__ == "__main__":
    section(measure, recordings=200, rounds=9)

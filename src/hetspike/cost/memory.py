"""Energy of memory accesses, and the assumptions about hardware that it depends on.

The accesses are those of Lemaire 2022 (section 3). He lets every pair of an input and a weight read
and write a potential of 32 bits, and keeps weights in SRAM. Other hardware does neither, so both
are assumptions here: a ratio that they change is no property of a network.
"""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hetspike.cost.constants import CONSTANTS
from hetspike.cost.kinds import NEURONS, PRODUCTS

MEMORY = CONSTANTS["memory"]
# Where sums are while the pairs of a potential come in, and where weights are. "kept" is the least
# that hardware can need: its registers cost nothing, and one potential per output is at hand.
PER_PAIR, KEPT = "per pair", "kept"
SRAM, LOADED, DRAM = "SRAM", "DRAM, loaded once", "DRAM, every read"


class Assumptions(NamedTuple):
    """What the energy of memory accesses rests on; the defaults are those of the views.

    potentials  PER_PAIR: every pair reads and writes one. KEPT: in a register until its step is
                done, so each is read and written once a step
    width       bits of a potential in memory, whatever adds it up
    weights     SRAM: always there. LOADED: from DRAM, once a recording. DRAM: at every read
    smaller     how memories below 8 KB go on, a key of `memory.smaller` in energy.toml
    leaking     whether SRAM also leaks for the stated time of a recording
    """

    potentials: str = PER_PAIR
    width: int = MEMORY["number"]
    weights: str = SRAM
    smaller: str = "as_8_KB"
    leaking: bool = False


NAMED = Assumptions()
# All combinations of where potentials and weights are and how wide potentials are; the others one
# at a time.
ASSUMPTIONS = [
    *(Assumptions(*each) for each in product((PER_PAIR, KEPT), (32, 16, 8), (SRAM, LOADED, DRAM))),
    *(NAMED._replace(smaller=each) for each in MEMORY["smaller"] if each != NAMED.smaller),
    NAMED._replace(leaking=True),
]


def access(bits: Any, capacity: Any, smaller: str = NAMED.smaller) -> Any:
    """Return the energy of an access to some bits of an SRAM of `capacity` bytes [pJ].

    Horowitz's values for a word of 64 bits, interpolated linearly [Lemaire 2022, section 3]. A
    memory below 8 KB costs as much as one of 8 KB, the least that was measured.

    >>> print(access(64, 32 * 1024), access(64, 20))
    20.0 10.0
    """
    capacities, costs = zip(*MEMORY["smaller"][smaller], *MEMORY["sram"], strict=True)
    return bits / MEMORY["word"] * np.interp(capacity, capacities, costs)


def accesses(rows: pd.Series | pd.DataFrame, assumed: Assumptions = NAMED) -> Any:
    """Return the energy of reads and writes of events, weights, potentials and spikes [pJ].

    rows  one row of operations, or a table of them

    Every event is read once. Every pair of an input and a weight reads the weight at its packed
    width, from a memory of the size of the layer's weights. Every step reads and writes the
    potential of every neuron; so does every pair, unless potentials are kept. Every spike is
    written once. Events are words of 32 bits. Events and potentials are in memories of the size of
    the recording's events and of the layer's potentials. Products of activations and biases are
    left out.
    """
    neurons, counted = rows["kind"] == NEURONS, rows["kind"] != PRODUCTS
    pairs = (rows["macs"] + rows["acs"]) * counted
    events = rows["active"] * MEMORY["number"]
    weights = (rows["weights"] + rows["shared"]) * rows["bits"]
    potentials = rows["outputs"] * assumed.width
    updates = np.where(neurons, rows["inputs"], 0 if assumed.potentials == KEPT else pairs)
    energy = events * access(1, events / 8, assumed.smaller)
    energy += 2 * updates * access(assumed.width, potentials / 8, assumed.smaller)
    of_weight = access(rows["bits"], weights / 8, assumed.smaller)
    from_dram = rows["bits"] * MEMORY["dram"] / MEMORY["word"]
    energy += pairs * (from_dram if assumed.weights == DRAM else of_weight)
    if assumed.weights == LOADED:
        energy += rows["weights"] * (from_dram + of_weight)
    if assumed.leaking:
        leaking = np.where(neurons, potentials, weights + events)
        energy += leaking * MEMORY["leakage"] * MEMORY["time"]
    return energy

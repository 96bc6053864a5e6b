"""Energy of a network's inference, under views that assume different hardware.

The energy claims of this field are formulas. Each view here is one such formula, in picojoules a
recording, over the rows of a table of operations (columns of `cost.operations.Operation`). Several
views show which ratios survive a change of assumptions:

    bits_linear   stored weight bits, nothing else; in bits, not pJ
    field         4.6 pJ a MAC in the first layer, 0.9 pJ an AC everywhere else; blind to bits
    ops           what a datapath of these widths adds, shifts and multiplies
    memory        what it reads and writes, weights at their packed width [Lemaire 2022]
    total         ops + memory

The constants lie in energy.toml with their sources. Layers in float cost what fp32 costs.
"""

import math
import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import pandas as pd

from hetspike.cost.sizes import FLOAT_BITS, NUMBER_BITS
from hetspike.quantization.levels import SCHEMES, Arithmetic

CONSTANTS = tomllib.loads(files("hetspike.cost").joinpath("energy.toml").read_text())
FLOAT_ADD, FLOAT_MULTIPLY = CONSTANTS["float32"]["add"], CONSTANTS["float32"]["multiply"]
MEMORY = CONSTANTS["memory"]
# kinds of rows: a layer's synapses, a module's products of activations, a layer of neurons, numbers
# that are stored beside, and an operation whose cost is not known
SYNAPSES, PRODUCTS, NEURONS, OTHER = "synapses", "attention", "neurons", "other"
UNCOUNTED = "uncounted"


def add(bits: float) -> float:
    """Return the energy of a fixed-point addition of that width [pJ; QKeras].

    >>> round(add(32), 4)  # Horowitz measured 0.1
    0.1
    """
    return CONSTANTS["fixed_point"]["add"] * bits


def multiply(bits: int, other: int) -> float:
    """Return the energy of a fixed-point multiplication of these widths [pJ; QKeras].

    >>> round(multiply(8, 8), 3)  # Horowitz measured 0.2
    0.2
    """
    square, linear = CONSTANTS["fixed_point"]["multiply"]
    return square * bits * other + linear * math.sqrt(bits * other)


def shift(bits: int, value_bits: int) -> float:
    """Return the energy of a shift by an exponent of so many bits [pJ; QKeras].

    An addition at B log10(B) bits, B = sqrt(2^bits * value_bits).

    >>> round(shift(3, 8), 5)
    0.02258
    """
    width = math.sqrt(2**bits * value_bits)
    return add(width * math.log10(width)) if width > 1 else 0.0


def access(bits: float, capacity: float) -> float:
    """Return the energy of an access to so many bits of an SRAM of `capacity` bytes [pJ].

    Horowitz's points for a word of 64 bits, linear in between [Lemaire 2022, section 3].

    >>> access(64, 32 * 1024)
    20.0
    """
    capacities, costs = zip(*MEMORY["sram"], strict=True)
    return bits / MEMORY["word"] * float(np.interp(capacity, capacities, costs))


def accumulator_bits(row: pd.Series) -> int:
    """Return the width that no sum of this row exceeds, in bits.

    Synapses: weights with their exponents aligned, times the largest input seen, times the
    fan-in. Products of activations: the width of the largest sum seen.
    """
    if row["kind"] == PRODUCTS:
        return int(row["value_bits"])
    aligned = SCHEMES[row["scheme"]].levels(int(row["bits"])).aligned_bits
    weighted = row["value_bits"] if row["macs"] else 0  # a spike adds the weight as it is
    return int(aligned + weighted + math.ceil(math.log2(max(row["fan_in"], 1))))


def bits_linear(row: pd.Series) -> float:
    """Stored weight bits: the view under which the paper's energy ratio equals its compression."""
    return float(row["weights"] * row["bits"])


def field(row: pd.Series) -> float:
    """4.6 pJ a MAC + 0.9 pJ an AC, the usual model of spiking papers.

    The first layer, which sees the frames, multiplies at every place, unless they are spikes; every
    other row accumulates where inputs are not zero, integers of the residual stream included.
    """
    if row["first"] and row["macs"]:
        return float((FLOAT_MULTIPLY + FLOAT_ADD) * row["dense"])
    return float(FLOAT_ADD * (row["macs"] + row["acs"]))


def operations_of(row: pd.Series) -> Arithmetic:
    """Count the operations a recording that the view `ops` charges a row for."""
    macs, acs = row["macs"], row["acs"]
    if row["kind"] != SYNAPSES or row["bits"] == FLOAT_BITS:
        return Arithmetic(macs, 0, macs + acs)
    return SCHEMES[row["scheme"]].arithmetic(int(row["bits"]), macs=macs, acs=acs)


def ops(row: pd.Series) -> float:
    """Additions at the accumulator's width, and what weighs inputs that are not spikes.

    Products with a spike are ANDs, whose cost beside the addition is left out; factors of others
    are at most as wide as the largest sum. The leaks of neurons, alike in all networks, are left
    out, too.
    """
    each = operations_of(row)
    if not each.additions:
        return 0.0
    if row["bits"] == FLOAT_BITS:
        return float(FLOAT_MULTIPLY * each.multiplications + FLOAT_ADD * each.additions)
    bits, value_bits = int(row["bits"]), int(row["value_bits"])
    return float(
        each.multiplications * multiply(value_bits if row["kind"] == PRODUCTS else bits, value_bits)
        + each.shifts * shift(bits, value_bits)
        + each.additions * add(accumulator_bits(row))
    )


def memory(row: pd.Series) -> float:
    """Reads of events and weights, reads and writes of potentials, writes of spikes.

    As Lemaire 2022 counts a spiking layer (section 3): every event is read once, every pair reads
    one weight and one potential and writes it back; every neuron's potential is read and written
    at every step, and every spike written once. Weights are read at their packed width, from a
    memory that holds those of the layer; all else in words of 32 bits, from one that holds the
    layer's potentials or the recording's events. Products of activations and biases are left out.
    """
    number, bytes_each = MEMORY["number"], MEMORY["number"] / 8
    pairs = row["macs"] + row["acs"]
    updates = row["inputs"] if row["kind"] == NEURONS else pairs
    return float(
        row["active"] * access(number, row["active"] * bytes_each)
        + pairs * access(row["bits"], (row["weights"] + row["shared"]) * row["bits"] / 8)
        + 2 * updates * access(number, row["outputs"] * bytes_each)
    )


def total(row: pd.Series) -> float:
    """Operations and memory accesses together."""
    return ops(row) + memory(row)


class View(NamedTuple):
    """A formula for the energy of a row of operations, and how tables show it."""

    energy: Callable[[pd.Series], float]
    heading: str
    in_picojoules: bool = True
    # whether 8-bit weights alone change it: then it is also compared with a network of those
    int8: bool = True


# A new view is a function above and an entry here.
ENERGY_VIEWS = {
    # a network of 8-bit weights stores a quarter of the bits whatever is measured
    "bits_linear": View(bits_linear, "Weight bits", in_picojoules=False, int8=False),
    "field": View(field, "MAC and AC", int8=False),
    "ops": View(ops, "Operations"),
    "memory": View(memory, "Memory (32-bit potentials)"),
    "total": View(total, "Operations and memory (32-bit potentials)"),
}
INT8 = "int8"  # the operations of float-tuned at 8-bit uniform weights: a second reference
INT8_VIEWS = [name for name, view in ENERGY_VIEWS.items() if view.int8]


def energies(layers: pd.DataFrame) -> pd.DataFrame:
    """Compute the energy of each operation of one network, a column a view.

    The first row of synapses is the first layer: rows stand in the order of execution. Of what is
    not counted an energy is not known, NaN.
    """
    synapses = layers["kind"].eq(SYNAPSES)
    rows = layers.assign(first=synapses & synapses.cumsum().eq(1))
    counted = rows[rows["kind"].ne(UNCOUNTED)]
    views = {
        name: [view.energy(row) for _, row in counted.iterrows()]
        for name, view in ENERGY_VIEWS.items()
    }
    return pd.DataFrame(views, index=counted.index, dtype=float).reindex(layers.index)


def as_int8(layers: pd.DataFrame) -> pd.DataFrame:
    """Store the float layers of the same operations at 8-bit uniform: a second reference.

    layers  columns of `cost.operations.Operation` of one network or of many

    A layer stores a scale a channel more, and all its numbers in 16 bits; attention adds integers.
    Nothing that is counted changes. Columns made of these, as energies are, have to be made anew.
    """
    weights = layers["kind"].eq(SYNAPSES) & layers["bits"].eq(FLOAT_BITS)
    products = layers["kind"].eq(PRODUCTS) & layers["bits"].eq(FLOAT_BITS)
    scales = (layers["weights"] + layers["shared"]) // layers["fan_in"].clip(lower=1)
    return layers.assign(
        scheme=layers["scheme"].mask(weights, "uniform").mask(products, ""),
        bits=layers["bits"].mask(weights, 8).mask(products, 0),
        numbers=layers["numbers"] + scales.where(weights, 0),
        number_bits=layers["number_bits"].mask(weights, NUMBER_BITS),
    )

"""Energy of a network's inference, computed by views that assume different hardware.

Energy claims of this field are formulas. A view is one such formula, in picojoules per recording,
for one row of a table of operations (columns of `cost.operations.Operation`). Several views show
which ratios do not depend on the assumptions:

    bits_linear   stored weight bits only; in bits, not in pJ
    field         4.6 pJ per MAC in the first layer, 0.9 pJ per AC elsewhere; ignores bit widths
    ops           additions, shifts and multiplications of a datapath with these bit widths
    memory        reads and writes, with weights at their packed width [Lemaire 2022]
    total         ops + memory

The file energy.toml contains the constants and their sources. A ratio is the energy of a reference
divided by that of a network; the references are the operations of the float network as stored and
computed in fp32, fp16 or int8.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from hetspike.cost.constants import CONSTANTS
from hetspike.cost.kinds import PRODUCTS, SYNAPSES, UNCOUNTED
from hetspike.cost.memory import accesses
from hetspike.cost.sizes import NUMBER_BITS
from hetspike.names import FLOAT
from hetspike.quantization.levels import SCHEMES, Arithmetic

FLOATS = {32: CONSTANTS["float32"], 16: CONSTANTS["float16"]}


def add(bits: float) -> float:
    """Return the energy of a fixed-point addition of this width [pJ; QKeras].

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
    """Return the energy of a shift of a value by an exponent of `bits` bits [pJ; QKeras].

    It equals that of an addition of B log10(B) bits, B = sqrt(2^bits * value_bits).

    >>> round(shift(3, 8), 5)
    0.02258
    """
    width = math.sqrt(2**bits * value_bits)
    return add(width * math.log10(width)) if width > 1 else 0.0


def accumulator_bits(row: pd.Series) -> int:
    """Return the width of an accumulator that no sum of this row exceeds, in bits.

    Synapses: the width of a weight with its exponents aligned, plus that of the largest input,
    plus log2 of the fan-in. Products of activations: the width of the largest sum that occurred.
    """
    if row["kind"] == PRODUCTS:
        return int(row["value_bits"])
    aligned = SCHEMES[row["scheme"]].levels(int(row["bits"])).aligned_bits
    weighted = row["value_bits"] if row["macs"] else 0  # a spike adds the weight as it is
    return int(aligned + weighted + math.ceil(math.log2(max(row["fan_in"], 1))))


def bits_linear(row: pd.Series) -> float:
    """Return the stored weight bits. With this view the paper's energy ratio is its compression."""
    return float(row["weights"] * row["bits"])


def field(row: pd.Series) -> float:
    """Return 4.6 pJ per MAC + 0.9 pJ per AC, the usual model of spiking papers.

    The first layer, whose inputs are the frames, is charged a MAC for every dense pair, unless all
    inputs are 0 or 1. Every other row is charged an AC for every input that is not zero and each of
    its weights, also for integers above 1 of the residual stream.
    """
    if row["first"] and row["macs"]:
        return float((FLOATS[32]["multiply"] + FLOATS[32]["add"]) * row["dense"])
    return float(FLOATS[32]["add"] * (row["macs"] + row["acs"]))


def operations_of(row: pd.Series) -> Arithmetic:
    """Return the operations per recording for which the view `ops` charges a row."""
    macs, acs = row["macs"], row["acs"]
    if row["kind"] != SYNAPSES or row["scheme"] == FLOAT:
        return Arithmetic(macs, 0, macs + acs)
    return SCHEMES[row["scheme"]].arithmetic(int(row["bits"]), macs=macs, acs=acs)


def ops(row: pd.Series) -> float:
    """Return the energy of additions at the accumulator's width, multiplications and shifts.

    A product with a spike is an AND, whose cost is left out. A factor of another product of
    activations is charged as wide as their largest sum. The leaks of neurons, the same in all
    networks, are left out, too.
    """
    counts = operations_of(row)
    if not counts.additions:
        return 0.0
    if row["scheme"] == FLOAT:
        cost = FLOATS[row["bits"]]
        return float(cost["multiply"] * counts.multiplications + cost["add"] * counts.additions)
    bits, value_bits = int(row["bits"]), int(row["value_bits"])
    factor_bits = value_bits if row["kind"] == PRODUCTS else bits
    return float(
        counts.multiplications * multiply(factor_bits, value_bits)
        + counts.shifts * shift(bits, value_bits)
        + counts.additions * add(accumulator_bits(row))
    )


def memory(row: pd.Series) -> float:
    """Return the energy of memory accesses under the assumptions of Lemaire 2022.

    They are the defaults of `cost.memory.Assumptions`.
    """
    return float(accesses(row))


def total(row: pd.Series) -> float:
    """Return the energy of operations and memory accesses together."""
    return ops(row) + memory(row)


class View(NamedTuple):
    """A formula for the energy of a row of operations, and its heading in tables."""

    energy: Callable[[pd.Series], float]
    heading: str
    in_picojoules: bool = True
    # whether the energy depends on bit widths and is also compared with narrower references
    by_width: bool = True


# A new view is a function above and an entry here.
ENERGY_VIEWS = {
    # compared with fp32 alone: fp16 always has half of its bits, int8 a quarter
    "bits_linear": View(bits_linear, "Weight bits", in_picojoules=False, by_width=False),
    "field": View(field, "MAC and AC", by_width=False),
    "ops": View(ops, "Operations"),
    "memory": View(memory, "Memory (32-bit potentials)"),
    "total": View(total, "Operations and memory (32-bit potentials)"),
}


def energies(layers: pd.DataFrame) -> pd.DataFrame:
    """Compute the energy of each operation of one network, with one column per view.

    Rows are in the order of execution, so the first row of synapses is the first layer. Rows of
    the kind UNCOUNTED have the energy NaN.
    """
    synapses = layers["kind"].eq(SYNAPSES)
    rows = layers.assign(first=synapses & synapses.cumsum().eq(1))
    counted = rows[rows["kind"].ne(UNCOUNTED)]
    views = {
        name: [view.energy(row) for _, row in counted.iterrows()]
        for name, view in ENERGY_VIEWS.items()
    }
    return pd.DataFrame(views, index=counted.index, dtype=float).reindex(layers.index)


def as_fp16(layers: pd.DataFrame) -> pd.DataFrame:
    """Return the same operations with everything in float stored and computed in 16 bits."""
    in_float = layers["scheme"].eq(FLOAT)
    return layers.assign(
        bits=layers["bits"].mask(in_float, 16),
        number_bits=layers["number_bits"].mask(in_float & layers["kind"].eq(SYNAPSES), 16),
    )


def as_scheme(layers: pd.DataFrame, scheme: str, bits: int) -> pd.DataFrame:
    """Return the same operations with float layers stored as one scheme at one width.

    layers  columns of `cost.operations.Operation`, of one network or of several

    Each of these layers has one more number per channel, a scale, and 16 bits per number. Attention
    adds integers. Counts do not change. Other columns, such as energies, must be computed again.
    """
    in_float = layers["scheme"].eq(FLOAT)
    weights, products = (in_float & layers["kind"].eq(kind) for kind in (SYNAPSES, PRODUCTS))
    scales = (layers["weights"] + layers["shared"]) // layers["fan_in"].clip(lower=1)
    return layers.assign(
        scheme=layers["scheme"].mask(weights, scheme).mask(products, ""),
        bits=layers["bits"].mask(weights, bits).mask(products, 0),
        numbers=layers["numbers"] + scales.where(weights, 0),
        number_bits=layers["number_bits"].mask(weights, NUMBER_BITS),
    )


def as_int8(layers: pd.DataFrame) -> pd.DataFrame:
    """Return the same operations with float layers stored as 8-bit uniform."""
    return as_scheme(layers, "uniform", 8)


class Reference(NamedTuple):
    """What a network is compared with.

    charged  operations of the float network -> the same as this reference stores and computes them
    about    what a reader must know
    """

    charged: Callable[[pd.DataFrame], pd.DataFrame]
    about: str


FP32 = "fp32"
# A new reference is a function above and an entry here; the first one is that of all views.
REFERENCES = {
    FP32: Reference(lambda layers: layers, "the float network as it is"),
    "fp16": Reference(as_fp16, "the float network's operations in 16-bit floats"),
    "int8": Reference(
        as_int8,
        "these at 8-bit uniform weights, what any integer datapath gets without a search",
    ),
}

"""What a quantized network costs: sizes and energy from per-layer counts.

Every function takes the `layers` table, one row per operation of the network:
`weights` [stored numbers], `bits` [per weight], `macs` and `acs` [operations per recording].
"""

import pandas as pd

FLOAT_BITS = 32
# Horowitz, ISSCC 2014, 45 nm, 0.9 V, pJ: fp32 multiply 3.7 + add 0.9, and the add alone
MAC_PICOJOULE = 4.6
AC_PICOJOULE = 0.9


def effective_bits(layers: pd.DataFrame) -> float:
    """Mean bits per quantized weight, sum(n b) / sum(n): the paper's "effective resolution".

    Layers kept in float are not counted; a network without a quantized layer has 32 bits.
    """
    quantized = layers[(layers["weights"] > 0) & (layers["bits"] < FLOAT_BITS)]
    if quantized.empty:
        return float(FLOAT_BITS)
    return float((quantized["weights"] * quantized["bits"]).sum() / quantized["weights"].sum())


def compression(layers: pd.DataFrame) -> float:
    """32 / effective bits: the paper's compression, quantized weights only."""
    return FLOAT_BITS / effective_bits(layers)


def energy_bits_linear(layers: pd.DataFrame) -> float:
    """Weight traffic only, proportional to stored weight bits [arbitrary unit: bits].

    The view under which the paper's energy ratio equals its compression on two datasets.
    """
    return float((layers["weights"] * layers["bits"]).sum())


def energy_field(layers: pd.DataFrame) -> float:
    """4.6 pJ per MAC + 0.9 pJ per AC [pJ per recording], the usual model of spiking papers.

    MACs in the first layer, ACs by measured rates of non-zero inputs everywhere else, integers
    of the residual stream included. Blind to weight bits: only those rates can move it.
    """
    return float(MAC_PICOJOULE * layers["macs"].sum() + AC_PICOJOULE * layers["acs"].sum())


ENERGY_VIEWS = {"bits_linear": energy_bits_linear, "field": energy_field}

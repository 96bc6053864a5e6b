"""Sizes of a network, under five names that are often confused.

Every function takes a table of one row per operation, with the columns of
`cost.operations.Operation`; rows without stored numbers (attention, neurons) count nothing.
"""

import pandas as pd

FLOAT_BITS = 32
NUMBER_BITS = 16  # of a scale or bias of a quantized layer in a packed file


def _mean_bits(layers: pd.DataFrame, counts: str) -> float:
    """Bits of quantized weights, each layer by that column; those of float where there is none."""
    quantized = layers[(layers["bits"] > 0) & (layers["bits"] < FLOAT_BITS)]
    if not (total := quantized[counts].sum()):
        return float(FLOAT_BITS)
    return float((quantized[counts] * quantized["bits"]).sum() / total)


def effective_bits(layers: pd.DataFrame) -> float:
    """Return the mean bits per quantized weight, sum(n b) / sum(n) ["effective resolution"].

    Layers kept in float are not counted; a network without a quantized layer has 32 bits.
    """
    return _mean_bits(layers, "weights")


def compression(layers: pd.DataFrame) -> float:
    """Return 32 / effective bits: the paper's compression, of quantized weights only."""
    return FLOAT_BITS / effective_bits(layers)


def stored_bits(layers: pd.DataFrame) -> pd.Series:
    """Return all stored bits of each layer: weights at their width, scales and biases."""
    return layers["weights"] * layers["bits"] + layers["numbers"] * layers["number_bits"]


def model_bits(layers: pd.DataFrame) -> float:
    """Return the mean bits per stored number, with scales, biases and float layers.

    A quantized layer stores two numbers a channel, its scale and its bias: batch norm is folded
    into them.
    """
    return float(stored_bits(layers).sum() / (layers["weights"] + layers["numbers"]).sum())


def mac_bits(layers: pd.DataFrame) -> float:
    """Return the mean bits per quantized weight, weighted by its uses: sum(m b) / sum(m).

    m is the dense count of a layer's multiply-accumulates: its weights times where they are used.
    """
    return _mean_bits(layers, "dense")

"""Sizes of a network: five quantities that papers often confuse.

Every function takes a table with one row per operation and the columns of
`cost.operations.Operation`. Rows without stored numbers (attention, neurons) do not contribute.
"""

import pandas as pd

FLOAT_BITS = 32
NUMBER_BITS = 16  # of a scale or bias of a quantized layer in a packed file


def _mean_bits(layers: pd.DataFrame, counts: str) -> float:
    """Return the mean bits of quantized weights, weighted by a column; 32 if none is quantized."""
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
    """Return 32 / effective bits. Like the paper's compression, it is of quantized weights only."""
    return FLOAT_BITS / effective_bits(layers)


def stored_bits(layers: pd.DataFrame) -> pd.Series:
    """Return the stored bits of each layer: weights at their bit width, scales and biases."""
    return layers["weights"] * layers["bits"] + layers["numbers"] * layers["number_bits"]


def model_bits(layers: pd.DataFrame) -> float:
    """Return the mean bits per stored number, including scales, biases and float layers.

    A quantized layer stores two numbers per channel, a scale and a bias. The batch norm is folded
    into them.
    """
    return float(stored_bits(layers).sum() / (layers["weights"] + layers["numbers"]).sum())


def mac_bits(layers: pd.DataFrame) -> float:
    """Return the mean bits per quantized weight, weighted by its uses: sum(m b) / sum(m).

    m is the number of dense multiply-accumulates of a layer, as if no input were zero.
    """
    return _mean_bits(layers, "dense")

"""Names with a meaning: the cells that every study has, and how stand-ins are told apart."""

FLOAT = "float"
FLOAT_TUNED = "float-tuned"  # trained on as long as quantized cells: the reference of every drop
DISTILLED = "-kd"  # ends the name of a cell whose QAT learned from the float network as well
LINEAR = "linear"  # a linear classifier on summed event counts: what the sum alone gives away


def is_stand_in(dataset: str) -> bool:
    """Simulated stand-ins, and nothing else, are named sim-*."""
    return dataset.startswith("sim-")

"""Kinds of rows in a table of operations."""

SYNAPSES = "synapses"  # the weights of a layer
PRODUCTS = "attention"  # products of activations in a module
NEURONS = "neurons"  # of a layer
OTHER = "other"  # all other stored numbers
UNCOUNTED = "uncounted"  # an operation whose cost is not known

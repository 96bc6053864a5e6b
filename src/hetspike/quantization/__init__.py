"""Weights on the levels of a scheme."""

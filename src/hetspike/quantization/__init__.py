"""Quantization of weights: the levels of schemes, and quantizers."""

"""Kernels for CPUs: what spiking networks compute, as compiled loops over arrays."""

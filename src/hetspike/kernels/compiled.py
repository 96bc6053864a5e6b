"""How kernels are compiled, and where their machine code is kept."""

from numba import njit

compiled = njit(cache=True, error_model="numpy", nogil=True)

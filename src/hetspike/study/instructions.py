"""Instructions of the processor that the libraries of a study may use."""

# What every x86-64 server has, for `kernels: portable`: environment variables for jobs. Of MKL's
# settings only COMPATIBLE holds on all processors: it ignores AVX2 where they are not from Intel.
PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}

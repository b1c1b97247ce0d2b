"""Fused kernels for the CPU: recurrences over R replicas, forward and backward through time, in float32 and float64.

Each replica has a compiled loop over time; each step is one BLAS product and one pass of vector code. A replica's
numbers are the same to the last bit in any cohort, and a NaN stays in its replica.

`unroll.unroll` is the interface for any cell. numba is imported when a kernel is first used.
"""

"""Fused kernels for the CPU: recurrences over R replicas, forward and backward through time, in float32 and float64.

One compiled loop over time per replica; each step is one BLAS product and one pass of vector code. A replica's
numbers are the same to the last bit whatever others it travels with, and a NaN stays in its replica.

`unroll.unroll` is the door: it takes any cell. numba is imported when a kernel is first used.
"""

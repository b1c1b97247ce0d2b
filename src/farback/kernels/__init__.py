"""Fused kernels for the CPU: recurrences over R replicas, forward and backward through time, in float32 and float64.

A compiled loop runs over the steps of each replica; each step is one BLAS product and one pass of vector code. A
replica's numbers do not depend, to the last bit, on the other replicas, and a NaN stays in its replica.

`unroll.unroll` is the interface for any cell. numba is imported when a kernel is first used.
"""

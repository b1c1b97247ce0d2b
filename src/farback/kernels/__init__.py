"""Fused kernels for the CPU: recurrences over R replicas, forward and backward through time, in float32 and float64.

One compiled loop over time per replica; each step is one BLAS product and one pass of vector code. A replica's
numbers are the same to the last bit whatever others it travels with, and a NaN stays in its replica.
"""

from farback.kernels.diagonal import diagonal
from farback.kernels.elman import elman
from farback.kernels.gru import gru
from farback.kernels.lstm import lstm
from farback.kernels.nonlinearities import NONLINEARITIES
from farback.kernels.warming import supports, warm

__all__ = ["NONLINEARITIES", "diagonal", "elman", "gru", "lstm", "supports", "warm"]

"""Fused kernels."""
from farback.kernels.elman import elman

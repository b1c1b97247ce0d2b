"""Measures: one file each. See `base` for the interface.

The public functions work on any system: a `torch.nn.RNN`, `LSTM` or `GRU`, a farback network, or a callable.
"""

from farback.measures.base import FAMILY, Measure
from farback.measures.kernel_recovery import kernel_recovery
from farback.measures.retention import retention

build, names = FAMILY.build, FAMILY.names

__all__ = ["Measure", "build", "kernel_recovery", "names", "retention"]

"""Measures: one file each. See `base` for the interface.

The public functions work on any system: a `torch.nn.RNN`, `LSTM` or `GRU`, a farback network, or a callable.
"""

from farback.measures.base import FAMILY, Measure
from farback.measures.gate_times import gate_times
from farback.measures.gradient_reach import gradient_reach
from farback.measures.jacobian_norms import jacobian_norms
from farback.measures.lyapunov import lyapunov
from farback.measures.retention import retention

build, names = FAMILY.build, FAMILY.names

__all__ = ["Measure", "build", "gate_times", "gradient_reach", "jacobian_norms", "lyapunov", "names", "retention"]

"""The measures of memory, one in each file; the module `base` defines their interface.

The public functions work on any system: a `torch.nn.RNN`, `LSTM` or `GRU`, a farback network, or a callable.
"""

from farback.measures.base import FAMILY, Measure
from farback.measures.causal_reach import CausalReach, causal_reach
from farback.measures.diagnosis import Diagnosis, diagnosis
from farback.measures.fisher_memory import fisher_memory
from farback.measures.gate_times import gate_times
from farback.measures.gradient_reach import gradient_reach
from farback.measures.information_capacity import InformationCapacity, information_capacity
from farback.measures.jacobian_norms import jacobian_norms
from farback.measures.kernel_recovery import kernel_recovery
from farback.measures.last_output import last_output
from farback.measures.linear_memory_function import linear_memory_function
from farback.measures.lyapunov import lyapunov
from farback.measures.memory_function import MemoryFunction, memory_function
from farback.measures.multistability import Multistability, multistability
from farback.measures.probe import Probe, probe
from farback.measures.retention import Retention, retention
from farback.measures.support.length_matrix import LengthMatrix, length_matrix
from farback.measures.truncation_reach import TruncationReach, truncation_reach

build, names = FAMILY.build, FAMILY.names

__all__ = [
    "CausalReach",
    "Diagnosis",
    "InformationCapacity",
    "LengthMatrix",
    "Measure",
    "MemoryFunction",
    "Multistability",
    "Probe",
    "Retention",
    "TruncationReach",
    "build",
    "causal_reach",
    "diagnosis",
    "fisher_memory",
    "gate_times",
    "gradient_reach",
    "information_capacity",
    "jacobian_norms",
    "kernel_recovery",
    "last_output",
    "length_matrix",
    "linear_memory_function",
    "lyapunov",
    "memory_function",
    "multistability",
    "names",
    "probe",
    "retention",
    "truncation_reach",
]

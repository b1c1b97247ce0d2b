"""One interface to every kind of network that can be measured.

A system is a `torch.nn.RNN`, `LSTM` or `GRU` (any depth, either layout), a farback network of one replica, or a
callable `x_BTI -> (output_BTO, state_BTS)`, such as a user's own module. Measures see only the class `System`.

A callable that also takes a state, `(x_BTI, state=None) -> (output_BTO, state)`, can resume from any state; its state
must then contain everything that it remembers. It is returned for every step, (B, T, S), and passed back as (B, S); or
after the last step, in any shape with an axis of the sequences, also as a tuple, as `torch.nn.GRU` and `LSTM` do. If a
callable returns outputs only, or a second value that is not a state for every step, its outputs are used as its states.
A module with `batch_first = False` is called with (T, B, I). A module that is a single step, as `torch.nn.GRUCell`, is
run over the steps: `(x_BI, state) -> state` or `(x_BI, state) -> (output, state)`, at first without a state. What is
assumed of a callable is checked by running it.

User modules are never modified: a copy in evaluation mode is measured. Modules that a function uses are set to
evaluation mode while it runs.

Shapes: B sequences, T steps, I inputs, O outputs, S numbers of the *full* state: all layers, bottom to top, and all
parts of a layer's state (h and c of an LSTM); a complex number counts as two.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from farback.measures.support.callable_system import CallableSystem, CallError
from farback.measures.support.interface import System
from farback.measures.support.numbers import sequences
from farback.measures.support.torch_systems import ModuleSystem, NetworkSystem
from farback.networks.module_copies import has_own_forward
from farback.networks.network import Network

__all__ = ["System", "as_system", "measured"]

KINDS = "a torch.nn.RNN, LSTM or GRU, a farback network, or a callable x_BTI -> (output_BTO, state_BTS)"


def as_system(system: Any) -> System:
    """The `System` for any supported network.

    The outputs of a `torch.nn` module are those of its top layer; of a farback network, those of its readout, if any.

    Raises:
        ValueError: not a supported kind, or a farback network with several replicas.
    """
    if isinstance(system, System):
        return system
    if isinstance(system, Network):
        return NetworkSystem(system)
    if isinstance(system, nn.RNN | nn.GRU | nn.LSTM) and not has_own_forward(system):
        return ModuleSystem(system)
    if callable(system) and not isinstance(system, type):
        return CallableSystem(system)
    raise ValueError(f"a system must be {KINDS}; got {system if isinstance(system, type) else type(system).__name__}")


def measured(system: Any, inputs: Any) -> tuple[System, Tensor]:
    """A system and its inputs in double precision, or in the only precision that a callable supports.

    Raises:
        ValueError: not a system, a callable that does not do what is assumed of it, or inputs not of shape (T, I) or
            (B, T, I).
    """
    original = as_system(system)
    x_BTI = sequences(inputs)
    double = original.double()
    if isinstance(double, CallableSystem) and isinstance(original, CallableSystem):
        try:
            double.check(x_BTI)
            if double.precision == torch.float32:  # computes in this precision, whatever its inputs have
                double.dtype = torch.float32
        except CallError:
            # the function uses float32 weights or creates a float32 state, which cannot be changed from outside
            double = CallableSystem(original.function, original.dtype or torch.get_default_dtype(), convert=False)
            double.check(double.cast(x_BTI))
    return double, double.cast(x_BTI)

"""One interface to every kind of network that can be measured.

A system is a `torch.nn.RNN`, `LSTM` or `GRU` (any depth, either layout), a farback network of one replica, or a
callable `x_BTI -> (output_BTO, state_BTS)`, such as a user's own module. Measures see only the class `System`.

A callable that also takes a state, `(x_BTI, state_BS) -> (output_BTO, state_BTS)`, can resume from any state; its state
must then contain everything that it remembers. If a callable returns outputs only, or a second value that is not a
state for every step (such as torch's h_n), its outputs are used as its states. User modules are never modified: double
precision uses a copy.

Shapes: B sequences, T steps, I inputs, O outputs, S numbers of the *full* state: all layers, bottom to top, and all
parts of a layer's state (h and c of an LSTM); a complex number counts as two.
"""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from farback.networks.network import Network, NetworkState

KINDS = "a torch.nn.RNN, LSTM or GRU, a farback network, or a callable x_BTI -> (output_BTO, state_BTS)"
BIDIRECTIONAL = (
    "a bidirectional network reads the whole sequence before it answers, so it has no state to carry from step to "
    "step; use a measure of its outputs (gradient_reach), or measure one direction"
)


class System(ABC):
    """A network as measures see it. Everything is differentiable in the inputs and in the state."""

    inputs: int | None = None  # I; None if any number is accepted
    dtype: torch.dtype | None = None  # of the computation, to which inputs are cast; None to pass inputs unchanged

    @abstractmethod
    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, O), and the states that the outputs are computed from: (B, T, H) of the top layer."""

    @abstractmethod
    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, O), and the full state (B, S) after the last step; starts at `state_BS` or the initial state.

        Raises:
            ValueError: the system cannot resume from a state; the message says why, and what to do.
        """

    def step(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """As `carry`, with a state of the system's own form."""
        return self.carry(x_BTI, state)

    @abstractmethod
    def double(self) -> System:
        """The same network in double precision, as a detached copy."""

    def trajectory(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> Tensor:
        """The full state after every step, (B, T, S). Raises ValueError: as `carry`."""
        states = []
        for x_BI in self.cast(x_BTI).unbind(1):
            state_BS = self.carry(x_BI.unsqueeze(1), state_BS)[1]
            states.append(state_BS)
        return torch.stack(states, 1)

    def cast(self, x_BTI: Tensor) -> Tensor:
        """Inputs in the system's precision. Raises ValueError: not of shape (B, T, I)."""
        if x_BTI.dim() != 3 or 0 in x_BTI.shape:
            raise ValueError(f"inputs must be (B, T, I), sequences by steps by inputs; got {tuple(x_BTI.shape)}")
        if self.inputs is not None and x_BTI.shape[-1] != self.inputs:
            raise ValueError(f"the system takes {self.inputs} inputs per step, got {x_BTI.shape[-1]}")
        return x_BTI if self.dtype is None else x_BTI.to(self.dtype)


def as_system(system: Any) -> System:
    """The `System` for any supported network.

    The outputs of a `torch.nn` module are those of its top layer; of a farback network, those of its readout, if any.

    Raises:
        ValueError: not a supported kind, or a farback network with several replicas.
    """
    if isinstance(system, System):
        return system
    if isinstance(system, Network):
        return _NetworkSystem(system)
    if isinstance(system, nn.RNNBase):
        return _ModuleSystem(system)
    if isinstance(system, nn.RNNCellBase):
        raise ValueError(f"{type(system).__name__} is a single step; wrap it in a callable that loops over the steps")
    if callable(system):
        return _CallableSystem(system)
    raise ValueError(f"a system must be {KINDS}; got {type(system).__name__}")


def measured(system: Any, inputs: Any) -> tuple[System, Tensor]:
    """A system and its inputs in double precision, or in the only precision that a callable supports.

    Raises:
        ValueError: not a system, or inputs not of shape (T, I) or (B, T, I).
    """
    original = as_system(system)
    x_BTI = sequences(inputs)
    double = original.double()
    if isinstance(double, _CallableSystem):
        try:
            with torch.no_grad():
                double(x_BTI)
        except (RuntimeError, TypeError, ValueError):
            # the function uses float32 weights or creates a float32 state, which cannot be changed from outside
            double = original if original.dtype is not None else _CallableSystem(system, torch.get_default_dtype())
    return double, double.cast(x_BTI)


def sequences(inputs: Any) -> Tensor:
    """A tensor or array (T, I) or (B, T, I) as detached double-precision (B, T, I).

    Raises:
        ValueError: another shape, or an empty one.
    """
    x = torch.as_tensor(np.asarray(inputs) if isinstance(inputs, Sequence) else inputs).detach().cpu().double()
    if x.dim() not in (2, 3) or 0 in x.shape:
        raise ValueError(f"inputs must be (T, I) or (B, T, I), steps by inputs, not empty; got {tuple(x.shape)}")
    return x if x.dim() == 3 else x.unsqueeze(0)


def require_single(network: Network) -> None:
    """Raise ValueError unless the network has exactly one replica."""
    if network.replicas != 1:
        raise ValueError(f"a measure takes one network, got {network.replicas} replicas: choose one with .replica(r)")


class _NetworkSystem(System):
    def __init__(self, network: Network) -> None:
        require_single(network)
        self.network = network
        self.inputs = network.architecture.inputs
        self.dtype = next((value.dtype for value in network.parameters.values()), None)

    @override
    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        return self._run(x_BTI, None)[:2]

    @override
    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.network.architecture.bidirectional:
            raise ValueError(BIDIRECTIONAL)
        output_BTO, _, after = self._run(x_BTI, state_BS)
        parts = [part[0] for layer in after for part in layer]
        real = [torch.view_as_real(part) if part.is_complex() else part for part in parts]
        return output_BTO, torch.cat([part.flatten(1) for part in real], 1)

    @override
    def double(self) -> System:
        double = _NetworkSystem(self.network.to(torch.float64))
        double.dtype = torch.float64  # a network without parameters would use the precision of the inputs
        return double

    def _run(self, x_BTI: Tensor, state_BS: Tensor | None) -> tuple[Tensor, Tensor, NetworkState]:
        x_RTBI = self.cast(x_BTI).transpose(0, 1).unsqueeze(0)
        before = None if state_BS is None else self._state(x_RTBI, state_BS)
        h_RTBH, after = self.network.run(x_RTBI, before)
        T, B = h_RTBH.shape[1:3]
        state_BTS = h_RTBH[0].transpose(0, 1)
        if not self.network.architecture.outputs:
            return state_BTS, state_BTS, after
        output_BTO = self.network.readout(h_RTBH.reshape(1, T * B, -1)).view(T, B, -1).transpose(0, 1)
        return output_BTO, state_BTS, after

    def _state(self, x_RTBI: Tensor, state_BS: Tensor) -> NetworkState:
        """The flat state, split into the parts of each layer's state."""
        like = self.network.initial(x_RTBI)
        sizes = [part[0, 0].numel() * (2 if part.is_complex() else 1) for layer in like for part in layer]
        flat = iter(torch.split(_checked(state_BS, x_RTBI.shape[2], sum(sizes)).to(x_RTBI.dtype), sizes, 1))

        def unflattened(part: Tensor) -> Tensor:
            values = next(flat)
            if not part.is_complex():
                return values.reshape(part.shape)
            return torch.view_as_complex(values.reshape(*part.shape, 2).contiguous())

        return tuple(tuple(unflattened(part) for part in layer) for layer in like)


class _ModuleSystem(System):
    def __init__(self, module: nn.RNNBase) -> None:
        self.module = module
        self.inputs = module.input_size
        self.dtype = next(module.parameters()).dtype

    @override
    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        state_BTS = self._run(x_BTI, None)[0]
        return state_BTS, state_BTS

    @override
    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.module.bidirectional:
            raise ValueError(BIDIRECTIONAL)
        output_BTO, last = self._run(x_BTI, None if state_BS is None else self._state(len(x_BTI), state_BS))
        parts = last if isinstance(last, tuple) else (last,)
        return output_BTO, torch.cat([part[layer] for layer in range(self.module.num_layers) for part in parts], 1)

    @override
    def double(self) -> System:
        return _ModuleSystem(_double_copy(self.module))

    def _run(self, x_BTI: Tensor, state: Any) -> tuple[Tensor, Any]:
        x = self.cast(x_BTI)
        output, last = self.module(x if self.module.batch_first else x.transpose(0, 1), state)
        return output if self.module.batch_first else output.transpose(0, 1), last

    def _state(self, batch: int, state_BS: Tensor) -> Any:
        """The flat state as torch's (L, B, H), with (L, B, C) for an LSTM."""
        module = self.module
        widths = [module.proj_size or module.hidden_size]
        if isinstance(module, nn.LSTM):
            widths.append(module.hidden_size)
        flat = _checked(state_BS, batch, sum(widths) * module.num_layers).to(self.dtype)
        layers_BLS = flat.view(batch, module.num_layers, sum(widths))
        parts = [part.transpose(0, 1).contiguous() for part in torch.split(layers_BLS, widths, -1)]
        return parts[0] if len(parts) == 1 else tuple(parts)


class _CallableSystem(System):
    def __init__(self, function: Callable[..., Any], dtype: torch.dtype | None = None) -> None:
        owner = function if isinstance(function, nn.Module) else getattr(function, "__self__", None)
        self.function = function
        self.module = owner if isinstance(owner, nn.Module) else None
        values = [] if self.module is None else [p for p in self.module.parameters() if p.is_floating_point()]
        self.dtype = dtype or next((value.dtype for value in values), None)

    @override
    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        output_BTO, state = self._call(self.cast(x_BTI))
        every_step = isinstance(state, Tensor) and state.dim() == 3 and state.shape[:2] == x_BTI.shape[:2]
        return output_BTO, state if every_step else output_BTO

    @override
    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        forward = self.function.forward if isinstance(self.function, nn.Module) else self.function
        try:
            inspect.signature(forward).bind(None, None)
        except (TypeError, ValueError):
            raise ValueError(
                "this measure needs a system that can resume from any state, but the callable takes only inputs: write "
                "it as (x_BTI, state_BS=None) -> (output_BTO, state_BTS), with a state of everything it remembers"
            ) from None
        x_BTI = self.cast(x_BTI)
        B, T = x_BTI.shape[:2]
        output_BTO, state = self._call(x_BTI, *([] if state_BS is None else [state_BS]))
        shape = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
        if isinstance(state, Tensor) and state.dim() == 3 and state.shape[:2] == (B, T):
            state = state[:, -1]
        S = None if state_BS is None else state_BS.shape[1]
        if not isinstance(state, Tensor) or state.dim() != 2 or len(state) != B or S not in (None, state.shape[1]):
            raise ValueError(
                f"a callable that takes a state must return its states as ({B}, {T}, {S or 'S'}), or the last one as "
                f"({B}, {S or 'S'}); this one returns {shape}"
            )
        return output_BTO, state

    @override
    def step(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return self._call(self.cast(x_BTI), *([] if state is None else [state]))

    @override
    def double(self) -> System:
        if self.module is None:
            return _CallableSystem(self.function, torch.float64)
        try:
            module = _double_copy(self.module)
        except (RuntimeError, TypeError):  # the module cannot be copied, so it is used as it is
            return self
        function: Any = module if self.function is self.module else self.function.__func__.__get__(module)  # type: ignore[attr-defined]
        return _CallableSystem(function, torch.float64)

    def _call(self, *arguments: Any) -> tuple[Tensor, Any]:
        """The outputs, and the second returned value (None if there is none)."""
        result = self.function(*arguments)
        pair = result if isinstance(result, tuple | list) and len(result) else (result,)
        output, shape = pair[0], tuple(arguments[0].shape[:2])
        if not isinstance(output, Tensor) or output.dim() != 3 or tuple(output.shape[:2]) != shape:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"outputs must be (B, T, O), here {(*shape, 'O')}; the callable returns {got}")
        return output, pair[1] if len(pair) > 1 else None


def _checked(state_BS: Tensor, batch: int, size: int) -> Tensor:
    if state_BS.shape != (batch, size):
        raise ValueError(f"the full state of {batch} sequences is ({batch}, {size}); got {tuple(state_BS.shape)}")
    return state_BS


def _double_copy(module: Any) -> Any:
    """A copy in double precision, in evaluation mode (no dropout), with parameters that need no gradient."""
    return copy.deepcopy(module).cpu().double().eval().requires_grad_(False)

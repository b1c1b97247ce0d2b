"""One face for every network that is measured.

A system is a `torch.nn.RNN`, `LSTM` or `GRU` (any depth, either layout), a farback network of one replica, or a
callable `x_BTI -> (output_BTO, state_BTS)`, such as a module written by hand. What is measured sees only a `System`.

A callable that also takes a state, `(x_BTI, state_BS) -> (output_BTO, state_BTS)`, can be carried on from any state;
its states must then be everything it remembers. A callable that returns outputs alone, or beside them something that is
not a state of every step (as torch's h_n), is measured by its outputs. Callables that are modules are never touched:
what needs double precision works on a copy.

Shapes: B sequences, T steps, I inputs, O outputs, S numbers of the *full* state: those of all layers, bottom to top,
and of all parts of a layer's state (h and c of an LSTM); a complex number counts as two.
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

from farback.networks.network import Network, NetworkState

KINDS = "a torch.nn.RNN, LSTM or GRU, a farback network, or a callable x_BTI -> (output_BTO, state_BTS)"


class System(ABC):
    """What a measure sees of a network. Everything is differentiable in the inputs and in the state.

    Attributes:
        inputs: I, or None where any is taken.
        dtype: the precision it computes in, to which inputs are cast; None where they are handed on as they are.
    """

    inputs: int | None = None
    dtype: torch.dtype | None = None

    @abstractmethod
    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, O), and the states that the outputs are read from: (B, T, H) of the top layer."""

    @abstractmethod
    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, O), and the full state (B, S) after the last step, from a full state or from the first one.

        Raises:
            ValueError: the system cannot be carried on from a state; the message says why, and what to do.
        """

    @abstractmethod
    def double(self) -> System:
        """The same numbers in double precision, as a detached copy."""

    def trajectory(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> Tensor:
        """The full state after every step, (B, T, S).

        Raises:
            ValueError: as `carry`.
        """
        states = []
        for x_BI in self.cast(x_BTI).unbind(1):
            state_BS = self.carry(x_BI.unsqueeze(1), state_BS)[1]
            states.append(state_BS)
        return torch.stack(states, 1)

    def cast(self, x_BTI: Tensor) -> Tensor:
        """Inputs in the system's precision.

        Raises:
            ValueError: not of shape (B, T, I).
        """
        if x_BTI.dim() != 3 or 0 in x_BTI.shape:
            raise ValueError(f"inputs are (B, T, I), sequences by steps by inputs; got {tuple(x_BTI.shape)}")
        if self.inputs is not None and x_BTI.shape[-1] != self.inputs:
            raise ValueError(f"the system takes {self.inputs} inputs a step, got {x_BTI.shape[-1]}")
        return x_BTI if self.dtype is None else x_BTI.to(self.dtype)


def as_system(system: Any) -> System:
    """The `System` behind what a person hands over; a `System` is itself one.

    The outputs of a `torch.nn` module are its top layer's; those of a farback network its readout's, where it has one.

    Raises:
        ValueError: not a system, or a farback network of several replicas.
    """
    if isinstance(system, System):
        return system
    if isinstance(system, Network):
        return _Network(system)
    if isinstance(system, nn.RNNBase):
        return _Module(system)
    if isinstance(system, nn.RNNCellBase):
        raise ValueError(f"{type(system).__name__} is a single step; wrap it in a callable that loops over the steps")
    if callable(system):
        return _Callable(system)
    raise ValueError(f"a system is {KINDS}; got {type(system).__name__}")


def measured(system: Any, inputs: Any) -> tuple[System, Tensor]:
    """A system and its inputs as they are measured: in double precision, or the callable's own where it has another.

    Args:
        system: see the module.
        inputs: a tensor or array, (T, I) or (B, T, I).

    Raises:
        ValueError: not a system, or inputs of another shape.
    """
    own = as_system(system)
    x_BTI = sequences(inputs)
    exact = own.double()
    if not isinstance(exact, _Callable):
        return exact, exact.cast(x_BTI)
    try:
        with torch.no_grad():
            exact(x_BTI)
    except (RuntimeError, TypeError, ValueError):
        # a closure over float32 weights, or a state made in float32: only its author can widen it
        single = own if own.dtype is not None else _Callable(system, torch.get_default_dtype())
        return single, single.cast(x_BTI)
    return exact, exact.cast(x_BTI)


def sequences(inputs: Any) -> Tensor:
    """A tensor or array (T, I) or (B, T, I) as detached double-precision (B, T, I).

    Raises:
        ValueError: another shape, or nothing in it.
    """
    x = torch.as_tensor(np.asarray(inputs) if isinstance(inputs, Sequence) else inputs).detach().cpu().double()
    if x.dim() not in (2, 3) or 0 in x.shape:
        raise ValueError(f"inputs are (T, I) or (B, T, I): steps by inputs, or sequences of them; got {tuple(x.shape)}")
    return x if x.dim() == 3 else x.unsqueeze(0)


class _Network(System):
    """A farback network of one replica."""

    def __init__(self, network: Network) -> None:
        if network.replicas != 1:
            raise ValueError(f"a system is one network, this has {network.replicas} replicas: use replica(r)")
        self.network = network
        self.inputs = network.architecture.inputs
        self.dtype = next((value.dtype for value in network.parameters.values()), None)

    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        return self._run(x_BTI, None)[:2]

    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.network.architecture.bidirectional:
            raise ValueError(BIDIRECTIONAL)
        output_BTO, _, after = self._run(x_BTI, state_BS)
        parts = [part[0] for layer in after for part in layer]
        real = [torch.view_as_real(part) if part.is_complex() else part for part in parts]
        return output_BTO, torch.cat([part.flatten(1) for part in real], 1)

    def double(self) -> System:
        """Parameters without values, as a shift register's, leave the inputs' precision to choose."""
        exact = _Network(self.network.to(torch.float64))
        exact.dtype = torch.float64
        return exact

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
        """The flat state in the parts that the cells keep it in."""
        like = self.network.initial(x_RTBI)
        sizes = [part[0, 0].numel() * (2 if part.is_complex() else 1) for layer in like for part in layer]
        flat = iter(torch.split(_checked(state_BS, x_RTBI.shape[2], sum(sizes)).to(x_RTBI.dtype), sizes, 1))

        def part_of(part: Tensor) -> Tensor:
            values = next(flat)
            if not part.is_complex():
                return values.reshape(part.shape)
            return torch.view_as_complex(values.reshape(*part.shape, 2).contiguous())

        return tuple(tuple(part_of(part) for part in layer) for layer in like)


class _Module(System):
    """A `torch.nn.RNN`, `LSTM` or `GRU`."""

    def __init__(self, module: nn.RNNBase) -> None:
        self.module = module
        self.inputs = module.input_size
        self.dtype = next(module.parameters()).dtype

    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        state_BTS = self._run(x_BTI, None)[0]
        return state_BTS, state_BTS

    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.module.bidirectional:
            raise ValueError(BIDIRECTIONAL)
        output_BTO, last = self._run(x_BTI, None if state_BS is None else self._state(len(x_BTI), state_BS))
        parts = last if isinstance(last, tuple) else (last,)
        return output_BTO, torch.cat([part[layer] for layer in range(self.module.num_layers) for part in parts], 1)

    def double(self) -> System:
        return _Module(_doubled(self.module))

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


class _Callable(System):
    """A function or module of the user's own."""

    def __init__(self, function: Callable[..., Any], dtype: torch.dtype | None = None) -> None:
        owner = function if isinstance(function, nn.Module) else getattr(function, "__self__", None)
        self.function = function
        self.module = owner if isinstance(owner, nn.Module) else None
        values = [] if self.module is None else [p for p in self.module.parameters() if p.is_floating_point()]
        self.dtype = dtype or next((value.dtype for value in values), None)

    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        x_BTI = self.cast(x_BTI)
        output_BTO, state = self._checked(x_BTI, self.function(x_BTI))
        every_step = isinstance(state, Tensor) and state.dim() == 3 and state.shape[:2] == x_BTI.shape[:2]
        return output_BTO, state if every_step else output_BTO

    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if not self._takes_state():
            raise ValueError(
                "this needs a system that can be carried on from any state, and the callable takes inputs alone: "
                "write it as (x_BTI, state_BS=None) -> (output_BTO, state_BTS), its states being all it remembers"
            )
        x_BTI = self.cast(x_BTI)
        B, T = x_BTI.shape[:2]
        output_BTO, state = self._checked(
            x_BTI, self.function(x_BTI) if state_BS is None else self.function(x_BTI, state_BS)
        )
        shape = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
        if isinstance(state, Tensor) and state.dim() == 3 and state.shape[:2] == (B, T):
            state = state[:, -1]
        S = None if state_BS is None else state_BS.shape[1]
        if not isinstance(state, Tensor) or state.dim() != 2 or len(state) != B or S not in (None, state.shape[1]):
            raise ValueError(
                f"a callable that is carried on gives its states as ({B}, {T}, {S or 'S'}), or the last as "
                f"({B}, {S or 'S'}); this one gives {shape}"
            )
        return output_BTO, state

    def double(self) -> System:
        if self.module is None:
            return _Callable(self.function, torch.float64)
        try:
            module = _doubled(self.module)
        except (RuntimeError, TypeError):  # a module that cannot be copied is measured as it is
            return self
        return _Callable(module if self.function is self.module else _rebound(self.function, module), torch.float64)

    def _takes_state(self) -> bool:
        function = self.function.forward if isinstance(self.function, nn.Module) else self.function
        try:
            inspect.signature(function).bind(None, None)
        except (TypeError, ValueError):
            return False
        return True

    def _checked(self, x_BTI: Tensor, result: Any) -> tuple[Tensor, Any]:
        """Outputs, and what came beside them."""
        pair = result if isinstance(result, tuple | list) and len(result) else (result,)
        output, shape = pair[0], tuple(x_BTI.shape[:2])
        if not isinstance(output, Tensor) or output.dim() != 3 or tuple(output.shape[:2]) != shape:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"a system gives outputs (B, T, O), here {(*shape, 'O')}; the callable gives {got}")
        return output, pair[1] if len(pair) > 1 else None


BIDIRECTIONAL = (
    "a bidirectional network reads the whole sequence before it answers: there is no state that could be carried from "
    "step to step; measure its outputs (gradient_reach), or one direction"
)


def _checked(state_BS: Tensor, batch: int, size: int) -> Tensor:
    if state_BS.shape != (batch, size):
        raise ValueError(f"the full state of {batch} sequences is ({batch}, {size}); got {tuple(state_BS.shape)}")
    return state_BS


def _doubled(module: Any) -> Any:
    """A copy in double precision, in evaluation mode (no dropout), without gradients of its own."""
    return copy.deepcopy(module).cpu().double().eval().requires_grad_(False)


def _rebound(method: Any, module: nn.Module) -> Callable[..., Any]:
    """The same method of another module."""
    bound: Callable[..., Any] = method.__func__.__get__(module)
    return bound

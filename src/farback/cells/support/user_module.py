"""A module of the user's at one size: how it is called, and its runs over sequences.

Shapes: B sequences, T steps, I inputs, H hidden units, S numbers of the full state.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from farback.cells.support.made_module import ModuleError, Size, call_of, made, seeded, tensors_of
from farback.cells.support.module_calls import OUTPUTS, STATES, Calling, Whole
from farback.cells.support.state_layout import StateLayout
from farback.cells.support.user_class import UserClass, described

STEPS = 5  # of the sequences on which a module is tried: differs from 2 and 3, the numbers of sequences
CLOSE = 1e-4  # rounding errors of a sequence run in two parts, relative to the largest output


@contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """Tensors made without a dtype, such as a state of `torch.zeros(B, H)`, get this one in this block."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class UserModule:
    """A user's class at one size: an instance that runs with any values of its parameters.

    Raises:
        ModuleError: the class cannot be made or called; the message says what was tried.
    """

    def __init__(
        self, user: UserClass, size: Size, options: Mapping[str, Any], device: str = "cpu", seed: int = 0
    ) -> None:
        self.user, self.size, self.options = user, size, options
        self.inputs, self.hidden = size.inputs, size.outputs
        _, keywords, self.call = call_of(user, size, options)
        self.width = next(iter(keywords)) if len(keywords) == 1 else ""  # the argument that is its only size
        self.warnings: list[str] = []  # of PyTorch and of the user's code, when it was made
        self.module: nn.Module = made(user, size, options, seed, device, self.warnings)
        self.device = torch.device(device)
        self.tensors = {name: value.detach() for name, value in tensors_of(self.module).items()}
        floats = [value.dtype for value in self.tensors.values() if value.is_floating_point()]
        self.dtype = floats[0] if floats else torch.float32
        self.layouts: dict[torch.dtype, StateLayout | None] = {}
        self.takes_state = self._accepts(None, None)
        self.calling = self._found_calling()
        self.whole = Whole(self.module, self.calling)

    # How it computes -------------------------------------------------------------------------------------------------

    def computes_in(self, dtype: torch.dtype) -> torch.dtype:
        """The precision in which it computes in a network of this precision: its own, or double if it can."""
        return dtype if dtype == torch.float64 and self.dtype == torch.float32 and self._takes_double else self.dtype

    @functools.cached_property
    def _takes_double(self) -> bool:
        try:
            self._layout_of(self.calling, torch.float64)
        except ModuleError:
            return False
        return True

    def layout(self, dtype: torch.dtype) -> StateLayout | None:
        """The form of its state in a precision; None if it takes or returns no state."""
        if dtype not in self.layouts:
            self.layouts[dtype] = self._layout_of(self.calling, dtype) if self.takes_state else None
        return self.layouts[dtype]

    @functools.cached_property
    def draws_in_training(self) -> bool:
        """Whether it draws random numbers in training mode, as dropout does."""
        x_BTI = self.tried(2)
        with torch.no_grad():
            first, second = (self.run(self.tensors, x_BTI, None, seed)[0] for seed in (0, 1))
        return not torch.equal(first, second)

    # Runs ------------------------------------------------------------------------------------------------------------

    def run(
        self, tensors: Mapping[str, Tensor], x_BTI: Tensor, state_BS: Tensor | None, seed: int | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Outputs (B, T, H), and the state (B, S) after the last step; in training mode if a seed is given.

        Args:
            tensors: values by the names of `tensors_of`; complex ones as real numbers with a last axis of 2.
            x_BTI: the inputs.
            state_BS: the state before the first step; None for the module's own.
            seed: of the random numbers that it draws in training mode.

        Raises:
            ModuleError: the user's code raises an error, or returns something else than before.
        """
        dtype = self.computes_in(x_BTI.dtype)
        layout = self.layout(dtype)
        before = () if state_BS is None or layout is None else (layout.unflattened(state_BS.to(dtype)),)
        own = {name: self._declared(tensors[name], like, dtype) for name, like in self.tensors.items()}
        self.module.train(seed is not None)
        try:
            if seed is None:
                output_BTH, state = self._call(self.whole, own, x_BTI.to(dtype), before)
            else:
                with seeded(seed):
                    output_BTH, state = self._call(self.whole, own, x_BTI.to(dtype), before)
        finally:
            self.module.train(False)
        after = None if layout is None else layout.flattened(state).to(x_BTI.dtype)
        return output_BTH.to(x_BTI.dtype), after

    def tried(self, count: int, dtype: torch.dtype | None = None) -> Tensor:
        """Random sequences on which the module is tried, (count, STEPS, I)."""
        generator = torch.Generator().manual_seed(0)
        x_BTI = torch.randn(count, STEPS, self.inputs, generator=generator, dtype=dtype or self.dtype)
        return x_BTI.to("meta") if self.device.type == "meta" else x_BTI

    def _declared(self, value: Tensor, like: Tensor, dtype: torch.dtype) -> Tensor:
        """A value in the type that the module declares for it; the module's own precision is replaced by `dtype`."""
        if not like.is_complex():
            return value.to(dtype if like.dtype == self.dtype else like.dtype)
        parts = value if value.is_complex() else torch.view_as_complex(value.contiguous())
        return parts.to(dtype.to_complex())

    def _call(
        self, whole: Whole, own: Mapping[str, Tensor], x_BTI: Tensor, before: tuple[Any, ...]
    ) -> tuple[Tensor, Any]:
        """Outputs and state; their shapes are checked."""
        if x_BTI.device != self.device:  # for tensors that are neither parameters nor buffers of numbers
            self.device = x_BTI.device
            self.module.to(self.device)
        arguments = x_BTI, self.hidden, before
        try:
            # states that a module makes without a device; on the CPU the context would only slow every operation
            elsewhere = nullcontext() if self.device.type == "cpu" else self.device
            with precision(x_BTI.dtype), elsewhere:
                output, state = functional_call(whole, {f"module.{name}": own[name] for name in own}, arguments)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            given = f"{tuple(x_BTI.shape)}{' and a state' if before else ''}"
            raise ModuleError(f"fails on inputs of shape {given}: {described(error, self.user.files)}") from error
        if not isinstance(output, Tensor):
            keys = f" with the keys {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
            wanted = f"(outputs, state), or a dict with its outputs as {' or '.join(OUTPUTS)}"
            raise ModuleError(f"returns a {type(output).__name__}{keys}, and must return {wanted}")
        expected = (*x_BTI.shape[:2], self.hidden)
        if tuple(output.shape) != expected:
            raise ModuleError(f"returns outputs of shape {tuple(output.shape)}, and must return {expected}")
        return output, state

    # Trying ----------------------------------------------------------------------------------------------------------

    def _found_calling(self) -> Calling:
        """The first way in which the module can be called."""
        time_first = getattr(self.module, "batch_first", True) is False
        states = ["none"] if self._accepts(None) else [name for name in STATES if name != "none"]
        reasons: dict[str, str] = {}
        for style in ("sequence", "step", "pair step") if self.takes_state else ("sequence",):
            for state in states:
                calling = Calling(style, state, time_first and style == "sequence")
                try:
                    layout = self._layout_of(calling, self.dtype)
                    if self.takes_state and style == "sequence" and not self._has_memory(calling, layout):
                        raise ModuleError("its outputs do not depend on earlier steps")
                except ModuleError as error:
                    reasons.setdefault(style, str(error))
                    continue
                return calling
        if not self.takes_state:
            raise ModuleError(f"{self.call}, called with sequences (B, T, I) and no state, {reasons['sequence']}")
        raise ModuleError(
            f"{self.call} can be called neither as torch.nn.GRU(batch_first=True), (x_BTI, state) -> (output_BTH, "
            f"state): it {reasons['sequence']}; nor as torch.nn.GRUCell, (x_BI, state) -> state: it "
            f"{reasons['step']}"
        )

    def _accepts(self, *arguments: Any) -> bool:
        """Whether the module can be called with this number of arguments."""
        try:
            inspect.signature(self.module.forward).bind(*arguments)
        except (TypeError, ValueError):
            return False
        return True

    @torch.no_grad()
    def _layout_of(self, calling: Calling, dtype: torch.dtype) -> StateLayout | None:
        """The form of the state that the module returns. Raises ModuleError: it cannot be called so."""
        x_BTI = self.tried(3, dtype)
        own = {name: self._declared(value, value, dtype) for name, value in self.tensors.items()}
        whole = Whole(self.module, calling)
        states = [self._call(whole, own, x_BTI[:count], ())[1] for count in (2, 3)]
        length = STEPS if calling.style == "sequence" else -1
        return None if states[0] is None else StateLayout.of(states[0], states[1], length, calling.time_first)

    @torch.no_grad()
    def _has_memory(self, calling: Calling, layout: StateLayout | None) -> bool:
        """Whether the last output depends on the first input, where a single step could be mistaken for a sequence."""
        if (layout is not None and not all(layout.steps)) or self.device.type == "meta":
            return True
        x_BTI, whole = self.tried(2), Whole(self.module, calling)
        other_BTI = torch.cat([x_BTI[:, :1] + 1, x_BTI[:, 1:]], 1)
        last, other = (self._call(whole, self.tensors, x, ())[0][:, -1] for x in (x_BTI, other_BTI))
        return not torch.equal(last, other)

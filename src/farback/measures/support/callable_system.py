"""A callable, such as a user's module, as a system. Shapes: see `farback.measures.support.system`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from farback.cells.support.module_calls import Calling, Whole
from farback.cells.support.state_layout import StateLayout
from farback.measures.support.held_modules import evaluating, modules_in
from farback.measures.support.interface import System
from farback.networks.module_copies import copied, same

SPLIT = 1e-4  # rounding errors of two halves, relative to the largest output: more than of the same run twice


class CallError(ValueError):
    """The callable raised an error."""


class CallableSystem(System):
    """A callable, checked on the first sequences that it gets.

    With `convert`, a module is measured as a copy, in the precision `dtype` if given. A module that is a single step,
    as `torch.nn.GRUCell`, is run over the steps.
    """

    def __init__(self, function: Callable[..., Any], dtype: torch.dtype | None = None, convert: bool = True) -> None:
        owner = function if isinstance(function, nn.Module) else getattr(function, "__self__", None)
        module = owner if isinstance(owner, nn.Module) else None
        own = function
        if module is not None:
            try:
                copy = copied(module, dtype if convert else None)
                own = copy if function is module else function.__func__.__get__(copy)  # type: ignore[attr-defined]
                module = copy
            except (ValueError, AttributeError):
                if any(nn.parameter.is_lazy(value) for value in module.parameters()):
                    raise
                dtype = None  # the module cannot be copied, so it is used as it is
        self.function, self.run = function, own
        self.held = modules_in(own)
        values = [] if module is None else [p for p in module.parameters() if p.is_floating_point()]
        self.dtype = dtype or next((value.dtype for value in values), None)
        whole = function is owner or getattr(function, "__name__", "") == "forward"
        self.time_first = whole and getattr(module, "batch_first", True) is False
        self.name = type(owner).__name__ if module is not None else getattr(function, "__name__", "the callable")
        self.layout: StateLayout | None = None
        self.precision: torch.dtype | None = None
        self.checked = False

    @override
    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        x_BTI = self.cast(x_BTI)
        self.check(x_BTI)
        output_BTO, state = self._call(x_BTI)
        return output_BTO, output_BTO if self.layout is None else self.layout.every_step(state, output_BTO)

    @override
    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x_BTI = self.cast(x_BTI)
        if not self._takes_a_state():
            raise ValueError(
                "this measure needs a system that can resume from any state, but the callable takes only inputs: write "
                "it as (x_BTI, state_BS=None) -> (output_BTO, state_BTS), with a state of everything it remembers"
            )
        self.check(x_BTI)
        if self.layout is None:
            shape = StateLayout.shown(self._call(x_BTI)[1])
            raise ValueError(
                f"a callable that takes a state must return it for every step, {(*x_BTI.shape[:2], 'S')}, or after the "
                f"last, with one axis of {len(x_BTI)} sequences; {self.name} returns {shape}"
            )
        before = [] if state_BS is None else [self.layout.unflattened(state_BS)]
        output_BTO, state = self._call(x_BTI, *before)
        return output_BTO, self.layout.flattened(state)

    @override
    def unresumable(self, x_BTI: Tensor) -> str:
        x_BTI = _two(self.cast(x_BTI))
        half = x_BTI.shape[1] // 2
        if not half:
            return "a single step cannot be split"
        try:
            with torch.no_grad():
                whole, end = self.carry(x_BTI)
                first, state = self.carry(x_BTI[:, :half])
                second, last = self.carry(x_BTI[:, half:], state)
        except ValueError as error:
            return str(error)
        if same(torch.cat([first, second], 1), whole, SPLIT) and same(last, end, SPLIT):
            return ""
        return (
            f"this measure needs a system that can resume from a state, but {self.name} gives other outputs or states "
            "when a sequence is run in two halves with the state passed on: its second argument is not a state, or "
            "does not hold everything that it remembers"
        )

    @override
    def double(self) -> System:
        return CallableSystem(self.function, torch.float64)

    def check(self, x_BTI: Tensor) -> None:
        """Raise ValueError unless equal inputs give equal outputs and no sequence changes the outputs of another.

        Checked once, by running the batch again, and with copies of one of its sequences in place of all others. A
        module that takes a state, but fails so or has no memory so, is tried as a single step.
        """
        if self.checked:
            return
        error: ValueError | None = None
        try:
            self._check(x_BTI)
        except ValueError as found:
            error = found
        if isinstance(self.run, nn.Module) and self._takes_a_state() and (error or not self._has_memory(x_BTI)):
            error = self._run_by_steps(self.run, x_BTI, error)
        if error:
            raise error
        self.checked = True

    def _run_by_steps(self, module: nn.Module, x_BTI: Tensor, error: ValueError | None) -> ValueError | None:
        """Run the module step by step from now on if it is a step with memory; else the error is what it was."""
        state = "none" if _accepts(module.forward, 1) else "None"
        found = self.layout, self.precision
        for style in ("step", "pair step"):
            whole = Whole(module, Calling(style, state, time_first=False))
            self.run = lambda x_BTI, *before, whole=whole: whole(x_BTI, 0, before)
            try:
                self._check(x_BTI)
                if self.layout is not None and (self._has_memory(x_BTI) or error):
                    return None
            except ValueError as other:
                if isinstance(module, nn.RNNCellBase) and style == "step":
                    error = other
        self.run, (self.layout, self.precision) = module, found
        return error

    @torch.no_grad()
    def _has_memory(self, x_BTI: Tensor) -> bool:
        """Whether the last output depends on the first input, where a single step could be mistaken for a sequence."""
        if x_BTI.shape[1] < 2 or (self.layout is not None and not all(self.layout.steps)):
            return True
        x_BTI = x_BTI if len(x_BTI) > 1 else _two(x_BTI)
        other_BTI = torch.cat([x_BTI[:, :1] + 1, x_BTI[:, 1:]], 1)
        with suppress(CallError):
            return not torch.equal(self._call(x_BTI)[0][:, -1], self._call(other_BTI)[0][:, -1])
        return True

    def _check(self, x_BTI: Tensor) -> None:
        self.layout = None
        with torch.no_grad():
            x_BTI = x_BTI if len(x_BTI) > 1 else _two(x_BTI)
            output, state = self._call(x_BTI)
            if not same(self._call(x_BTI)[0], output):
                raise ValueError(
                    f"{self.name} gives other outputs when the same inputs are run again, as with dropout or a state "
                    "kept from call to call: a measure needs equal outputs for equal inputs"
                )
            for b in (0, 1):
                with suppress(CallError):  # such as a table of answers that has only the measured inputs
                    if not same(self._call(x_BTI[[b] * len(x_BTI)])[0][b], output[b]):
                        raise ValueError(self._mixing())
            if state is not None:
                both = _two(x_BTI)
                states = (self._call(both)[1], self._call(both[[0, 1, 1]])[1])
                self.layout = StateLayout.of(*states, both.shape[1], self.time_first)
        self.precision = output.dtype if output.dtype != x_BTI.dtype else None

    def _mixing(self) -> str:
        inner = [
            f"its {type(part).__name__} {name!r} has batch_first=False"
            for module in self.held
            for name, part in module.named_modules()
            if name and getattr(part, "batch_first", True) is False
        ]
        order = "(T, B, I), as its batch_first is False" if self.time_first else "(B, T, I)"
        return (
            f"{self.name} was given inputs {order}, and the outputs of one sequence changed when another sequence "
            f"changed{': ' + inner[0] if inner else ''}. A measure needs sequences that do not affect each other; if "
            "the steps are its first axis, pass lambda x: f(x.transpose(0, 1)).transpose(0, 1)"
        )

    def _takes_a_state(self) -> bool:
        return _accepts(self.run.forward if isinstance(self.run, nn.Module) else self.run, 2)

    def _call(self, x_BTI: Tensor, *state: Any) -> tuple[Tensor, Any]:
        """The outputs, and the second returned value (None if there is none)."""
        try:
            with evaluating(self.held):
                result = self.run(x_BTI.transpose(0, 1) if self.time_first else x_BTI, *state)
        except Exception as error:
            given = f"inputs of shape {tuple(x_BTI.shape)}{' and a state' if state else ''}"
            raise CallError(f"{self.name} fails on {given}: {type(error).__name__}: {error}") from error
        pair = result if isinstance(result, tuple | list) and len(result) else (result,)
        output = pair[0].transpose(0, 1) if self.time_first and isinstance(pair[0], Tensor) else pair[0]
        if not isinstance(output, Tensor) or output.dim() != 3 or output.shape[:2] != x_BTI.shape[:2]:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"outputs must be (B, T, O), here {(*x_BTI.shape[:2], 'O')}; {self.name} returns {got}")
        output = torch.view_as_real(output).flatten(2) if output.is_complex() else output
        return output if output.is_floating_point() else output.to(x_BTI.dtype), pair[1] if len(pair) > 1 else None


def _accepts(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with this number of arguments."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True


def _two(x_BTI: Tensor) -> Tensor:
    """Two different sequences, (2, T, I): of the inputs if there are such, else one and a changed one."""
    first = x_BTI[0]
    others = [*x_BTI[1:9], first.flip(0), torch.zeros_like(first), torch.ones_like(first)]
    return torch.stack([first, next(other for other in others if not torch.equal(other, first))])

# mypy: allow-untyped-defs, allow-untyped-calls
"""Compile the scalar functions of a step (`farback.kernels.pointwise`) into functions of all units and sequences.

Shapes: B sequences, H hidden, G blocks of gates, S parts of the state, U parameters of each unit, C constants, Y
results of the forward function.
"""

from __future__ import annotations

import functools
import hashlib
from types import FunctionType
from typing import Any, NamedTuple

import torch
from numba import types

from farback.kernels import fast_math, pointwise
from farback.kernels.jit import IN_PLACE, compiled_address, copy_with, inlined, loop
from farback.kernels.llvm import add, arrays, read, wide_vectors, write
from farback.kernels.pointwise import Pointwise, Step

_NAMES = (
    *("like", "where", "maximum", "sign", "relu", "exp", "tanh", "sigmoid", "log_sigmoid", "tanh_slope"),
    "sigmoid_slope",
)
_COMPILED = {getattr(pointwise, name): getattr(fast_math, name) for name in _NAMES}

# `addresses` copies the functions below for each step, with these globals replaced.
_function: Any = None
_units_and_sequences: Any = None
_G = _S = _U = _C = _Y = _GS = 0
_adds = False


class Addresses(NamedTuple):
    """Where the compiled functions of a step are; 0 for those of a second product that it does not have."""

    forward: int
    between: int
    backward: int
    between_back: int


def _forward(gates_G, before_S, units_U, constants_C, results_Y, B, H):
    wide_vectors()
    for b in range(B):
        for j in range(H):
            own = read(units_U, 0, j) + read(constants_C, 0, 0)
            write(results_Y, b, j, _function(*(read(gates_G, b, j) + read(before_S, b, j) + own)), 0)


def _backward(gates_G, before_S, units_U, constants_C, dresults_Y, dgates_G, dbefore_S, dunits_U, B, H):
    wide_vectors()
    for b in range(B):
        for j in range(H):
            own = read(units_U, 0, j) + read(constants_C, 0, 0) + read(dresults_Y, b, j)
            slopes = _function(*(read(gates_G, b, j) + read(before_S, b, j) + own))
            if _adds:
                add(dgates_G, b, j, slopes, 0)
                add(dbefore_S, b, j, slopes, _G)
            else:
                write(dgates_G, b, j, slopes, 0)
                write(dbefore_S, b, j, slopes, _G)
            add(dunits_U, 0, j, slopes, _GS)


def _forward_at(like, gates, before, units, constants, results, B, H, blocks, parts, outputs):
    shared = arrays(units, like, 1, H, H, _U), arrays(constants, like, 1, 1, 1, _C)
    states = arrays(gates, like, B, blocks * H, H, _G), arrays(before, like, B, parts * H, H, _S)
    _units_and_sequences(*states, *shared, arrays(results, like, B, outputs * H, H, _Y), B, H)


def _backward_at(
    like, gates, before, units, constants, dresults, dgates, dbefore, dunits, B, H, blocks, parts, outputs
):
    shared = arrays(units, like, 1, H, H, _U), arrays(constants, like, 1, 1, 1, _C)
    states = arrays(gates, like, B, blocks * H, H, _G), arrays(before, like, B, parts * H, H, _S)
    slopes = arrays(dgates, like, B, blocks * H, H, _G), arrays(dbefore, like, B, parts * H, H, _S)
    own = arrays(dresults, like, B, outputs * H, H, _Y), *slopes, arrays(dunits, like, 1, H, H, _U)
    _units_and_sequences(*states, *shared, *own, B, H)


@functools.cache
def _compiled(function: Any) -> Any:
    """A scalar function with the functions that it calls, compiled."""
    called = {name: value for name in function.__code__.co_names if (value := _global(function, name)) is not None}
    own = {name: _COMPILED[value] if value in _COMPILED else _compiled(value) for name, value in called.items()}
    return inlined(copy_with(function, "", **own), IN_PLACE)


def _global(function: Any, name: str) -> Any:
    value = function.__globals__.get(name)
    return value if isinstance(value, FunctionType) else None


def _text(function: Any) -> str:
    """All that decides what a scalar function computes; the file of a cell is not among the sources of the kernels."""
    code = function.__code__
    known = [_global(function, name) for name in code.co_names]
    called = [_text(value) for value in known if value is not None and value not in _COMPILED]
    plain = [repr(function.__globals__.get(name)) for name in code.co_names if _global(function, name) is None]
    return repr((code.co_code, code.co_consts, code.co_names, called, plain))


@functools.cache
def addresses(label: str, step: Pointwise, gates: int, states: int, dtype: torch.dtype) -> Addresses:
    """The addresses of the compiled functions of a step of a cell with this number of gates and parts of the state."""
    like: Any = {torch.float32: types.float32, torch.float64: types.float64}[dtype]

    def compiled(scalars: Step, name: str, gates: int, results: int, backward: bool) -> int:
        sizes = {
            "_G": gates,
            "_S": states,
            "_U": len(step.units),
            "_C": len(step.constants),
            "_Y": results,
            "_GS": gates + states,
        }
        digest = hashlib.sha256(f"{sizes} {_text(scalars)}".encode()).hexdigest()[:10]
        names = {**sizes, "_function": _compiled(scalars), "_adds": name == "between_back"}
        inner = loop(copy_with(_backward if backward else _forward, name, **names))
        outer = _backward_at if backward else _forward_at
        copy = copy_with(outer, f"{label}_{name}_{digest}", _units_and_sequences=inner, **sizes)
        places: Any = [types.intp] * (copy.__code__.co_argcount - 1)
        return compiled_address(copy, types.void(like, *places))

    between, parts = step.between, states
    return Addresses(
        compiled(step.forward, "forward", gates, parts, False),
        compiled(between.forward, "between", between.gates, 1, False) if between else 0,
        compiled(step.backward, "backward", gates, parts, True),
        compiled(between.backward, "between_back", between.gates, 1, True) if between else 0,
    )

"""How a kernel is compiled: numba with one set of options, kept on disk, one copy per nonlinearity."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

from numba import njit

# Numba's cache looks only at the file of the compiled function. A kernel also contains what it calls from the other
# files of this folder, so the digest of all of them is part of its name: an edit anywhere compiles anew instead of
# loading stale code.
_SOURCES = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()[:10]

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",  # x / 0 is inf as in IEEE 754; a Python exception would also forbid vector code
    # a*b + c may round once instead of twice. Nothing else of fastmath: NaN, infinities and the order of sums stay as
    # written.
    "fastmath": {"contract"},
}

_HELPER = {
    **_OPTIONS,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}  # called by kernels alone: half the compile time
_KERNEL = {**_OPTIONS, "no_cfunc_wrapper": True, "cache": True}


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a helper that disappears inside the kernels that call it."""
    return njit(**_HELPER)(function)


def loop(function: Callable[..., Any]) -> Any:
    """Compile an inner loop over arrays of which none overlaps another.

    The compiler is told so: with more than a few arrays it would otherwise give up on vector code rather than check
    each pair.
    """
    dispatcher = njit(**_HELPER)(function)

    def without_aliases(flags: Any) -> Any:
        flags.noalias = True
        return flags

    # numba has the flag but no public switch. Without the hook the code is slower and just as right.
    if hasattr(dispatcher._compiler, "_customize_flags"):
        dispatcher._compiler._customize_flags = without_aliases
    return dispatcher


def kernel(function: Any) -> Any:
    """Compile a kernel and keep it on disk."""
    function.__qualname__ = f"{function.__qualname__}_{_SOURCES}"
    try:
        return njit(**_KERNEL)(function)
    except RuntimeError:  # no folder that a cache could be written to: every process compiles
        return njit(**_OPTIONS)(function)


def copy_with(function: Any, label: str, **names: Any) -> Any:
    """A copy of `function`, named after `label`, with some globals replaced: how a nonlinearity gets into a kernel."""
    copy = FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__)
    copy.__qualname__ = f"{function.__qualname__}_{label}"
    copy.__module__ = function.__module__
    return copy

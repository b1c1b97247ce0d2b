"""Compile functions with numba: one set of options, kernels cached on disk, and copies with other globals."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import Any

from numba import config as numba_config
from numba import njit
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature

from farback.kernels.cache import KernelCache

# Numba's cache checks only the file of the compiled function. A kernel also contains the functions that it calls from
# other files of this folder. So a digest of all files is part of each kernel's name: any edit compiles all again.
_SOURCES = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()[:10]

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",  # x / 0 is inf as in IEEE 754; a Python exception would also forbid vector code
    # a*b + c may round once instead of twice. Other fastmath options would change NaN, infinities or sums.
    "fastmath": {"contract"},
}

# Only kernels call helper functions, so these need no wrappers for Python or C, and compile in half the time.
_HELPER = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_KERNEL = {**_OPTIONS, "no_cfunc_wrapper": True}
# Sums over a row are computed as vectors of partial sums, in an order that depends on the length of the row alone.
_SUMMING = {**_HELPER, "fastmath": {"contract", "reassoc"}}
_EXACT = {**_HELPER, "fastmath": False}
IN_PLACE = {**_HELPER, "forceinline": True}  # for a long function in a loop: a call would prevent vector code
_STEPS: list[Any] = []


def inlined(function: Callable[..., Any], options: dict[str, Any] = _HELPER) -> Any:
    """Compile a helper function of kernels."""
    with _jit_enabled():
        return njit(**options)(function)


def loop(function: Callable[..., Any], options: dict[str, Any] = _HELPER) -> Any:
    """Compile an inner loop over arrays that do not overlap.

    Otherwise the compiler checks each pair of arrays for overlap, and uses no vector code for more than a few arrays.
    """
    dispatcher = inlined(function, options)

    def without_aliases(flags: Any) -> Any:
        flags.noalias = True
        return flags

    # numba has no public option for this flag. Without this hook the code is correct, but slower.
    if hasattr(dispatcher._compiler, "_customize_flags"):
        dispatcher._compiler._customize_flags = without_aliases
    return dispatcher


def summing_loop(function: Callable[..., Any]) -> Any:
    """As `loop`, for loops that add up the numbers of a row: the order of the additions may change."""
    return loop(function, _SUMMING)


def exact_loop(function: Callable[..., Any]) -> Any:
    """As `loop`, for loops that round after every operation, as tensor operations do."""
    return loop(function, _EXACT)


def kernel(function: Any) -> Any:
    """Compile a kernel and keep it on disk."""
    _name(function)
    with _jit_enabled():
        return _on_disk(njit(**_KERNEL)(function), function)


def compiled_address(function: Any, signature: Any) -> int:
    """Compile a function of numbers for one signature, keep it on disk, and return the address of its C function."""
    _name(function)
    options = {name: _OPTIONS[name] for name in ("error_model", "fastmath")}
    typed: Any = normalize_signature
    compiled = _on_disk(CFunc(function, typed(signature), locals={}, options=options), function)
    compiled.compile()
    _STEPS.append(compiled)  # this reference keeps its machine code in memory
    return int(compiled.address)


def _name(function: Any) -> None:
    function.__qualname__ = f"{function.__qualname__}_{_SOURCES}"


def _on_disk(compiled: Any, function: Any) -> Any:
    """The object that numba made of a function, with our cache in place of numba's."""
    with suppress(RuntimeError, OSError):  # without a writable folder for a cache every process compiles
        compiled._cache = KernelCache(function)
    compiled.compile = _jit_enabled()(compiled.compile)  # at the first call
    return compiled


@contextmanager
def _jit_enabled() -> Iterator[None]:
    """Compile in this block also if NUMBA_DISABLE_JIT is set, because the kernels do not run as Python."""
    config: Any = numba_config
    before, config.DISABLE_JIT = config.DISABLE_JIT, 0
    try:
        yield
    finally:
        config.DISABLE_JIT = before


def copy_with(function: Any, label: str, **names: Any) -> Any:
    """A copy of `function` with `label` in its name and some globals replaced, for example by a nonlinearity."""
    copy = FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__)
    copy.__qualname__ = f"{function.__qualname__}_{label}"
    copy.__module__ = function.__module__
    return copy

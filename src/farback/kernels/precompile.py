"""Compile ahead of use: the workers of a pool then load the kernels from disk instead of compiling each on its own."""

from collections.abc import Iterable

import torch

from farback.kernels.arguments import DTYPES
from farback.kernels.diagonal import diagonal
from farback.kernels.elman import elman
from farback.kernels.gru import gru
from farback.kernels.linear import linear
from farback.kernels.lstm import lstm
from farback.kernels.nonlinearities import NONLINEARITIES
from farback.kernels.optimizer_steps import adam, clip

PRODUCT = "linear"  # every network needs it, with the updates
_CELLS = (
    PRODUCT,
    "lstm",
    "gru",
    "diagonal",
    "diagonal complex",
    *(f"elman {nonlinearity}" for nonlinearity in NONLINEARITIES),
)


def supports(name: str, dtype: torch.dtype = torch.float32) -> bool:
    """Whether a kernel is there.

    `name` is linear, lstm, gru, diagonal ("diagonal complex" for a complex state of two such parts), or elman with
    its nonlinearity ("elman tanh").
    """
    return name in _CELLS and (dtype in DTYPES or (name == "diagonal" and dtype in (torch.complex64, torch.complex128)))


def _pass(name: str, dtype: torch.dtype) -> torch.Tensor:
    """One step forward of the smallest network."""

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, requires_grad=True)

    state = zeros(1, 1, 1)
    if name == PRODUCT:
        with torch.no_grad():
            one = torch.ones(1, 1, dtype=dtype)
            clipped, _ = clip(one, one)
            rules = dict.fromkeys(("lr", "beta1", "beta2", "eps"), one * 0.5)
            adam(one, clipped, torch.zeros_like(one), torch.zeros_like(one), rules, 1)
        return linear(zeros(1, 1, 1), zeros(1, 1, 1), zeros(1, 1))
    if name == "lstm":
        return lstm(zeros(1, 1, 1, 4), zeros(1, 4, 1), None, state, state)[0]
    if name == "gru":
        return gru(zeros(1, 1, 1, 3), zeros(1, 3, 1), None, state)
    if name == "diagonal":
        return diagonal(zeros(1, 1, 1, 1), zeros(1, 1, 1, 1), state)
    if name == "diagonal complex":
        step = torch.complex(zeros(1, 1, 1, 1), zeros(1, 1, 1, 1))
        return diagonal(step, step, torch.complex(state, state)).real
    return elman(zeros(1, 1, 1, 1), zeros(1, 1, 1), None, state, name.removeprefix("elman "))


def used(kernels: Iterable[str | None]) -> list[str]:
    """What networks whose cells have these kernels need, as `warm` takes it; None is a stepped cell's."""
    return sorted({PRODUCT, *(kernel for kernel in kernels if kernel is not None)})


def warm(names: Iterable[str] = _CELLS, dtypes: Iterable[torch.dtype] = (torch.float32,)) -> None:
    """Compile the named kernels (names as in `supports`), forward and backward, or load them from disk."""
    for name in names:
        for dtype in dtypes:
            with torch.enable_grad():
                _pass(name, dtype).sum().backward()  # type: ignore[no-untyped-call]

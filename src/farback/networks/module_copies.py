"""Copies of PyTorch modules for measuring and converting: the user's module is never changed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

Module = TypeVar("Module", bound=nn.Module)

PLAIN: dict[str, Any] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN_TANH": nn.RNN, "RNN_RELU": nn.RNN}
CLOSE = 1e-5  # largest difference of outputs, relative to the largest output, that counts as rounding


def copied(module: Module, dtype: torch.dtype | None = None) -> Module:
    """A copy on the CPU in evaluation mode (no dropout), with parameters that need no gradient.

    Weights that a parametrization, pruning or weight norm computes are copied as values; the copy computes them anew.

    Raises:
        ValueError: the module cannot be copied, or is lazy and has not been run yet.
    """
    if any(is_lazy(value) for value in module.parameters()):
        raise ValueError(f"{type(module).__name__} has lazy parameters without values: run it once before measuring it")
    # `deepcopy` refuses tensors with a graph, which these reparametrisations store as attributes
    memo: dict[int, Any] = {id(value): value.detach().clone() for value in _computed(module)}
    try:
        with torch.inference_mode(False):
            own = copy.deepcopy(module, memo).cpu().eval().requires_grad_(False)
            return own if dtype is None else _in_precision(own, dtype)
    except Exception as error:
        raise ValueError(f"{type(module).__name__} cannot be copied ({type(error).__name__}: {error})") from error


def _in_precision(module: Module, dtype: torch.dtype) -> Module:
    """The module with real numbers of type `dtype`, and complex numbers of the type with that precision.

    `Module.to` would keep the real parts of complex numbers only.
    """
    for value in (*module.parameters(), *module.buffers()):
        if value.is_floating_point() or value.is_complex():
            value.data = value.data.to(dtype if value.is_floating_point() else dtype.to_complex())
    return module


def _computed(module: nn.Module) -> Iterator[Tensor]:
    """All tensors with a graph that a module and its parts hold as attributes, also in lists and dicts."""
    pending: list[Any] = [vars(part) for part in module.modules()]
    while pending:
        value = pending.pop()
        if isinstance(value, Tensor):
            if not value.is_leaf:
                yield value
        elif isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list | tuple):
            pending += value


def has_own_forward(module: nn.RNNBase) -> bool:
    """Whether the module does not run the `forward` of `torch.nn.RNN`, `LSTM` or `GRU`."""
    return "forward" in vars(module) or type(module).forward is not PLAIN[module.mode].forward


def plain(module: nn.Module) -> Any:
    """A plain `torch.nn.RNN`, `LSTM` or `GRU` that computes the same as a module of a class derived from it, or as a
    parametrized, pruned or weight-normed one. Both are run, and their outputs compared.

    Raises:
        ValueError: another module, one with projections, or one that cannot be copied or run; or the outputs differ, as
            with a `forward` or a hook of its own.
    """
    if not isinstance(module, nn.RNN | nn.GRU | nn.LSTM) or module.proj_size:
        raise ValueError(f"only a torch.nn.RNN, GRU or LSTM without projections can be converted, got {module}")
    own = copied(module)
    name = type(module).__name__
    sizes = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
    options: dict[str, Any] = {size: getattr(own, size) for size in sizes}
    if isinstance(own, nn.RNN):
        options["nonlinearity"] = own.nonlinearity
    dtype = next(own.parameters()).dtype
    made: Any = PLAIN[module.mode](**options, device="meta", dtype=dtype)  # draws no random numbers
    made = made.to_empty(device="cpu").eval().requires_grad_(False)
    x = torch.randn(5, 3, own.input_size, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.inference_mode(False), torch.no_grad():
        try:
            expected = own(x)[0]  # computes the weights of a reparametrised module
            made.load_state_dict({key: getattr(own, key).detach() for key in made.state_dict()})
        except Exception as error:
            raise ValueError(f"{name} cannot be converted to torch.nn ({type(error).__name__}: {error})") from error
        found = made(x)[0]
    if not isinstance(expected, Tensor) or expected.shape != found.shape or not same(found, expected):
        reason = "its forward is its own" if has_own_forward(module) else "a hook changes them"
        raise ValueError(
            f"{name} does not give the outputs of torch.nn.{PLAIN[module.mode].__name__} with its weights ({reason}), "
            "so it cannot be converted; measures take it as it is"
        )
    return made


def same(found: Tensor, expected: Tensor, close: float = CLOSE) -> bool:
    """Whether two tensors differ by rounding only: by at most `close` times the largest finite expected number."""
    finite = expected[torch.isfinite(expected)].abs()
    largest = float(finite.max()) if finite.numel() else 0.0
    return torch.allclose(found, expected.to(found.dtype), rtol=close, atol=close * largest, equal_nan=True)

"""The modules that a function uses, set to evaluation mode while it runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import Tensor, nn

DEPTH = 4  # of attributes, lists and inner functions that are searched
LONGEST = 100  # longer lists and dicts hold data


def modules_in(function: Any) -> list[nn.Module]:
    """The modules in a function's closure, globals and defaults, or among the attributes of a callable object."""
    found: dict[int, nn.Module] = {}
    seen: set[int] = set()
    pending = [(function, 0)]
    while pending:
        value, depth = pending.pop()
        if id(value) in seen or depth > DEPTH:
            continue
        seen.add(id(value))
        if isinstance(value, nn.Module):
            found[id(value)] = value
        else:
            pending += [(part, depth + 1) for part in _parts(value)]
    return list(found.values())


def _parts(value: Any) -> list[Any]:
    if isinstance(value, type | ModuleType | Tensor):
        return []
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if inspect.ismethod(value):
        return [value.__self__, value.__func__]
    if inspect.isfunction(value):
        try:
            names = inspect.getclosurevars(value)
        except ValueError:  # a variable of the closure has no value yet
            return []
        defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        return [*names.nonlocals.values(), *names.globals.values(), *defaults]
    if isinstance(value, dict | list | tuple | set):
        items = list(value.values()) if isinstance(value, dict) else list(value)
        return items if len(items) <= LONGEST else []
    return list(vars(value).values()) if hasattr(value, "__dict__") else []


@contextmanager
def evaluating(modules: list[nn.Module]) -> Iterator[None]:
    """Evaluation mode for modules and all their parts, which get their own mode back afterwards."""
    training = [part for module in modules for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True

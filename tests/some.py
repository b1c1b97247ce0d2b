"""Parametrize a test over some values in `make test`, and over all of them in `make test-all`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def some(values: Iterable[Any], quick: Callable[[int, Any], bool]) -> list[Any]:
    """The values; those for which `quick(index, value)` is false are marked slow."""
    marked = []
    for at, value in enumerate(values):
        if quick(at, value):
            marked.append(value)
        else:
            marked.append(pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow))
    return marked


def one_in(step: int) -> Callable[[int, Any], bool]:
    """Every so many."""
    return lambda at, value: at % step == 0

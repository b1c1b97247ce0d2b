"""Tells a gradient that is zero from one that PyTorch has lost, as by no_grad, detach or NumPy in a callable."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

JITTER = 1e-2  # a general point near the given one, away from kinks such as that of relu at 0
HALVINGS = 8.0  # ratio of the two sizes of a change
CLOSE = 0.05  # a smooth function changes in proportion, and by the opposite for the opposite change, within this
DIRECTIONS = 3


def require_graph(
    value: Callable[[Tensor], Tensor], gradient: Callable[[Tensor], Tensor], at: Tensor, what: str
) -> None:
    """Raise ValueError if a number changes in proportion to entries for which its gradient is exactly zero.

    Args:
        value: the number, from a tensor such as `at`.
        gradient: its gradient, or any tensor of its shape that is zero where the gradient is.
        what: the name of the entries in the message.
    """
    if bool((gradient(at) != 0).all()):
        return
    generator = torch.Generator().manual_seed(0)
    size = max(1.0, float(at.abs().max()))
    at = at + JITTER * size * torch.randn(at.shape, generator=generator, dtype=at.dtype)
    zero = gradient(at) == 0
    if not bool(zero.any()):
        return
    eps = torch.finfo(at.dtype).eps
    with torch.no_grad():
        start = float(value(at))
        for _ in range(DIRECTIONS):
            sign = torch.randint(2, at.shape, generator=generator).to(at.dtype) * 2 - 1
            change = eps**0.2 * JITTER * size * sign * zero
            large, back, small = (float(value(at + share * change)) - start for share in (1, -1, 1 / HALVINGS))
            if not abs(small) > eps**0.6 * max(1.0, abs(start)):
                return
            if abs(large / small - HALVINGS) > CLOSE * HALVINGS or abs(large + back) > CLOSE * abs(large):
                return
    raise ValueError(
        f"the result changes with {what}, but PyTorch has no gradient for the change: the callable or the loss leaves "
        "PyTorch's graph, by no_grad, inference_mode, detach, item or NumPy; causal_reach needs no gradient"
    )

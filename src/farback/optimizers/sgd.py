"""Stochastic gradient descent."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from farback.optimizers.base import Fraction, Optimizer, Rate, Tensors


class SGD(Optimizer):
    """Gradient descent, with momentum as in `torch.optim.SGD` (no dampening, no Nesterov).

    Source: Robbins and Monro 1951; momentum after Sutskever et al. 2013, in PyTorch's form.
    """

    averages: ClassVar[tuple[str, ...]] = ("velocity",)
    lr: Rate = 1e-2
    momentum: Fraction = 0.0

    @staticmethod
    @override
    def update(theta_RP: Tensor, grad_RP: Tensor, moments: Tensors, rules: Tensors, count: int) -> None:
        velocity = moments["velocity"].mul_(rules["momentum"]).add_(grad_RP)
        theta_RP.sub_(velocity * rules["lr"])

"""RMSprop."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from farback.optimizers.base import Fraction, Optimizer, Small, Tensors


class RMSprop(Optimizer):
    """RMSprop as `torch.optim.RMSprop`, not centred.

    Source: Tieleman and Hinton 2012, lecture 6.5.
    """

    averages: ClassVar[tuple[str, ...]] = ("square", "velocity")
    alpha: Fraction = 0.99
    eps: Small = 1e-8
    momentum: Fraction = 0.0

    @staticmethod
    @override
    def update(theta_RP: Tensor, grad_RP: Tensor, moments: Tensors, rules: Tensors, count: int) -> None:
        square = moments["square"].mul_(rules["alpha"]).add_(grad_RP.square() * (1 - rules["alpha"]))
        velocity = moments["velocity"].mul_(rules["momentum"]).add_(grad_RP / (square.sqrt() + rules["eps"]))
        theta_RP.sub_(velocity * rules["lr"])

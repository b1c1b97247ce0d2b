"""RMSprop."""

from __future__ import annotations

import torch
from torch import Tensor

from farback.optimizers.base import Fraction, Optimizer, Small


class RMSprop(Optimizer):
    """RMSprop as `torch.optim.RMSprop`, not centred.

    Source: Tieleman and Hinton 2012, lecture 6.5.
    """

    alpha: Fraction = 0.99
    eps: Small = 1e-8
    momentum: Fraction = 0.0

    @staticmethod
    def moments(theta_RP: Tensor) -> dict[str, Tensor]:
        """Mean square and velocity, zero."""
        return {"square": torch.zeros_like(theta_RP), "velocity": torch.zeros_like(theta_RP)}

    @staticmethod
    def update(
        theta_RP: Tensor, grad_RP: Tensor, moments: dict[str, Tensor], rules: dict[str, Tensor], count: int
    ) -> None:
        """One RMSprop step."""
        square = moments["square"].mul_(rules["alpha"]).add_(grad_RP.square() * (1 - rules["alpha"]))
        velocity = moments["velocity"].mul_(rules["momentum"]).add_(grad_RP / (square.sqrt() + rules["eps"]))
        theta_RP.sub_(velocity * rules["lr"])

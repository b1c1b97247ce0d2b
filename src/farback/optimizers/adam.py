"""Adam."""

from __future__ import annotations

import torch
from torch import Tensor

from farback.kernels.unroll import adam, supported
from farback.optimizers.base import Fraction, Optimizer, Small


class Adam(Optimizer):
    """Adam with bias correction, as `torch.optim.Adam`.

    Source: Kingma and Ba 2015 (1412.6980), algorithm 1.
    """

    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Small = 1e-8

    @staticmethod
    def moments(theta_RP: Tensor) -> dict[str, Tensor]:
        """First and second moment, zero."""
        return {"first": torch.zeros_like(theta_RP), "second": torch.zeros_like(theta_RP)}

    @staticmethod
    def update(
        theta_RP: Tensor, grad_RP: Tensor, moments: dict[str, Tensor], rules: dict[str, Tensor], count: int
    ) -> None:
        """One Adam step."""
        first, second = moments["first"], moments["second"]
        if supported(theta_RP, first, second):
            return adam(theta_RP, grad_RP, first, second, rules, count)
        beta1, beta2 = rules["beta1"], rules["beta2"]
        first.mul_(beta1).add_(grad_RP * (1 - beta1))
        second.mul_(beta2).add_(grad_RP.square() * (1 - beta2))
        scale = (second / (1 - beta2**count)).sqrt_().add_(rules["eps"])
        theta_RP.sub_(first / scale * (rules["lr"] / (1 - beta1**count)))
        return None

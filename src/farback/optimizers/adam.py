"""Adam."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from farback.kernels.unroll import adam, supported
from farback.optimizers.base import Fraction, Optimizer, Small, Tensors


class Adam(Optimizer):
    """Adam with bias correction, as `torch.optim.Adam`.

    Source: Kingma and Ba 2015 (1412.6980), algorithm 1.
    """

    averages: ClassVar[tuple[str, ...]] = ("first", "second")
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Small = 1e-8

    @staticmethod
    @override
    def update(theta_RP: Tensor, grad_RP: Tensor, moments: Tensors, rules: Tensors, count: int) -> None:
        first, second = moments["first"], moments["second"]
        if supported(theta_RP, first, second):
            adam(theta_RP, grad_RP, first, second, rules, count)
            return
        beta1, beta2 = rules["beta1"], rules["beta2"]
        first.mul_(beta1).add_(grad_RP * (1 - beta1))
        second.mul_(beta2).add_(grad_RP.square() * (1 - beta2))
        scale = (second / (1 - beta2**count)).sqrt_().add_(rules["eps"])
        theta_RP.sub_(first / scale * (rules["lr"] / (1 - beta1**count)))

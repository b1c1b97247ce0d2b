"""Adam with decoupled weight decay."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.optimizers.adam import Adam
from farback.optimizers.base import Fraction, Optimizer, Small, Tensors


class AdamW(Optimizer):
    """Adam with decoupled weight decay, as `torch.optim.AdamW`.

    Every update first multiplies all trained parameters, biases included, by `1 - lr * weight_decay`. Frozen parameters
    do not decay.

    Source: Loshchilov and Hutter 2019 (1711.05101), algorithm 2, in PyTorch's form.
    """

    averages: ClassVar[tuple[str, ...]] = Adam.averages
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Small = 1e-8
    weight_decay: Annotated[float, Field(ge=0, le=1e3)] = 1e-2

    @staticmethod
    @override
    def update(theta_RP: Tensor, grad_RP: Tensor, moments: Tensors, rules: Tensors, count: int) -> None:
        theta_RP.mul_(1 - rules["lr"] * rules["weight_decay"])
        Adam.update(theta_RP, grad_RP, moments, rules, count)

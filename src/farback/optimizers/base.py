"""The interface of optimizers, and the clipping of gradients.

Every replica has its own learning rate, moments and gradient norm. Parameters and gradients are flat: one (R, P) tensor
with a row for each replica. Each optimizer computes the same rule as its namesake in `torch.optim`, so that a replica
gets the same numbers as in a plain PyTorch script.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from farback.kernels.unroll import clip, supported
from farback.records.component import Component, Family
from farback.records.record import single

Rate = Annotated[float, Field(gt=0, le=1e3), AfterValidator(single)]
Fraction = Annotated[float, Field(ge=0, le=0.9999999)]  # larger numbers would round to 1 in single precision
Small = Annotated[float, Field(gt=0), AfterValidator(single)]
Tensors = dict[str, Tensor]


class Optimizer(Component):
    """The base class of optimizers: the hyper-parameters of one replica.

    Attributes:
        averages: names of the running averages that an update uses.
    """

    averages: ClassVar[tuple[str, ...]] = ()
    lr: Rate = 1e-3

    @classmethod
    def moments(cls, theta_RP: Tensor) -> Tensors:
        """The running averages before the first update: zeros, each (R, P)."""
        return {name: torch.zeros_like(theta_RP) for name in cls.averages}

    @staticmethod
    @abstractmethod
    def update(theta_RP: Tensor, grad_RP: Tensor, moments: Tensors, rules: Tensors, count: int) -> None:
        """Change the parameters `theta_RP` and their running averages `moments` in place.

        `rules` are the hyper-parameters by name, each (R, 1); `count` is the number of this update, from 1.
        """

    def digested(self) -> dict[str, Any]:
        """As for any component, but without the version while it is 1: keys of trials do not contain it."""
        return {name: value for name, value in super().digested().items() if (name, value) != ("version", 1)}


def stacked(optimizers: Sequence[Optimizer], like: Tensor) -> Tensors:
    """Each hyper-parameter of R optimizers of the same kind, as an (R, 1) tensor."""
    return {
        name: torch.tensor([[getattr(one, name)] for one in optimizers], dtype=like.dtype, device=like.device)
        for name in type(optimizers[0]).model_fields
        if name != "name"
    }


def clipped(grad_RP: Tensor, limit_R1: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient scaled so that no replica's norm exceeds its limit, and the norms before scaling, (R,).

    The rule of `torch.nn.utils.clip_grad_norm_` for each replica. A limit of infinity does not change the gradient.
    """
    if supported(grad_RP):
        return clip(grad_RP, limit_R1)
    norm_R1 = grad_RP.square().sum(1, keepdim=True).sqrt()
    scale_R1 = (limit_R1 / (norm_R1 + 1e-6)).clamp(max=1.0)
    return torch.where(scale_R1 < 1, grad_RP * scale_R1, grad_RP), norm_R1.squeeze(1)


FAMILY = Family("farback.optimizers", Optimizer, "optimizer")

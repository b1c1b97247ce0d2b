"""An optimizer is the rule by which gradients change parameters; clipping stands beside it.

Every replica has its own rate, its own moments and its own norm. Parameters and gradients are flat: one (R, P) tensor,
a row for each replica. Each rule is that of `torch.optim`, so a replica's numbers are those of a plain PyTorch script.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from farback.kernels.unroll import clip, supported
from farback.records.component import Component, Family
from farback.records.record import single

Rate = Annotated[float, Field(gt=0, le=1e3), AfterValidator(single)]
Fraction = Annotated[float, Field(ge=0, le=0.9999999)]  # any nearer to 1 is 1 in single precision
Small = Annotated[float, Field(gt=0), AfterValidator(single)]


class Optimizer(Component):
    """The base of the optimizers: the hyper-parameters of one replica."""

    lr: Rate = 1e-3

    @staticmethod
    @abstractmethod
    def moments(theta_RP: Tensor) -> dict[str, Tensor]:
        """The running averages before the first update, each (R, P)."""

    @staticmethod
    @abstractmethod
    def update(
        theta_RP: Tensor, grad_RP: Tensor, moments: dict[str, Tensor], rules: dict[str, Tensor], count: int
    ) -> None:
        """Change `theta_RP` and `moments` in place.

        Args:
            theta_RP: the parameters.
            grad_RP: their gradient.
            moments: as `moments` made them; each (R, P).
            rules: each hyper-parameter as (R, 1).
            count: which update this is, from 1.
        """

    def digested(self) -> dict[str, Any]:
        """As for any component, but version 1 is left out: keys of trials do not hold it."""
        values = super().digested()
        return {name: value for name, value in values.items() if (name, value) != ("version", 1)}


def stacked(optimizers: Sequence[Optimizer], like: Tensor) -> dict[str, Tensor]:
    """Each hyper-parameter of R optimizers of one kind as an (R, 1) tensor."""
    names = [name for name in type(optimizers[0]).model_fields if name != "name"]
    return {
        name: torch.tensor([[getattr(one, name)] for one in optimizers], dtype=like.dtype, device=like.device)
        for name in names
    }


def clipped(grad_RP: Tensor, limit_R1: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient scaled so that no replica's norm exceeds its limit, and the norms before scaling, (R,).

    The rule of `torch.nn.utils.clip_grad_norm_`, per replica; a limit of infinity leaves the gradient as it is.
    """
    if supported(grad_RP):
        return clip(grad_RP, limit_R1)
    norm_R1 = grad_RP.square().sum(1, keepdim=True).sqrt()
    scale_R1 = (limit_R1 / (norm_R1 + 1e-6)).clamp(max=1.0)
    return torch.where(scale_R1 < 1, grad_RP * scale_R1, grad_RP), norm_R1.squeeze(1)


FAMILY = Family("farback.optimizers", Optimizer, "optimizer")

"""Optimizers and gradient clipping over replicas: every replica has its own rate, its own moments and its own norm.

Parameters and gradients are flat: one (R, P) tensor, a row a replica. Each rule is the one of `torch.optim`, so that a
replica's numbers are those of a plain PyTorch script.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, BeforeValidator, Field
from torch import Tensor

from farback.component import Record, single
from farback.kernels.unroll import adam, clip, supported

Rate = Annotated[float, Field(gt=0, le=1e3), AfterValidator(single)]
Fraction = Annotated[float, Field(ge=0, le=0.9999999)]  # a little nearer, and it is 1 in single precision
Small = Annotated[float, Field(gt=0), AfterValidator(single)]


class Rule(Record, ABC):
    """The base of the optimizers: hyper-parameters of one replica."""

    lr: Rate = 1e-3

    @staticmethod
    @abstractmethod
    def moments(theta_RP: Tensor) -> dict[str, Tensor]:
        """The running averages before the first update."""

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


class Adam(Rule):
    """Adam with bias correction (Kingma and Ba 2015, algorithm 1), as `torch.optim.Adam`."""

    name: Literal["adam"] = "adam"
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


class SGD(Rule):
    """Gradient descent, with momentum as in `torch.optim.SGD` (no dampening, no Nesterov)."""

    name: Literal["sgd"] = "sgd"
    lr: Rate = 1e-2
    momentum: Fraction = 0.0

    @staticmethod
    def moments(theta_RP: Tensor) -> dict[str, Tensor]:
        """The velocity, zero."""
        return {"velocity": torch.zeros_like(theta_RP)}

    @staticmethod
    def update(
        theta_RP: Tensor, grad_RP: Tensor, moments: dict[str, Tensor], rules: dict[str, Tensor], count: int
    ) -> None:
        """One step along the velocity."""
        velocity = moments["velocity"].mul_(rules["momentum"]).add_(grad_RP)
        theta_RP.sub_(velocity * rules["lr"])


class RMSprop(Rule):
    """RMSprop (Tieleman and Hinton 2012), as `torch.optim.RMSprop`, not centred."""

    name: Literal["rmsprop"] = "rmsprop"
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


def _named(spec: object) -> object:
    return {"name": spec} if isinstance(spec, str) else spec


Optimizer = Annotated[
    Annotated[Adam | SGD | RMSprop, Field(discriminator="name")],
    BeforeValidator(
        _named,
        json_schema_input_type=Annotated[Adam | SGD | RMSprop, Field(discriminator="name")]
        | Literal["adam", "sgd", "rmsprop"],
    ),
]


def stacked(rules: Sequence[Rule], like: Tensor) -> dict[str, Tensor]:
    """Each hyper-parameter of R rules of one kind as an (R, 1) tensor."""
    names = [name for name in type(rules[0]).model_fields if name != "name"]
    return {
        name: torch.tensor([[getattr(rule, name)] for rule in rules], dtype=like.dtype, device=like.device)
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

"""An optimizer of this project: `optimizer: starter` in a config; `farback show optimizer starter` prints it."""

from typing import ClassVar

from torch import Tensor

from farback.optimizers.base import Fraction, Optimizer, Rate, Tensors


class Starter(Optimizer):
    """Steps of equal size against the sign of a running average of the gradient.

    m <- decay m + (1 - decay) gradient;  parameters <- parameters - lr sign(m)

    Source: the sign-momentum form of Bernstein et al. 2018 (1802.04434).
    """

    # Parameters for configs: `optimizer: {name: starter, lr: 1.0e-3, decay: 0.99}`
    lr: Rate = 1e-3
    decay: Fraction = 0.9
    averages: ClassVar[tuple[str, ...]] = ("m",)  # running averages, which start at 0

    @staticmethod
    def update(theta_RP: Tensor, grad_RP: Tensor, moments: Tensors, rules: Tensors, count: int) -> None:
        """Change the parameters and running averages in place: R networks with P parameters each.

        `rules` has the fields of this class, an (R, 1) tensor each, because each network may have its own.
        """
        m = moments["m"].mul_(rules["decay"]).add_(grad_RP * (1 - rules["decay"]))
        theta_RP.sub_(rules["lr"] * m.sign())

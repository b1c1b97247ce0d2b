"""A learning rate that falls along half a cosine."""

from __future__ import annotations

import math

from typing_extensions import override

from farback.schedules.base import Final, Schedule


class Cosine(Schedule):
    """The rate falls from `lr` to `final * lr` along half a cosine: `torch.optim.lr_scheduler.CosineAnnealingLR`.

    `T_max` is the number of updates after warm-up, and `eta_min` is `final * lr`. As in PyTorch, the smallest rate
    would be reached at the update after the last.

    Source: Loshchilov and Hutter 2017 (1608.03983), equation 5, without restarts.
    """

    final: Final = 0.0

    @override
    def decay(self, done: float) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2

"""A constant learning rate."""

from __future__ import annotations

from typing_extensions import override

from farback.schedules.base import Schedule


class Constant(Schedule):
    """The learning rate is `lr` after warm-up, as with `torch.optim.lr_scheduler.LinearLR` alone.

    Source: warm-up after Goyal et al. 2017 (1706.02677), section 2.2.
    """

    @override
    def decay(self, done: float) -> float:
        return 1.0

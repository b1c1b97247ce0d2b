"""A learning rate that falls along a line."""

from __future__ import annotations

from typing_extensions import override

from farback.schedules.base import Final, Schedule


class Linear(Schedule):
    """The rate falls from `lr` to `final * lr` along a line: `torch.optim.lr_scheduler.LinearLR` with start_factor 1.

    `total_iters` is the number of updates after warm-up, and `end_factor` is `final`. As in PyTorch, the smallest rate
    would be reached at the update after the last.

    Source: Devlin et al. 2019 (1810.04805), appendix A.2: warm-up, then linear decay to 0.
    """

    final: Final = 0.0

    @override
    def decay(self, done: float) -> float:
        return 1 + (self.final - 1) * done

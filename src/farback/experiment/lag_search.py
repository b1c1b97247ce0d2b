"""The trials of one network whose lags are chosen during the run."""

from __future__ import annotations

from dataclasses import dataclass

from farback.trials.lags import AdaptiveLag
from farback.trials.trial import Trial

JUDGED_SEEDS = 10_000  # added to the first seed: where the seeds begin on which the chosen setting is judged
CHOICE, JUDGED = "choice", "judged"


@dataclass(frozen=True)
class LagSearch:
    """A network whose lags are adaptive.

    Attributes:
        settings: the tuned settings as text ("optimizer.lr 0.01"); one empty text without `tune`.
        arms: for each setting, the trial at the smallest lag with the first seed.
    """

    settings: tuple[str, ...]
    arms: tuple[Trial, ...]

    @property
    def adaptive(self) -> AdaptiveLag:
        """How lags are chosen."""
        adaptive = self.arms[0].adaptive
        assert adaptive is not None  # because the grid of the arms is adaptive
        return adaptive

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and the largest lag."""
        low, high = self.adaptive.adaptive
        return low, high

    def trial(self, arm: int, lag: int, number: int, role: str) -> Trial:
        """The trial with the seed `number` (0, 1, ...) of a setting in a role; roles have no seed in common."""
        base = self.arms[arm]
        seed = base.seed + number + (JUDGED_SEEDS if role == JUDGED else 0)
        return base.changed(lag=lag, seed=seed).playing((role, self.settings[arm]))

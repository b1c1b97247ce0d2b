"""The trials of one network that are chosen during the run."""

from __future__ import annotations

from dataclasses import dataclass

from farback.trials.lags import AdaptiveLag
from farback.trials.trial import Trial

JUDGED_SEEDS = 10_000  # added to the first seed: where the seeds begin on which the chosen setting is judged
CHOICE, JUDGED = "choice", "judged"


@dataclass(frozen=True)
class ChosenTrials:
    """The trials of a network whose lags are adaptive, or that has tuned settings at a listed lag.

    Attributes:
        settings: the tuned settings as text ("optimizer.lr 0.01"); one empty text without `tune`.
        arms: for each setting, the trial with the first seed, at the listed or the smallest lag.
        adaptive: how lags are chosen; None if the lag is listed.
        judged: with a listed lag, the seeds on which the chosen setting is judged, counted from the first.
    """

    settings: tuple[str, ...]
    arms: tuple[Trial, ...]
    adaptive: AdaptiveLag | None = None
    judged: tuple[int, ...] = ()

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and the largest lag."""
        low, high = self.adaptive.adaptive if self.adaptive else (self.arms[0].lag, self.arms[0].lag)
        return low, high

    def trial(self, arm: int, lag: int, number: int, role: str) -> Trial:
        """The trial with the seed `number` (0, 1, ...) of a setting in a role; roles have no seed in common."""
        base = self.arms[arm]
        seed = base.seed + number + (JUDGED_SEEDS if role == JUDGED and self.settings[arm] else 0)
        return base.changed(lag=lag, seed=seed).playing((role, self.settings[arm]))

"""The horizon of one network, as `farback.horizon` returns it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
from typing_extensions import override

from farback import tables
from farback.records.counted_nouns import counted
from farback.tables.horizon_estimates import Bound, HorizonEstimate, lag_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_SETTINGS = ("hidden", "optimizer.name", "optimizer.lr", "steps", "batch")  # in the repr


@dataclass(frozen=True, repr=False)
class HorizonResult:
    """The lag at which half of fresh networks learn a task, with its 95 % interval.

    Attributes:
        network: the name of the network.
        task: the name of the task.
        horizon: estimate, interval and bound in one record; as text "26 (24 to 30)" or "at least 1280".
        trained: how many networks were trained, including those that only helped to choose the learning rate.
        done: whether the precision was reached; False after Ctrl-C, or if all `seeds` were used before.
        settings: the settings of the trainings that were counted, by their names in a config; without lag and seed.
        frame: the scores of all trainings, as `farback.frame` returns them.
    """

    network: str
    task: str
    horizon: HorizonEstimate
    trained: int
    done: bool
    settings: dict[str, Any]
    frame: pd.DataFrame = field(compare=False)

    @classmethod
    def of(cls, frame: pd.DataFrame, settings: dict[str, Any], done: bool) -> HorizonResult:
        """The result of trainings of one network, from their scores.

        Raises:
            ValueError: there is no training that counts.
        """
        (row,) = tables.trainability(frame).to_dict("records")
        tried = float(row["smallest_lag"]), float(row["largest_lag"])
        estimate = HorizonEstimate(float(row["estimate"]), float(row["low"]), float(row["high"]), *tried)
        trained, task = frame["key"].nunique(), str(frame["task"].iloc[0])
        return cls(str(row["label"]), task, estimate, trained, done, settings, frame)

    @property
    def estimate(self) -> float:
        """The lag, in steps; inf if it lies beyond the largest lag that was tried, 0 if below the smallest."""
        return self.horizon.estimate

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval, in the same way."""
        return self.horizon.low

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval, in the same way."""
        return self.horizon.high

    @property
    def bound(self) -> Bound:
        """ "none", or "at least" or "below" if the estimate lies beyond the lags that were tried."""
        return self.horizon.bound

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw the success rate at each lag, the fitted curve and the horizon. Returns the figure.

        Args:
            ax: the axes to draw into; default: a new figure.
        """
        from farback import plots  # matplotlib takes a second to import

        by_lag, curves = tables.success_by_lag(self.frame), tables.success_curves(self.frame)
        return plots.success(by_lag, curves, tables.trainability(self.frame), ax=ax)

    @override
    def __repr__(self) -> str:
        found, who = self.horizon, f"fresh {self.network} networks"
        if found.bound == "none":
            answer = f"Half of {who} learn {self.task} up to a lag of {lag_text(found.estimate)} steps"
        elif found.bound == "at least":
            answer = f"Most {who} learn {self.task} at lag {lag_text(found.largest)}, the largest tried"
        else:
            answer = f"Most {who} fail on {self.task} at lag {lag_text(found.smallest)}, the smallest tried"
        interval = str(found).partition(" (")[2].removesuffix(")").removeprefix("95 %: ")
        answer += f" (95 %: {interval})" if interval else ""
        settings = ", ".join(f"{name} {self.settings[name]}" for name in SHOWN_SETTINGS if name in self.settings)
        unsure = "" if self.done else "; stopped before the precision was reached"
        return f"{answer}; {counted(self.trained, 'network')} trained ({settings}){unsure}"

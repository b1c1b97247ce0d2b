"""Displays the progress of a run: counts, time left, and each network's horizon so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from farback import stats
from farback.runs.progress import Lines, Tally
from farback.tasks.support.mixed_lags import Curriculum, Mixed
from farback.trials.events import Event, Finished
from farback.trials.trial import Trial

PROTOCOLS = ("one network per lag", "one network, all lags", "one network, curriculum")


class Display(ABC):
    """Shows progress: as a live panel on a terminal, otherwise as a line every ten seconds.

    While `is_live`, a signal handler writes its message to `notice` instead of the terminal: text written between two
    frames would leave a part of the older frame on the screen.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.lines = Lines(not console.is_terminal, self.say)
        self.is_live, self.notice = False, ""

    @property
    @abstractmethod
    def share(self) -> float:
        """The share of the work that is done, 0 to 1."""

    @abstractmethod
    def counts(self) -> str:
        """A text with the counts and the time left."""

    @abstractmethod
    def panel(self) -> Iterator[RenderableType]:
        """What the panel shows below the bar and the counts."""

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the panel during this block, if the output is a terminal."""
        if not self.console.is_terminal:
            yield
            return
        with Live(self, console=self.console, refresh_per_second=4):
            self.is_live = True
            try:
                yield
            finally:
                self.is_live = False

    def print_line(self, more: str = "") -> None:
        """Print a line, if the output is not a terminal and the last line was long ago."""
        self.lines.update(lambda: f"{self.share:4.0%}  {self.counts()}{more}")

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def __rich__(self) -> Group:
        bar = Table.grid()
        bar.add_row(ProgressBar(1.0, self.share, 60, complete_style="green", finished_style="green"))
        notice = [Text(f"\n{self.notice}")] if self.notice else []
        return Group(bar, Text(f"{self.share:4.0%}  {self.counts()}"), *self.panel(), *notice)


class SweepDisplay(Display):
    """The display of a sweep. Update the tally before each call of `add`.

    `names` has the name that the table shows for a trial, by key; by default the trial's label.
    """

    def __init__(self, tally: Tally, console: Console, names: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(console)
        self.tally, self.remaining, self.names = tally, tally.plan.remaining, names
        self.trials = {trial.key: trial for trial in self.remaining.every}
        self.passed: dict[tuple[str, int], dict[int, list[bool]]] = {}  # by (label, protocol) and lag

    def add(self, event: Event) -> None:
        """Process an event."""
        if isinstance(event, Finished) and event.key in self.trials:
            self._add_lags(self.trials[event.key], event.result.scores)
        single = self.remaining.adaptive.networks if not self.trials else ()
        self.print_line(f"; horizon so far: {single[0].progress()}" if len(single) == 1 else "")

    def add_recorded(self, frame: pd.DataFrame) -> None:
        """Add the scores of trials that had a result before the run, from a store's frame."""
        for key, rows in frame.groupby("key"):
            if str(key) in self.trials:
                self._add_lags(self.trials[str(key)], rows)

    def _name(self, trial: Trial) -> str:
        return self.names.get(trial.key, trial.label)

    def _add_lags(self, trial: Trial, scores: pd.DataFrame) -> None:
        rows = scores[(scores["measure"] == "retention") & (scores["statistic"] == "success")]
        protocol = _protocol(trial)
        by_lag = self.passed.setdefault((self._name(trial), protocol), {})
        for lag, value in zip(rows["lag"], rows["value"], strict=True):
            if protocol or lag == trial.lag:
                by_lag.setdefault(int(lag), []).append(value > 0)

    def _horizon(self, label: str, protocol: int) -> str:
        """The horizon of a network so far; empty without results."""
        adaptive = [one.progress() for one in self.remaining.adaptive.networks if one.label == label and not protocol]
        by_lag = self.passed.get((label, protocol), {})
        if adaptive or not by_lag:
            return "; ".join(adaptive)
        half = [2 * sum(by_lag[lag]) >= len(by_lag[lag]) for lag in sorted(by_lag)]
        return str(stats.first_failure(sorted(by_lag), half).horizon)

    @property
    @override
    def share(self) -> float:
        return self.tally.share

    @override
    def counts(self) -> str:
        return self.tally.counts()

    @override
    def panel(self) -> Iterator[RenderableType]:
        table = Table(box=None, padding=(0, 3, 0, 0))
        table.add_column("network")
        adaptive = self.remaining.adaptive.networks
        kinds = sorted({_protocol(trial) for trial in self.trials.values()} | ({0} if adaptive else set()))
        for protocol in kinds:
            table.add_column(PROTOCOLS[protocol], justify="right")
        labels = [self._name(trial) for trial in self.remaining.every] + [network.label for network in adaptive]
        for label in dict.fromkeys(labels):
            table.add_row(label, *(self._horizon(label, protocol) for protocol in kinds))
        yield Text("\nhorizon so far, in steps: half of the seeds succeed up to this lag")
        yield table


def _protocol(trial: Trial) -> int:
    """How a trial's lags were chosen, as an index of PROTOCOLS: horizons are comparable within one of them only."""
    return 2 if isinstance(trial.train_lags, Curriculum) else int(isinstance(trial.train_lags, Mixed))

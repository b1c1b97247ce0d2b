"""Displays the progress of a run: counts, time left, and each network's horizon so far."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from farback import stats
from farback.runs.progress import Tally
from farback.trials.events import Event, Finished
from farback.trials.lags import Mixed
from farback.trials.trial import Trial

LINE_SECONDS = 10.0  # least time between two lines if the output is not a terminal


class Display(ABC):
    """Shows progress: as a live panel on a terminal, otherwise as a line every `LINE_SECONDS`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.last_line = time.monotonic()

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
            yield

    def print_line(self, more: str = "") -> None:
        """Print a line, if the output is not a terminal and the last line was long ago."""
        now = time.monotonic()
        if not self.console.is_terminal and now - self.last_line > LINE_SECONDS:
            self.last_line = now
            text = f"{self.share:4.0%}  {self.counts()}{more}"
            self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def __rich__(self) -> Group:
        bar = Table.grid()
        bar.add_row(ProgressBar(1.0, self.share, 60, complete_style="green", finished_style="green"))
        return Group(bar, Text(f"{self.share:4.0%}  {self.counts()}"), *self.panel())


class SweepDisplay(Display):
    """The display of a sweep. Update the tally before each call of `add`."""

    def __init__(self, tally: Tally, console: Console) -> None:
        super().__init__(console)
        self.tally, self.remaining = tally, tally.plan.remaining
        self.trials = {trial.key: trial for trial in self.remaining.listed}
        self.passed: dict[tuple[str, bool], dict[int, list[bool]]] = {}  # by (label, has mixed lags) and lag

    def add(self, event: Event) -> None:
        """Process an event."""
        if isinstance(event, Finished) and event.key in self.trials:
            self._add_lags(self.trials[event.key], event)
        self.print_line()

    def _add_lags(self, trial: Trial, event: Finished) -> None:
        rows = event.result.scores
        rows = rows[(rows["measure"] == "retention") & (rows["statistic"] == "success")]
        mixed = isinstance(trial.train_lags, Mixed)
        by_lag = self.passed.setdefault((trial.label, mixed), {})
        for lag, value in zip(rows["lag"], rows["value"], strict=True):
            if mixed or lag == trial.lag:
                by_lag.setdefault(int(lag), []).append(value > 0)

    def _horizon(self, label: str, mixed: bool) -> str:
        """The horizon of a network so far; empty without results."""
        adaptive = [one.progress() for one in self.remaining.adaptive.networks if one.label == label and not mixed]
        by_lag = self.passed.get((label, mixed), {})
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
        tally, adaptive = self.tally, self.remaining.adaptive
        expected = len(tally.cost) + max(0, adaptive.expected - len(adaptive.due()))
        about = "about " if adaptive.chooses_lags else ""
        parts = [f"{len(tally.finished)} of {about}{expected} trials trained"]
        parts.append(f"{len(tally.failures)} failed")
        parts += [f"{tally.diverged} diverged"] * (tally.diverged > 0)
        parts.append(f"{tally.reused} reused")
        left = tally.seconds_left
        parts.append(
            "time left unknown"
            if left is None
            else f"{'about' if adaptive.chooses_lags else 'at most'} {minutes(left)} left"
        )
        return ", ".join(parts)

    @override
    def panel(self) -> Iterator[RenderableType]:
        table = Table(box=None, padding=(0, 3, 0, 0))
        table.add_column("network")
        adaptive = self.remaining.adaptive.networks
        kinds = {isinstance(trial.train_lags, Mixed) for trial in self.trials.values()}
        kinds |= {False} if adaptive else set()
        for mixed in sorted(kinds):
            table.add_column("one network, all lags" if mixed else "one network per lag", justify="right")
        labels = [trial.label for trial in self.remaining.every] + [network.label for network in adaptive]
        for label in dict.fromkeys(labels):
            table.add_row(label, *(self._horizon(label, mixed) for mixed in sorted(kinds)))
        yield Text("\nhorizon so far, in steps: half of the seeds succeed up to this lag")
        yield table


def minutes(seconds: float) -> str:
    """A duration for people: "45 s", "3 min", "1 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    whole = round(seconds / 60)
    return f"{whole} min" if whole < 60 else f"{whole // 60} h {whole % 60} min"

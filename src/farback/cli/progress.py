"""What a person sees while a sweep runs: how far it is, and the horizon so far of each network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from farback import stats
from farback.runs.progress import Tally
from farback.runs.schedule import Plan
from farback.trials.events import Event, Finished
from farback.trials.lags import Mixed
from farback.trials.trial import Trial

LINE_SECONDS = 10.0  # between two lines where the output is not a terminal


class Display:
    """Shows a tally as it grows: a live panel on a terminal, now and then a line elsewhere."""

    def __init__(self, plan: Plan, tally: Tally, console: Console) -> None:
        self.plan, self.tally, self.console = plan, tally, console
        self.trials = {trial.key: trial for trial in plan.remaining.missing}
        self.passed: dict[tuple[str, bool], dict[int, list[bool]]] = {}
        self.last_line = time.monotonic()
        self.live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[Display]:
        """Show until the end of the block."""
        if not self.console.is_terminal:
            yield self
            return
        with Live(self, console=self.console, refresh_per_second=4) as self.live:
            yield self

    def add(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Finished):
            trial = self.trials[event.key]
            if not trial.bracket:
                self._learn(trial, event)
        if self.live is None and time.monotonic() - self.last_line > LINE_SECONDS:
            self.last_line = time.monotonic()
            self.console.print(f"{self.tally.share:4.0%}  {self._counts()}", highlight=False)

    def _at(self, label: str, mixed: bool) -> dict[int, list[bool]]:
        """Who passes at each lag; where bisection picks the lags, what is implied too."""
        at = {lag: list(passed) for lag, passed in self.passed.get((label, mixed), {}).items()}
        for trial, passed in self.plan.remaining.bisection.decided():
            if trial.label == label and not mixed:
                at.setdefault(trial.lag, []).append(passed)
        return at

    def _learn(self, trial: Trial, event: Finished) -> None:
        rows = event.result.scores
        rows = rows[(rows["measure"] == "retention") & (rows["statistic"] == "success")]
        mixed = isinstance(trial.train_lags, Mixed)
        at = self.passed.setdefault((trial.label, mixed), {})
        for lag, value in zip(rows["lag"], rows["value"], strict=True):
            if mixed or lag == trial.lag:
                at.setdefault(int(lag), []).append(value > 0)

    def _counts(self) -> str:
        tally = self.tally
        most = "at most " * self.plan.remaining.picked
        parts = [f"{len(tally.finished)} of {most}{len(self.plan.remaining.needed())} trials trained"]
        parts.append(f"{len(tally.failures)} failed")
        diverged = sum(one.result.status == "diverged" for one in tally.finished.values())
        parts += [f"{diverged} diverged"] * (diverged > 0)
        parts.append(f"{self.tally.reused} reused")
        left = tally.seconds_left
        parts.append("timing" if left is None else f"at most {minutes(left)} left")
        return ", ".join(parts)

    def _horizon(self, label: str, mixed: bool) -> str:
        at = self._at(label, mixed)
        if not at:
            return ""
        half = [2 * sum(at[lag]) >= len(at[lag]) for lag in sorted(at)]
        return str(stats.first_failure(sorted(at), half).horizon)

    def __rich__(self) -> Group:
        """The panel."""
        table = Table(box=None, padding=(0, 3, 0, 0))
        table.add_column("network")
        kinds = [(False, "trained at each lag"), (True, "one net, every lag")]
        kinds = [
            kind
            for kind in kinds
            if any(isinstance(t.train_lags, Mixed) == kind[0] for t in self.plan.remaining.missing)
        ]
        for _, title in kinds:
            table.add_column(title, justify="right")
        for label in dict.fromkeys(trial.label for trial in self.plan.remaining.trials):
            table.add_row(label, *(self._horizon(label, mixed) for mixed, _ in kinds))
        bar = Table.grid()
        bar.add_row(ProgressBar(1.0, self.tally.share, 60, complete_style="green", finished_style="green"))
        counts = Text(f"{self.tally.share:4.0%}  {self._counts()}")
        return Group(bar, counts, Text("\nhorizon so far, in steps (half of the seeds)"), table)


def minutes(seconds: float) -> str:
    """A duration for people: "45 s", "3 min", "1 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    whole = round(seconds / 60)
    return f"{whole} min" if whole < 60 else f"{whole // 60} h {whole % 60} min"

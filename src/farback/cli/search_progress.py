"""Displays the progress of a search: counts, time left, and the best setting of each group so far."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from farback.records.counted_nouns import counted
from farback.runs.displays import Display
from farback.runs.progress import minutes
from farback.runs.search.driver import SearchRun
from farback.runs.search.winners import VALUES, best, params
from farback.trials.events import Event, Progress

READ_SECONDS = 1.0  # least time between two reads of the studies


@dataclass(frozen=True)
class GroupProgress:
    """The counts of one group, and its best value and setting as text."""

    group: str
    total: int
    done: int
    pruned: int
    failed: int
    best: str
    setting: str


class SearchDisplay(Display):
    """The display of a search."""

    def __init__(self, run: SearchRun, console: Console) -> None:
        super().__init__(console)
        self.run = run
        self.groups = group_progress(run)
        self.first_done = self.done
        self.started = self.last_read = time.monotonic()

    @property
    def done(self) -> int:
        """The number of trials that are complete, pruned, or failed without another attempt."""
        return sum(group.done for group in self.groups)

    @property
    def total(self) -> int:
        """The number of trials of all groups."""
        return sum(group.total for group in self.groups)

    @contextmanager
    @override
    def live(self) -> Iterator[None]:
        with super().live():
            yield
            self.groups = group_progress(self.run)

    def add(self, event: Event) -> None:
        """Process an event."""
        now = time.monotonic()
        if isinstance(event, Progress) or now - self.last_read < READ_SECONDS:
            return
        self.last_read = now
        self.groups = group_progress(self.run)
        best_values = [f"{group.group or 'best'} {group.best}" for group in self.groups if group.best]
        self.print_line(f"; {', '.join(best_values)}" if best_values else "")

    @property
    @override
    def share(self) -> float:
        return self.done / max(1, self.total)

    @override
    def counts(self) -> str:
        pruned, failed = sum(group.pruned for group in self.groups), sum(group.failed for group in self.groups)
        parts = [f"{self.done} of {counted(self.total, 'trial')} done", f"{pruned} pruned", f"{failed} failed"]
        parts += [f"{counted(self.run.diverged, 'training')} diverged"] * (self.run.diverged > 0)
        made, seconds = self.done - self.first_done, time.monotonic() - self.started
        left = self.total - self.done
        if left:
            parts.append(f"about {minutes(seconds / made * left)} left" if made else "time left unknown")
        return ", ".join(parts)

    @override
    def panel(self) -> Iterator[RenderableType]:
        objectives = " and ".join(str(objective) for objective in self.run.search.objectives)
        table = Table(box=None, padding=(0, 3, 0, 0))
        for title in ("group", "done", "pruned", "failed", f"best {objectives}", "with"):
            table.add_column(title, justify="left" if title in ("group", "with") else "right")
        for one in self.groups:
            name, done = one.group or self.run.search.name, f"{one.done} of {one.total}"
            table.add_row(name, done, str(one.pruned), str(one.failed), one.best, Text(one.setting))
        yield Text()
        yield table


def group_progress(run: SearchRun) -> list[GroupProgress]:
    """The progress of each group, read from its study."""
    history = run.history()
    groups = []
    for study in run.studies:
        counted = history[history["counted"] & (history["group"] == study.group.label)]
        top = best(run.search, counted[counted["state"] == "complete"])
        value = setting = ""
        if len(top):
            value = " and ".join(f"{top[name].iloc[0]:.4g}" for name in VALUES[: len(run.search.objectives)])
            values = params(run.search, top.iloc[0]).items()
            setting = ", ".join(f"{path}={v:.3g}" if isinstance(v, float) else f"{path}={v}" for path, v in values)
        if len(top) > 1:
            value = f"Pareto front of {len(top)}"
        pruned, failed = (int((counted["state"] == state).sum()) for state in ("pruned", "failed"))
        groups.append(GroupProgress(study.group.label, study.total, len(counted), pruned, failed, value, setting))
    return groups

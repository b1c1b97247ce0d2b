"""What a person sees while a search runs: the best so far of each group, what is done, and the time left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from farback.cli.progress import LINE_SECONDS, minutes
from farback.runs.search.driver import SearchRun
from farback.runs.search.winners import best, params
from farback.trials.events import Event, Progress

LOOK_SECONDS = 1.0  # at least, between looks into the studies


@dataclass(frozen=True)
class Standing:
    """How far one group is."""

    group: str
    total: int
    done: int
    pruned: int
    failed: int
    running: int
    best: str
    setting: str


class SearchDisplay:
    """Shows a driver's studies as they grow: a live panel on a terminal, now and then a line elsewhere."""

    def __init__(self, run: SearchRun, console: Console) -> None:
        self.run, self.console = run, console
        self.standings = standings(run)
        self.first = self.done
        self.started = self.looked = self.line = time.monotonic()
        self.live: Live | None = None

    @property
    def done(self) -> int:
        """Trials that are complete, pruned or failed for good."""
        return sum(standing.done for standing in self.standings)

    @property
    def total(self) -> int:
        """The budgets of all groups."""
        return sum(standing.total for standing in self.standings)

    @contextmanager
    def shown(self) -> Iterator[SearchDisplay]:
        """Show until the end of the block."""
        if not self.console.is_terminal:
            yield self
            return
        with Live(self, console=self.console, refresh_per_second=4) as self.live:
            yield self
            self.standings = standings(self.run)

    def add(self, event: Event) -> None:
        """Take note of an event."""
        now = time.monotonic()
        if isinstance(event, Progress) or now - self.looked < LOOK_SECONDS:
            return
        self.looked = now
        self.standings = standings(self.run)
        if self.live is None and now - self.line > LINE_SECONDS:
            self.line = now
            self.console.print(self.text(), highlight=False, soft_wrap=True, markup=False)

    def text(self) -> str:
        """One line."""
        bests = [f"{s.group or 'best'} {s.best}" for s in self.standings if s.best]
        return f"{self.done / max(1, self.total):4.0%}  {self._counts()}" + (f"; {', '.join(bests)}" if bests else "")

    def _counts(self) -> str:
        pruned, failed = (sum(getattr(s, name) for s in self.standings) for name in ("pruned", "failed"))
        parts = [f"{self.done} of {self.total} trials done", f"{pruned} pruned", f"{failed} failed"]
        diverged = self.run.diverged
        parts += [f"{diverged} trainings diverged"] * (diverged > 0)
        made, passed = self.done - self.first, time.monotonic() - self.started
        left = self.total - self.done
        if left:
            parts.append(f"about {minutes(passed / made * left)} left" if made else "timing")
        return ", ".join(parts)

    def __rich__(self) -> Group:
        """The panel."""
        objectives = " and ".join(str(objective) for objective in self.run.search.objectives)
        table = Table(box=None, padding=(0, 3, 0, 0))
        for title in ("group", "done", "pruned", "failed", f"best {objectives}", "with"):
            table.add_column(title, justify="left" if title in ("group", "with") else "right")
        for s in self.standings:
            name = s.group or self.run.search.name
            table.add_row(name, f"{s.done} of {s.total}", str(s.pruned), str(s.failed), s.best, Text(s.setting))
        share = self.done / max(1, self.total)
        bar = Table.grid()
        bar.add_row(ProgressBar(1.0, share, 60, complete_style="green", finished_style="green"))
        return Group(bar, Text(f"{share:4.0%}  {self._counts()}"), Text(), table)


def standings(run: SearchRun) -> list[Standing]:
    """How far each group is, from what its study says."""
    history = run.history()
    found = []
    for study in run.studies:
        own = history[history["group"] == study.group.label]
        counted = own[own["counted"]]
        top = best(run.search, counted[counted["state"] == "complete"])
        columns = ["value", "value_1"][: len(run.search.objectives)]
        value = " and ".join(f"{top[name].iloc[0]:.4g}" for name in columns) if len(top) == 1 else ""
        if len(top) > 1:
            value = f"front of {len(top)}"
        setting = ""
        if len(top):
            values = params(run.search, top.iloc[0])
            texts = (f"{v:.3g}" if isinstance(v, float) else str(v) for v in values.values())
            setting = ", ".join(f"{path}={text}" for path, text in zip(values, texts, strict=True))
        pruned, failed = (int((counted["state"] == state).sum()) for state in ("pruned", "failed"))
        running = int((own["state"] == "running").sum())
        found.append(Standing(study.group.label, study.total, len(counted), pruned, failed, running, value, setting))
    return found

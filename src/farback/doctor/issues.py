"""Issues that a checkup finds, and their safe repairs, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from farback.stores.run_metrics import Point

# error: a result cannot be read or trusted; warning: views or tables show something wrong; note: information
Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Repair:
    """Tags and metrics to write to a run."""

    run_id: str
    tags: dict[str, str] = field(default_factory=dict)
    points: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Issue:
    """One problem or note that a checkup reports."""

    severity: Severity
    check: str  # the check that found it: "duplicates", "scores"...
    what: str  # one sentence
    where: str = ""  # the run or the file
    experiment: str = ""  # empty for the whole store
    remedy: str = ""  # what `--repair` does, or what to do by hand
    repairs: tuple[Repair, ...] = ()  # empty where no repair is safe

    def plain(self) -> dict[str, Any]:
        """The issue as JSON values."""
        values = asdict(self)
        del values["repairs"]
        return {**values, "repairable": bool(self.repairs)}


def unless_training(is_training: bool, remedy: str, repairs: tuple[Repair, ...]) -> tuple[str, tuple[Repair, ...]]:
    """A remedy and its repairs; while a driver may be training the trial, there is none."""
    return ("nothing while a driver may be training this trial", ()) if is_training else (remedy, repairs)

"""What the doctor says: findings, and what would mend each, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from farback.stores.run_metrics import Point

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class SetTag:
    """Write a tag of a run."""

    run_id: str
    name: str
    value: str


@dataclass(frozen=True)
class End:
    """End a run that its driver left running, unless it has an end meanwhile."""

    run_id: str
    owner: str


@dataclass(frozen=True)
class Log:
    """Write numbers of a run again."""

    run_id: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Rename:
    """Set a file aside, under its name with a suffix, and a number where that is taken."""

    path: Path
    suffix: str


@dataclass(frozen=True)
class Remove:
    """Remove a file that nothing needs. With a lock, only while nobody holds it."""

    path: Path
    lock: Path | None = None


@dataclass(frozen=True)
class GiveUp:
    """Tell Optuna that a trial's process is gone, so that another trial takes its place."""

    uri: str
    trial_id: int
    reason: str


Mend = SetTag | End | Log | Rename | Remove | GiveUp


@dataclass(frozen=True)
class Finding:
    """One thing that the doctor found.

    Attributes:
        severity: an error is a result that cannot be trusted or read, a warning something left behind that the next
            run or a person stumbles over, a note something to know.
        check: which one: "duplicates", "scores"...
        what: one sentence.
        where: the run or the file.
        experiment: its name; "" of the store as a whole.
        remedy: what `--repair` does, or what a person can do.
        mends: what `--repair` does; empty where nothing is safe.
    """

    severity: Severity
    check: str
    what: str
    where: str = ""
    experiment: str = ""
    remedy: str = ""
    mends: tuple[Mend, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        values = asdict(self)
        del values["mends"]
        return {**values, "repairable": bool(self.mends)}


def counted(number: int, noun: str) -> str:
    """ "1 trial", "2 trials"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def unless(held: bool, remedy: str, mends: tuple[Mend, ...]) -> tuple[str, tuple[Mend, ...]]:
    """What mends a trial, and nothing while a driver may be at it."""
    return ("nothing while a driver may be at this trial", ()) if held else (remedy, mends)

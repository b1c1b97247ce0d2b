"""What a checkup finds, and the safe repair of each, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
class LogPoints:
    """Write metrics of a run again."""

    run_id: str
    points: tuple[Point, ...]


Repair = SetTag | LogPoints


@dataclass(frozen=True)
class Issue:
    """One thing that a checkup found.

    Attributes:
        severity: an error is a result that cannot be trusted or read, a warning something that views or tables show
            wrongly, a note something to know.
        check: which one: "duplicates", "scores"...
        what: one sentence.
        where: the run or the file.
        experiment: its name; "" for the store as a whole.
        remedy: what `--repair` does, or what a person can do.
        repairs: what `--repair` does; empty where nothing is safe.
    """

    severity: Severity
    check: str
    what: str
    where: str = ""
    experiment: str = ""
    remedy: str = ""
    repairs: tuple[Repair, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        values = asdict(self)
        del values["repairs"]
        return {**values, "repairable": bool(self.repairs)}


def counted(number: int, noun: str) -> str:
    """ "1 trial", "2 trials"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def unless(held: bool, remedy: str, repairs: tuple[Repair, ...]) -> tuple[str, tuple[Repair, ...]]:
    """A remedy and its repairs, unless a driver may be training the trial."""
    return ("nothing while a driver may be training this trial", ()) if held else (remedy, repairs)

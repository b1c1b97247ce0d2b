"""The kinds of faults that are tested, and the table of results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

BEGIN, END = "<!-- made by `make test-faults` -->", "<!-- end -->"


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: what happens.
        made: how the test makes it.
        lost: the most that can be lost.
        seen: by the user.
    """

    name: str
    made: str
    lost: str
    seen: str


@dataclass
class Tried:
    """Counts of one kind of fault: faults, faults in passed cases, cases, passed cases."""

    times: int = 0
    survived: int = 0
    cases: int = 0
    passed: int = 0


LAST = "the work since the last checkpoints"
NOTHING = "nothing"
ON = "the same command reports how much is left, and resumes"

FAULTS = {
    "driver": Fault("the driver is killed", "SIGKILL to the driver at a random instant, again and again", LAST, ON),
    "all": Fault("everything is killed", "SIGKILL to the process group at a random instant", LAST, ON),
    "worker": Fault(
        "a worker is killed, as when memory runs out",
        "SIGKILL to one worker of the pool, several times in a run",
        LAST + " of its cohort",
        "nothing; a trial whose worker died three times is reported as failed, and tried again by the next run",
    ),
    "restart": Fault(
        "the driver is killed and started at once",
        "SIGKILL to the driver, then the same command at once, while its old workers may still live",
        LAST,
        ON,
    ),
    "SIGINT": Fault("Ctrl-C", "SIGINT to the process group", NOTHING, "what is left and how to resume; exit code 130"),
    "SIGTERM": Fault(
        "a batch system ends the run", "SIGTERM to the driver", NOTHING, "what is left and how to resume; exit code 143"
    ),
    "twice": Fault(
        "Ctrl-C twice", "SIGINT, and again within a second", LAST, "the command ends at once; exit code 130"
    ),
    "asleep": Fault("the machine is suspended", "SIGSTOP to everything, then SIGCONT", NOTHING, "nothing"),
    "creation": Fault(
        "killed while the store is created",
        "SIGKILL to everything within the first seconds of the first run of a project",
        NOTHING,
        ON,
    ),
    "page": Fault(
        "killed while the page is written", "SIGKILL to `farback report`", NOTHING, "`farback report` writes it again"
    ),
    "search": Fault("a search is killed", "SIGKILL to everything of `farback search` at a random instant", LAST, ON),
    "two drivers": Fault(
        "two drivers at once",
        "the same command twice at the same time",
        NOTHING,
        "each trial is recorded once",
    ),
    "one of two drivers": Fault(
        "one of two drivers is killed", "SIGKILL to one of them and its workers", LAST, "the other one takes over"
    ),
    "power": Fault(
        "power loss",
        "everything is killed; files that were not flushed to the disk are truncated, and the end of SQLite's log is"
        " damaged",
        LAST,
        ON,
    ),
    "torn checkpoint": Fault(
        "a checkpoint is damaged",
        "it is truncated or one bit is changed",
        "the work of that trial",
        "a warning that names the file, which is renamed",
    ),
    "torn scores": Fault(
        "a result's file is damaged",
        "`scores.csv` or `result.json` of a finished run is truncated or one bit is changed",
        "that trial",
        "an error that names the run; `farback doctor --repair` sets it aside, and the next run trains it again",
    ),
    "full store": Fault(
        "the disk is full, at the store",
        "`results/store` is a file system of a few megabytes with little free space",
        LAST,
        "an error that says that there is no space left; exit code 1 or 2",
    ),
    "full checkpoints": Fault(
        "the disk is full, at the checkpoints",
        "`results/store/checkpoints` is a file system of a few kilobytes",
        NOTHING,
        "a warning; training continues without checkpoints",
    ),
    "full results": Fault(
        "the disk is full, at the page",
        "`results/NAME` is a file system of a few kilobytes",
        NOTHING,
        "an error that says that there is no space left; the next run or `farback report` writes the page",
    ),
    "file size": Fault(
        "files have a maximum size",
        "a limit on the size of files (`prlimit --fsize`)",
        LAST,
        "an error with the reason",
    ),
    "memory": Fault(
        "a worker gets no more memory",
        "a limit on the address space of a running worker (`prlimit`)",
        LAST + " of its cohort",
        "failed trials with the error; the next run tries them again",
    ),
    "server": Fault(
        "the tracking server stops and returns",
        "a real `mlflow server` is killed and started again",
        NOTHING,
        "a message that the command retries; it continues when the server is back",
    ),
    "locked": Fault(
        "another process locks the database",
        "`BEGIN EXCLUSIVE` in another process, for seconds at a time",
        NOTHING,
        "nothing, or a message that the command retries",
    ),
    "Dask worker": Fault(
        "a Dask worker is killed", "SIGKILL to a worker of a real cluster", LAST + " of its cohorts", "a message"
    ),
    "Dask scheduler": Fault(
        "the Dask scheduler is killed",
        "SIGKILL to the scheduler of a real cluster",
        LAST,
        "an error that names the address; " + ON,
    ),
}

KILLS = {  # faults that kill at a random instant
    "driver",
    "all",
    "worker",
    "restart",
    "creation",
    "page",
    "search",
    "one of two drivers",
    "power",
    "Dask worker",
}


@dataclass
class Tally:
    """Counts of all faults of a test session."""

    kinds: dict[str, Tried] = field(default_factory=dict)
    phases: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, faults: Iterable[tuple[str, str]], passed: bool) -> None:
        """Count a case: its faults with the phase of the command in which they struck, and whether it passed."""
        listed = list(faults)
        for kind, number in Counter(kind for kind, _ in listed).items():
            tried = self.kinds.setdefault(kind, Tried())
            tried.times += number
            tried.survived += number * passed
            tried.cases += 1
            tried.passed += passed
        self.phases.update(phase for _, phase in listed if phase)

    @property
    def times(self) -> int:
        return sum(tried.times for tried in self.kinds.values())

    @property
    def kills(self) -> int:
        return sum(tried.times for kind, tried in self.kinds.items() if kind in KILLS)

    def table(self, about: str) -> str:
        """The table in Markdown.

        Args:
            about: a sentence about the test session.
        """
        cells = ("fault", "how it is made", "times tried", "survived", "lost at most", "what the user sees")
        lines = [about, "", _row(cells), _row(("---",) * len(cells))]
        for kind, fault in FAULTS.items():
            tried = self.kinds.get(kind, Tried())
            survived = str(tried.survived) if tried.survived == tried.times else f"**{tried.survived}**"
            if not tried.times:
                survived = self.skipped.get(kind, "not tried")
            lines.append(_row((fault.name, fault.made, str(tried.times), survived, fault.lost, fault.seen)))
        total = sum(tried.survived for tried in self.kinds.values())
        lines.append(_row(("all", "", str(self.times), str(total), "", "")))
        where = ", ".join(f"{number} {PLACES[phase]}" for phase, number in sorted(self.phases.items()))
        return "\n".join([*lines, "", f"Faults that struck a run or a search at a random instant: {where or 'none'}."])


PLACES = {"start": "before the first trial", "training": "while trials trained", "page": "after the last trial"}


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def written(path: Path, table: str) -> None:
    """Write a table between the marks of a document.

    Raises:
        ValueError: the document has no marks.
    """
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path} has no place for the table: {BEGIN} ... {END}")
    path.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", encoding="utf-8")

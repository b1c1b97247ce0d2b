"""A project folder for a test, and farback commands that run in it as processes."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import psutil

SLOW_SECONDS = 600.0  # timeout of steps that normally take seconds, because the machine may be busy
TRIALS = 12
SWEEP = """
name: small
question: Are the results the same after faults?
base:
  task: {name: recall, symbols: 2, filler: noise}
  hidden: 8
  batch: 8
  steps: 900
  evaluate_every: 150
  stop: never
  optimizer: {name: adam, lr: 1.0e-2}
  measures: [{name: retention, lags: [1, 3], sequences: 50}]
sweep:
  - cell: [{name: elman}, {name: gru}]
    lag: [2, 6]
    seed: {range: 2}
  - cell: [{name: mingru}]
    lag: [3]
    stop: [sustained]
    optimizer.lr: [1.0e-2, 1000.0]
    seed: {range: 2}
"""
SCRIPT = '''"""One table and one figure: a page that is quick to write and has every kind of file."""

from farback.report import Analysis, standard


def analyse(scores, ladder):
    """The first table and the first figure of the standard page."""
    base = standard(scores, ladder)
    return Analysis(base.headline, [], [base.tables[0], base.figures[0]], base.metrics, base.tags)
'''


class Project:
    """A folder with a config, its script, and a folder for temporary files.

    Args:
        root: the folder; made if it does not exist.
        sweep: the text of `configs/small.yaml`.
    """

    def __init__(self, root: Path, sweep: str = SWEEP) -> None:
        self.root = root
        for name, path in (("config", "configs/small.yaml"), ("script", "experiments/small.py")):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(sweep if name == "config" else SCRIPT)
        (root / "tmp").mkdir(exist_ok=True)
        self.commands: list[Command] = []

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def store(self) -> Path:
        return self.results / "store"

    @property
    def database(self) -> Path:
        return self.store / "mlflow.db"

    @property
    def checkpoints(self) -> list[Path]:
        return sorted((self.store / "checkpoints" / "small").glob("*.safetensors"))

    def start(
        self, *arguments: str, prefix: tuple[str, ...] = (), environment: dict[str, str] | None = None
    ) -> Command:
        """Start `farback ARGUMENTS` in a new session, as a terminal does."""
        command = Command(self, (*prefix, sys.executable, "-m", "farback.cli", *arguments), environment or {})
        self.commands.append(command)
        return command

    def run(self, workers: int = 2, *arguments: str, **options: object) -> Command:
        """Start `farback run` on the config; all tests use this command."""
        words = ("run", "configs/small.yaml", "--workers", str(workers), "--checkpoint-seconds", "0.1", *arguments)
        return self.start(*words, **options)  # type: ignore[arg-type]

    def query(self, sql: str, *values: object, name: str = "mlflow.db") -> list[tuple[object, ...]]:
        """Query a database of the store without farback, MLflow and Optuna."""
        with closing(sqlite3.connect(f"file:{self.store / name}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(sql, values).fetchall()

    def recorded(self) -> int:
        """The number of trials with a finished run; 0 while there is no database."""
        sql = "select count(distinct k.value) from runs r join tags k on k.run_uuid = r.run_uuid"
        try:
            rows = self.query(sql + " where k.key = 'farback.key' and r.status = 'FINISHED'")
        except sqlite3.OperationalError:
            return 0
        return int(str(rows[0][0]))

    def end(self) -> None:
        """Kill all processes, which a failed test may have left."""
        for command in self.commands:
            command.kill_all()


class Command:
    """A running or ended command, in its own session and process group."""

    def __init__(self, project: Project, words: tuple[str, ...], environment: dict[str, str]) -> None:
        self.project, self.words = project, words
        number = len(project.commands)
        self.out, self.err = (project.root / "tmp" / f"{number}.{name}" for name in ("out", "err"))
        inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        own = {"TMPDIR": str(project.root / "tmp"), "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                words,
                cwd=project.root,
                env={**inherited, **own, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.began = time.monotonic()

    @property
    def output(self) -> str:
        return self.out.read_text(errors="replace")

    @property
    def errors(self) -> str:
        return self.err.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def training(self) -> bool:
        """Whether it has printed how many trials it will train."""
        return bool(re.search(r"\d+ trials to train", self.output))

    @property
    def to_train(self) -> int:
        """The number of trials to train that it printed."""
        match = re.search(r"(\d+) trials to train", self.output)
        assert match, self.log
        return int(match[1])

    @property
    def log(self) -> str:
        """The command, its output and its exit code, for a failed assertion."""
        return (
            f"$ {' '.join(self.words[-8:])}\n{self.output[-3000:]}\n{self.errors[-3000:]}\nexit {self.process.poll()}"
        )

    @property
    def replaced(self) -> bool:
        """Whether another process now has its process id, which the system reuses after the group has ended."""
        return not self.alive and psutil.pid_exists(self.process.pid)

    def members(self) -> list[psutil.Process]:
        """The living processes of its session, whatever their parent."""
        members: list[psutil.Process] = []
        for process in psutil.process_iter() if not self.replaced else ():
            with suppress(psutil.Error, ProcessLookupError):
                mine = os.getsid(process.pid) == self.process.pid
                if mine and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                    members.append(process)
        return members

    def workers(self) -> list[psutil.Process]:
        """The workers of its pool, without multiprocessing's resource tracker."""
        workers = []
        for process in self.members():
            with suppress(psutil.Error):
                if any("spawn_main" in word for word in process.cmdline()):
                    workers.append(process)
        return workers

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the driver only."""
        self.process.send_signal(number)  # does nothing if the process has ended

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the command, as a terminal or a batch system does."""
        if not self.replaced:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def kill(self) -> bool:
        """Send SIGKILL to the driver only; whether that ended it."""
        self.signal(signal.SIGKILL)
        return self.process.wait() == -signal.SIGKILL

    def kill_all(self) -> bool:
        """Send SIGKILL to all processes of the command; whether that ended the driver."""
        self.signal_all(signal.SIGKILL)
        return self.process.wait() == -signal.SIGKILL

    def wait(self, seconds: float = SLOW_SECONDS) -> int:
        """Wait until all processes of the command have ended; the exit code of the driver."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:g} s: {self.log}") from None
        wait_for(lambda: not self.members(), 30, lambda: f"processes left: {self.members()}")
        return code


def wait_for(ready: Callable[[], object], seconds: float = SLOW_SECONDS, message: Callable[[], str] = str) -> None:
    """Wait until `ready` returns something true.

    Raises:
        AssertionError: it did not in this time.
    """
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, message() or f"not within {seconds:g} s"
        time.sleep(0.02)


def finish(project: Project, workers: int = 2) -> Command:
    """Repeat the command until it succeeds. It fails if a trial failed, as after three deaths of its workers."""
    for _ in range(3):
        command = project.run(workers)
        code = command.wait()
        assert "Traceback" not in command.errors, command.log
        if code == 0:
            return command
        assert code == 1, command.log
        assert "the next run tries them again" in command.output, command.log
    raise AssertionError(command.log)

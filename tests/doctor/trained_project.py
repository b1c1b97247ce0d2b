"""A project with a trained sweep in a real store, and ways to read, check and damage it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import farback
from farback.doctor.checkup import Checkup, Target, check
from farback.doctor.issues import Issue
from farback.experiment import Experiment, Sweep
from farback.runs.sweep import checked_sweep
from farback.stores import locations
from farback.stores.mlflow import MLflow
from farback.trials.events import Progress

GONE = f"{socket.gethostname()}:{2**22 + 1}:1.00"  # above the largest pid that Linux gives
CONFIG = """\
name: tiny
question: Is the store intact?
base:
  task: {name: recall, symbols: 2, filler: blank}
  hidden: 4
  batch: 8
  steps: 4
  evaluate_every: 2
  measures: [{name: retention, lags: [1, 2], sequences: 40}]
sweep:
  - cell: [elman, memoryless]
    lag: [1, 2]
"""


@dataclass(frozen=True)
class TrainedProject:
    """A project's folder."""

    root: Path

    @property
    def path(self) -> Path:
        return self.root / "results" / "store" / "mlflow.db"

    @property
    def uri(self) -> str:
        return locations.SQLITE + str(self.path)

    @property
    def config(self) -> Sweep:
        return checked_sweep(Experiment.load(self.root / "configs" / "tiny.yaml"))

    def target(self, experiment: str = "") -> Target:
        storage = locations.SQLITE + str(self.path.with_name("optuna.db"))
        return Target(self.uri, storage, self.root, experiment)

    def check(self) -> Checkup:
        return check(self.target())

    def repair(self) -> Checkup:
        return check(self.target(), repair=True)

    def train(self) -> farback.Summary:
        return farback.run(self.config, workers=1, store=self.uri)

    def frame(self) -> pd.DataFrame:
        return farback.frame("tiny", self.uri)

    def sql(self, text: str, *values: object) -> list[tuple]:
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(text, values).fetchall()

    def runs(self) -> list[str]:
        """The ids of the finished trials' runs, by key and age."""
        text = """
            select run_uuid from tags join runs using (run_uuid)
            where tags.key = 'farback.key' and status = 'FINISHED' order by tags.value, end_time
        """
        return [run_id for (run_id,) in self.sql(text)]

    def artifacts(self, run_id: str) -> Path:
        return self.path.parent / "artifacts" / "tiny" / run_id / "artifacts"

    def tag(self, run_id: str, name: str) -> str | None:
        found = self.sql("select value from tags where run_uuid = ? and key = ?", run_id, name)
        return found[0][0] if found else None

    def set_tag(self, run_id: str, name: str, value: str) -> None:
        self.sql("insert or replace into tags (run_uuid, key, value) values (?, ?, ?)", run_id, name, value)

    def dump(self) -> list[str]:
        """Everything in the database, and the name and size of every file beside it."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            lines = list(connection.iterdump())
        files = (path for path in sorted(self.path.parent.rglob("*")) if not path.name.startswith("mlflow.db"))
        return lines + [f"{path} {path.stat().st_size if path.is_file() else ''}" for path in files]

    def copied(self, root: Path) -> TrainedProject:
        """A copy whose database names the files of the copy."""
        shutil.copytree(self.root, root)
        new = TrainedProject(root)
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            new.sql(f"update {table} set {column} = replace({column}, ?, ?)", self.root.as_uri(), root.as_uri())
        return new


def left_running(project: TrainedProject, owner: str, seed: int = 0) -> str:
    """The id of a run that a driver left when it was killed; its trial has finished before if its seed is 0."""
    trial = Experiment.load(project.config.path, [f"seed={seed}"]).trials()[0]
    MLflow(project.uri).begin("tiny", [trial]).put(Progress(trial.key, 2, {"train/loss": 1.0}))
    ((run_id,),) = project.sql("select run_uuid from runs where status = 'RUNNING'")
    project.set_tag(run_id, "owner", owner)
    return str(run_id)


def of(issues: Sequence[Issue], check: str, severity: str = "") -> list[Issue]:
    return [one for one in issues if one.check == check and severity in ("", one.severity)]

"""Checks of finished trials: whether their exact scores can be read, are of that trial, and agree with MLflow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farback.doctor.issues import Issue, LogPoints, SetTag, counted, unless
from farback.doctor.runs import TrialRuns
from farback.stores import locations, result_files
from farback.stores.base import Recorded
from farback.stores.queries import TrackedRun
from farback.stores.result_files import Damaged
from farback.stores.run_metrics import TRAINING, Point, closing, legal
from farback.stores.run_tags import ASIDE
from farback.system.atomic_files import scratch
from farback.trials.events import ScoreRow
from farback.trials.trial import Trial

CLOSE = 1e-12  # relative: what a database may round


class MissingResult(Damaged):
    """One of the two files is missing."""


class Unreachable(Exception):
    """The result cannot be read from here, so whether it is whole is unknown."""


@dataclass(frozen=True)
class ResultReader:
    """Reads the two files of a result.

    Attributes:
        uri: of the store.
        client: an MLflow client of it.
    """

    uri: str
    client: Any

    def files(self, run: TrackedRun) -> tuple[bytes, bytes]:
        """The contents of the two files of a result.

        Raises:
            MissingResult: one of them is.
            Unreachable: they cannot be read.
        """
        folder = locations.local(run.artifacts, self.uri)
        if folder is None:
            return self._fetched(run)
        try:
            return (folder / result_files.RESULT).read_bytes(), (folder / result_files.SCORES).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            if not folder.parent.parent.is_dir():  # of the whole experiment: not mounted, or on another machine
                raise Unreachable(f"the folder {folder.parent.parent} is not on this machine") from None
            raise MissingResult(f"{Path(str(error.filename)).name} is missing") from None
        except OSError as error:
            raise Unreachable(str(error)) from None

    def _fetched(self, run: TrackedRun) -> tuple[bytes, bytes]:
        """From a server, or the storage that it uses."""
        try:
            there = {one.path for one in self.client.list_artifacts(run.run_id)}
            for name in (result_files.RESULT, result_files.SCORES):
                if name not in there:
                    raise MissingResult(f"{name} is missing")
            with scratch() as copies:
                names, into = (result_files.RESULT, result_files.SCORES), str(copies)
                about, table = (Path(self.client.download_artifacts(run.run_id, n, into)).read_bytes() for n in names)
                return about, table
        except Damaged:
            raise
        except Exception as error:  # whatever the server or its storage raises
            raise Unreachable(locations.shown(str(error).splitlines()[0]) if str(error) else repr(error)) from None


def results(
    trials: TrialRuns, named: Mapping[str, Trial | None] | None, experiment: str, reader: ResultReader, installed: str
) -> Iterator[Issue]:
    """Check every finished run that counts, duplicates included.

    Args:
        trials: the runs.
        named: the trials of the config, by key.
        experiment: its name.
        reader: of the results.
        installed: farback's version.
    """
    unreachable: dict[str, list[str]] = {}
    missing: list[Issue] = []
    whole = 0
    for key, runs in trials.ended.items():
        for run in (run for run in runs if run.status == "FINISHED"):
            try:
                result = result_files.read(*reader.files(run))
                _own(key, result, (named or {}).get(key), run, installed)
            except Unreachable as error:
                unreachable.setdefault(str(error), []).append(run.run_id)
            except MissingResult as error:
                missing.append(_aside(run, str(error), experiment, trials.is_held(key)))
            except Damaged as error:
                whole += 1
                yield _aside(run, str(error), experiment, trials.is_held(key))
            else:
                whole += 1
                yield from _shown(run, result, experiment, trials.is_held(key))
    if whole or len(missing) == 1:
        yield from missing
    elif missing:  # all of them, as if a server's disk were not mounted
        unreachable["those of all runs are missing"] = [one.where.removeprefix("run ") for one in missing]
    for reason, run_ids in unreachable.items():
        others = f" and {len(run_ids) - 1} more" if len(run_ids) > 1 else ""
        what, where = f"the scores cannot be reached: {reason}", f"run {run_ids[0]}{others}"
        remedy = "make them reachable and check again; if they are lost, delete the runs in MLflow to train again"
        yield Issue("error", "scores", what, where, experiment, remedy)


def _own(key: str, result: Recorded, trial: Trial | None, run: TrackedRun, installed: str) -> None:
    """Check that a result is of this trial.

    Raises:
        Damaged: it is not.
    """
    if result.columns.get("key") != key:
        raise Damaged(f"{result_files.RESULT} is of trial {result.columns.get('key')}, the run is of {key}")
    if trial is None or run.tags.get("version.farback") != installed:
        return  # another release may name a trial's columns differently
    for name, value in {**trial.parameters(), "trained_lag": trial.lag}.items():
        if name in result.columns and result.columns[name] != value:
            raise Damaged(f"{result_files.RESULT} has {name} = {result.columns[name]!r}, trial {key} has {value!r}")


def _aside(run: TrackedRun, reason: str, experiment: str, held: bool) -> Issue:
    what = f"the scores cannot be used: {reason}"
    remedy = "sets the run aside, with its files as they are; the next run trains the trial again"
    repairs = (SetTag(run.run_id, "reason", reason[:1000]), SetTag(run.run_id, "kind", ASIDE))
    return Issue("error", "scores", what, f"run {run.run_id}", experiment, *unless(held, remedy, repairs))


def _shown(run: TrackedRun, result: Recorded, experiment: str, held: bool) -> Iterator[Issue]:
    """Compare the metrics and tags of a run with its exact scores."""
    expected = shown(result.rows)
    lacking = [name for name in expected if name not in run.metrics]
    other = [name for name, (last, *_) in expected.items() if not _same(run.metrics.get(name), last.value)]
    for which, names in (("missing", lacking), ("different from the exact scores", other)):
        if names:
            what = f"{counted(len(names), 'metric')} {which}"
            listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            points = tuple(point for name in names for point in expected[name])
            fixed = unless(held, "writes them again from the exact scores", (LogPoints(run.run_id, points),))
            yield Issue("warning", "metrics", f"{what}: {listed}", f"run {run.run_id}", experiment, *fixed)
    tags = {"status": result.status, "cell": str(result.columns.get("label", ""))}
    wrong = {name: text for name, text in tags.items() if run.tags.get(name) != text}
    if wrong:
        repairs = tuple(SetTag(run.run_id, name, text) for name, text in wrong.items())
        what = f"tags are missing or wrong: {', '.join(wrong)}"
        fixed = unless(held, "writes them again from the exact result", repairs)
        yield Issue("warning", "tags", what, f"run {run.run_id}", experiment, *fixed)


def shown(rows: list[ScoreRow]) -> dict[str, list[Point]]:
    """The points that a finished run must have, by name, with the one first that MLflow counts as the last.

    Its curves during training are rows of the scores, too.
    """
    found: dict[str, list[Point]] = {}
    during_training = [
        Point(legal(f"{measure}/{statistic}"), value, step)
        for measure, step, lag, statistic, value in rows
        if lag < 0 and measure in (*TRAINING, "valid") and math.isfinite(value)
    ]
    for point in [*closing(rows, {}), *during_training]:
        found.setdefault(point.name, []).append(point)
    return {name: sorted(points, key=lambda point: -point.step) for name, points in found.items()}


def _same(logged: float | None, value: float) -> bool:
    """Whether a metric is absent or right."""
    return logged is None or math.isclose(logged, value, rel_tol=CLOSE)

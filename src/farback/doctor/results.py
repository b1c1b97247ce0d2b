"""Checks of finished trials: whether their exact scores can be read, belong to the trial, and agree with MLflow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from farback.doctor.issues import Issue, Repair, unless_training
from farback.doctor.runs import TrialRuns
from farback.records.counted_nouns import counted
from farback.stores import result_files
from farback.stores.base import Recorded
from farback.stores.client import Client
from farback.stores.queries import TrackedRun
from farback.stores.result_files import Damaged
from farback.stores.retries import reason
from farback.stores.run_metadata import ASIDE
from farback.stores.run_metrics import TRAINING, Point, closing, legal
from farback.trials.events import ScoreRow
from farback.trials.trial import Trial

ROUNDING = 1e-12  # relative: a database may round by this much


class MissingResult(Damaged):
    """`result.json` or `scores.csv` is missing."""


class Unreachable(Exception):
    """The result cannot be read from this machine, so it may be intact."""


def results(
    trials: TrialRuns, named: Mapping[str, Trial | None] | None, experiment: str, client: Client, installed: str
) -> Iterator[Issue]:
    """Check every finished run of a trial, duplicates included; `named` are the trials of the config, by key."""
    unreachable: dict[str, list[str]] = {}
    missing: list[Issue] = []
    present = 0
    for key, runs in trials.ended.items():
        is_training = trials.is_training(key)
        for run in (run for run in runs if run.status == "FINISHED"):
            try:
                result = _result(run, client)
                _check_trial(key, result, (named or {}).get(key), run, installed)
            except Unreachable as error:
                unreachable.setdefault(str(error), []).append(run.run_id)
            except MissingResult as error:
                missing.append(_set_aside(run, str(error), experiment, is_training))
            except Damaged as error:
                present += 1
                yield _set_aside(run, str(error), experiment, is_training)
            else:
                present += 1
                yield from _compare(run, result, experiment, is_training)
    if present or len(missing) == 1:
        yield from missing
    elif missing:  # perhaps the disk of a server is not mounted
        unreachable["the files of all runs are missing"] = [issue.where.removeprefix("run ") for issue in missing]
    for why, run_ids in unreachable.items():
        others = f" and {len(run_ids) - 1} more" if len(run_ids) > 1 else ""
        what, where = f"the scores cannot be read: {why}", f"run {run_ids[0]}{others}"
        remedy = "make them readable and check again; if they are lost, delete the runs in MLflow to train again"
        yield Issue("error", "scores", what, where, experiment, remedy)


def _result(run: TrackedRun, client: Client) -> Recorded:
    """The exact result of a run; raises `Damaged` if it is missing or damaged, `Unreachable` if it cannot be read."""
    try:
        about, table = client.artifacts.read(run.artifacts, (result_files.RESULT, result_files.SCORES))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        folder = client.artifacts.local(run.artifacts)
        if folder is not None and not folder.parent.parent.is_dir():  # the experiment's folder
            raise Unreachable(f"the folder {folder.parent.parent} is not on this machine") from None
        raise MissingResult(f"{Path(str(error.filename)).name} is missing") from None
    except Exception as error:  # from a disk, a server or its storage
        raise Unreachable(reason(error)) from None
    return result_files.read(about, table)


def _check_trial(key: str, result: Recorded, trial: Trial | None, run: TrackedRun, installed: str) -> None:
    """Raise `Damaged` if a result does not belong to this trial."""
    if result.columns.get("key") != key:
        raise Damaged(f"{result_files.RESULT} is of trial {result.columns.get('key')}, not of the run's trial, {key}")
    if trial is None or run.tags.get("version.farback") != installed:
        return  # another release may name a trial's columns differently
    for name, value in {**trial.parameters(), "trained_lag": trial.lag}.items():
        if name in result.columns and result.columns[name] != value:
            raise Damaged(f"{result_files.RESULT} has {name} = {result.columns[name]!r}, but trial {key} has {value!r}")


def _set_aside(run: TrackedRun, why: str, experiment: str, is_training: bool) -> Issue:
    what = f"the scores cannot be used: {why}"
    remedy = "sets the run aside and keeps its files; the next run trains the trial again"
    repairs = (Repair(run.run_id, {"reason": why[:1000], "kind": ASIDE}),)
    remedies = unless_training(is_training, remedy, repairs)
    return Issue("error", "scores", what, f"run {run.run_id}", experiment, *remedies)


def _compare(run: TrackedRun, result: Recorded, experiment: str, is_training: bool) -> Iterator[Issue]:
    """Compare the metrics and tags of a run with its exact result."""
    where = f"run {run.run_id}"
    expected = expected_points(result.rows)
    missing = [name for name in expected if name not in run.metrics]
    values = [(name, points[0].value) for name, points in expected.items() if name in run.metrics]
    wrong = [name for name, value in values if not math.isclose(run.metrics[name], value, rel_tol=ROUNDING)]
    for problem, names in (("missing", missing), ("different from the exact scores", wrong)):
        if names:
            listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            what = f"{counted(len(names), 'metric')} {problem}: {listed}"
            repair = Repair(run.run_id, points=tuple(point for name in names for point in expected[name]))
            remedies = unless_training(is_training, "writes them again from the exact scores", (repair,))
            yield Issue("warning", "metrics", what, where, experiment, *remedies)
    tags = {"status": result.status, "cell": str(result.columns.get("label", ""))}
    tags = {name: text for name, text in tags.items() if run.tags.get(name) != text}
    if tags:
        what = f"tags are missing or wrong: {', '.join(tags)}"
        remedies = unless_training(is_training, "writes them again from the exact result", (Repair(run.run_id, tags),))
        yield Issue("warning", "tags", what, where, experiment, *remedies)


def expected_points(rows: list[ScoreRow]) -> dict[str, list[Point]]:
    """The points that a finished run must have, by metric; the largest step, MLflow's last value, comes first."""
    by_name: dict[str, list[Point]] = {}
    during_training = [  # these curves are rows of the scores, too
        Point(legal(f"{measure}/{statistic}"), value, step)
        for measure, step, lag, statistic, value in rows
        if lag < 0 and measure in (*TRAINING, "valid") and math.isfinite(value)
    ]
    for point in [*closing(rows, {}), *during_training]:
        by_name.setdefault(point.name, []).append(point)
    return {name: sorted(points, key=lambda point: -point.step) for name, points in by_name.items()}

"""Checks of finished trials: whether their exact scores can be read, are theirs, and are what MLflow shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farback.doctor.findings import Finding, Log, SetTag, counted, unless
from farback.doctor.runs import Trials
from farback.stores import locations, result_files
from farback.stores.queries import Run
from farback.stores.result_files import Damaged, Exact
from farback.stores.run_metrics import TRAINING, Point, closing, legal
from farback.stores.run_tags import ASIDE
from farback.system.atomic_files import scratch
from farback.trials.events import Row
from farback.trials.trial import Trial

CLOSE = 1e-12  # relative: what a database may round
DERIVED = ("final/", "best/")


class Missing(Damaged):
    """One of the two files is not there."""


class Unreachable(Exception):
    """Whether the result is whole cannot be known from here."""


@dataclass(frozen=True)
class Place:
    """Where results are.

    Attributes:
        uri: of the store.
        client: an MLflow client of it.
    """

    uri: str
    client: Any

    def files(self, run: Run) -> tuple[bytes, bytes]:
        """What the two files of a result hold.

        Raises:
            Missing: one of them is.
            Unreachable: they cannot be got at.
        """
        folder = locations.local(run.artifacts, self.uri)
        if folder is None:
            return self._fetched(run)
        try:
            return (folder / result_files.RESULT).read_bytes(), (folder / result_files.SCORES).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            if not folder.parent.parent.is_dir():  # of the whole experiment: not mounted, or on another machine
                raise Unreachable(f"the folder {folder.parent.parent} is not on this machine") from None
            raise Missing(f"{Path(str(error.filename)).name} is missing") from None
        except OSError as error:
            raise Unreachable(str(error)) from None

    def _fetched(self, run: Run) -> tuple[bytes, bytes]:
        """From a server, or wherever it keeps them."""
        try:
            there = {one.path for one in self.client.list_artifacts(run.run_id)}
            for name in (result_files.RESULT, result_files.SCORES):
                if name not in there:
                    raise Missing(f"{name} is missing")
            with scratch() as copies:
                names, into = (result_files.RESULT, result_files.SCORES), str(copies)
                about, table = (Path(self.client.download_artifacts(run.run_id, n, into)).read_bytes() for n in names)
                return about, table
        except Damaged:
            raise
        except Exception as error:  # whatever the server or its storage raises
            raise Unreachable(locations.shown(str(error).splitlines()[0]) if str(error) else repr(error)) from None


def results(
    trials: Trials, named: Mapping[str, Trial | None] | None, experiment: str, place: Place, installed: str
) -> Iterator[Finding]:
    """Every finished run that counts, the later ones of duplicates too.

    Args:
        trials: the runs.
        named: the trials that the config names, by key.
        experiment: its name.
        place: where the results are.
        installed: farback's version.
    """
    unreachable: dict[str, list[str]] = {}
    missing: list[Finding] = []
    whole = 0
    for key, runs in trials.ended.items():
        for run in (run for run in runs if run.status == "FINISHED"):
            try:
                result = result_files.parsed(*place.files(run))
                _own(key, result, (named or {}).get(key), run, installed)
            except Unreachable as error:
                unreachable.setdefault(str(error), []).append(run.run_id)
            except Missing as error:
                missing.append(_aside(run, str(error), experiment, trials.is_held(key)))
            except Damaged as error:
                whole += 1
                yield _aside(run, str(error), experiment, trials.is_held(key))
            else:
                whole += 1
                yield from _shown(run, result, experiment, trials.is_held(key))
    if whole or len(missing) == 1:
        yield from missing
    elif missing:  # all of them: a server whose disk is not mounted says the same
        unreachable["those of all runs are missing"] = [one.where.removeprefix("run ") for one in missing]
    for said, run_ids in unreachable.items():
        others = f" and {len(run_ids) - 1} more" if len(run_ids) > 1 else ""
        what, where = f"the scores cannot be reached: {said}", f"run {run_ids[0]}{others}"
        remedy = "make them reachable and look again; if they are lost, delete the runs in MLflow to train again"
        yield Finding("error", "scores", what, where, experiment, remedy)


def _own(key: str, result: Exact, trial: Trial | None, run: Run, installed: str) -> None:
    """Refuse a result that is another trial's.

    Raises:
        Damaged: it is.
    """
    if result.columns.get("key") != key:
        raise Damaged(f"{result_files.RESULT} is of trial {result.columns.get('key')}, the run is of {key}")
    if trial is None or run.tags.get("version.farback") != installed:
        return  # another release may write the same trial in other words
    for name, value in {**trial.parameters(), "trained_lag": trial.lag}.items():
        if name in result.columns and result.columns[name] != value:
            raise Damaged(f"{result_files.RESULT} has {name} = {result.columns[name]!r}, trial {key} has {value!r}")


def _aside(run: Run, reason: str, experiment: str, held: bool) -> Finding:
    what = f"the scores cannot be used: {reason}"
    remedy = "sets the run aside, with its files as they are; the next run trains the trial again"
    mends = (SetTag(run.run_id, "reason", reason[:1000]), SetTag(run.run_id, "kind", ASIDE))
    return Finding("error", "scores", what, f"run {run.run_id}", experiment, *unless(held, remedy, mends))


def _shown(run: Run, result: Exact, experiment: str, held: bool) -> Iterator[Finding]:
    """What MLflow's pages show of a run, against its exact scores."""
    expected = shown(result.rows)
    lacking = [name for name in expected if name not in run.metrics]
    other = [name for name, (last, *_) in expected.items() if not _same(run.metrics.get(name), last.value)]
    surplus = sorted(name for name in run.metrics if name.startswith(DERIVED) and name not in expected)
    if not result.checked and (other or surplus):  # a file of an earlier release may have been cut between two lines
        reason = f"they disagree with what was logged ({', '.join((other + surplus)[:3])}), and hold no digest"
        yield _aside(run, reason, experiment, held)
        return
    for which, names in (("missing", lacking), ("not what the exact scores say", other)):
        if names:
            what = f"{counted(len(names), 'metric')} {which}"
            listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            points = tuple(point for name in names for point in expected[name])
            fixed = unless(held, "writes them again from the exact scores", (Log(run.run_id, points),))
            yield Finding("warning", "metrics", f"{what}: {listed}", f"run {run.run_id}", experiment, *fixed)
    tags = {"status": result.status, "cell": str(result.columns.get("label", ""))}
    wrong = {name: text for name, text in tags.items() if run.tags.get(name) != text}
    if wrong:
        mends = tuple(SetTag(run.run_id, name, text) for name, text in wrong.items())
        what = f"tags are missing or wrong: {', '.join(wrong)}"
        fixed = unless(held, "writes them again from the exact result", mends)
        yield Finding("warning", "tags", what, f"run {run.run_id}", experiment, *fixed)


def shown(rows: list[Row]) -> dict[str, list[Point]]:
    """The points that a finished run must have, by name, the one that MLflow takes for the last in front.

    Its own curves hold what training itself showed: they are rows of the scores, too.
    """
    found: dict[str, list[Point]] = {}
    on_the_way = [
        Point(legal(f"{measure}/{statistic}"), value, step)
        for measure, step, lag, statistic, value in rows
        if lag < 0 and measure in (*TRAINING, "valid") and math.isfinite(value)
    ]
    for point in [*closing(rows, {}), *on_the_way]:
        found.setdefault(point.name, []).append(point)
    return {name: sorted(points, key=lambda point: -point.step) for name, points in found.items()}


def _same(logged: float | None, value: float) -> bool:
    """Whether a metric that is there is right."""
    return logged is None or math.isclose(logged, value, rel_tol=CLOSE)

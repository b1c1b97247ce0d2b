"""Checks of an experiment's runs that do not read results: which runs are unfinished, and which runs count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from farback.doctor.issues import Issue, Repair, unless_training
from farback.records.counted_nouns import counted
from farback.stores.queries import TrackedRun, newest
from farback.stores.run_metadata import SUPERSEDED
from farback.system import processes


class TrialRuns(NamedTuple):
    """The runs of an experiment's trials, by key."""

    ended: dict[str, list[TrackedRun]]
    running: dict[str, list[TrackedRun]]

    @classmethod
    def among(cls, runs: Sequence[TrackedRun]) -> TrialRuns:
        """The runs of trials among all runs of an experiment."""
        selected = cls({}, {})
        for run in runs:
            if run.kind == "trial" and run.key:
                (selected.running if run.status == "RUNNING" else selected.ended).setdefault(run.key, []).append(run)
        return selected

    def is_training(self, key: str) -> bool:
        """Whether a driver may be training a trial: a live one, or one on another machine."""
        return any(not _is_orphan(run) for run in self.running.get(key, []))

    @property
    def finished(self) -> dict[str, TrackedRun]:
        """The finished run that counts for each key, as in the store's frame."""
        return newest(run for runs in self.ended.values() for run in runs)


def unfinished(trials: TrialRuns, experiment: str) -> Iterator[Issue]:
    """Note trials in training, and trials that ended without a result: the next run trains them."""
    running = [run for runs in trials.running.values() for run in runs]
    orphans = sum(_is_orphan(run) for run in running)
    if len(running) > orphans:
        what = f"{counted(len(running) - orphans, 'trial')} in training by drivers that are alive or on other machines"
        yield Issue("note", "unfinished", what, "", experiment)
    if orphans:
        what = f"{counted(orphans, 'run')} left by drivers that are gone: the next run ends them and trains the rest"
        yield Issue("note", "unfinished", what, "", experiment)
    finished, statuses = trials.finished, Counter[str]()
    for key, runs in trials.ended.items():
        last = max(runs, key=lambda run: run.age)
        if key not in finished and key not in trials.running and last.tags.get("status") != "pruned":
            statuses[last.tags.get("status") or last.status.lower()] += 1
    if statuses:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
        ended = f"{counted(statuses.total(), 'trial')} ended without a result ({counts})"
        yield Issue("note", "unfinished", f"{ended}: the next run with the same settings tries again", "", experiment)


def duplicates(trials: TrialRuns, experiment: str) -> Iterator[Issue]:
    """Find trials with several ended runs that count: the UI shows each of them, and averages over them."""
    for key, counts in trials.finished.items():
        others = [run for run in trials.ended[key] if run is not counts]
        if not others:
            continue
        finished = sum(run.status == "FINISHED" for run in others)
        what = f"is finished by {finished + 1} runs" if finished else "has unfinished runs beside its result"
        repairs = tuple(Repair(run.run_id, {"kind": SUPERSEDED}) for run in others)
        remedy = unless_training(trials.is_training(key), f"marks all but run {counts.run_id} as {SUPERSEDED}", repairs)
        where = ", ".join(f"run {run.run_id}" for run in others)
        yield Issue("warning", "duplicates", f"trial {key} {what}", where, experiment, *remedy)


def summaries(runs: Sequence[TrackedRun], experiment: str) -> Iterator[Issue]:
    """Find further summary runs: the UI shows each of them. One counts."""
    kept = [run for run in runs if run.kind == "summary"]
    found = sorted(kept, key=lambda run: (run.status != "FINISHED", run.run_id))  # as the store chooses
    others = [run for run in found[1:] if run.status != "RUNNING" or _is_orphan(run)]
    if others:
        repairs = tuple(Repair(run.run_id, {"kind": SUPERSEDED}) for run in others)
        where = ", ".join(f"run {run.run_id}" for run in others)
        remedy = f"marks all but run {found[0].run_id} as {SUPERSEDED}"
        yield Issue("warning", "duplicates", "there are several summaries", where, experiment, remedy, repairs)


def untagged(runs: Sequence[TrackedRun], experiment: str) -> Iterator[Issue]:
    """Find runs with a trial's key but without a kind: neither the store nor the views count them."""
    for run in runs:
        if run.key and not run.kind:
            repair = Repair(run.run_id, {"kind": "trial"})
            remedy = "writes kind = trial again"
            where = f"run {run.run_id}"
            yield Issue("warning", "tags", "the tag kind is missing", where, experiment, remedy, (repair,))


def not_in_config(trials: TrialRuns, keys: Container[str] | None, experiment: str, config: str) -> Iterator[Issue]:
    """Note finished trials that are not in the present config."""
    others = sum(key not in keys for key in trials.finished) if keys is not None else 0
    if others:
        known = f"{others} of {len(trials.finished)} finished trials"
        what = f"{known} are not in the present {config}: kept, but not in its report"
        yield Issue("note", "config", what, "", experiment)


def _is_orphan(run: TrackedRun) -> bool:
    return processes.is_dead(run.tags.get("owner", ""))

"""Checks of the runs of one experiment that need no result: which are unfinished, which of them count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from farback.doctor.issues import Issue, SetTag, counted, unless
from farback.stores.queries import TrackedRun, newest
from farback.stores.run_tags import SUPERSEDED
from farback.system import processes


class TrialRuns(NamedTuple):
    """The runs of trials, by key."""

    ended: dict[str, list[TrackedRun]]
    running: dict[str, list[TrackedRun]]

    @classmethod
    def of(cls, runs: Sequence[TrackedRun]) -> TrialRuns:
        """The runs of trials among all runs of an experiment."""
        found: TrialRuns = cls({}, {})
        for run in runs:
            if run.kind == "trial" and run.key:
                (found.running if run.status == "RUNNING" else found.ended).setdefault(run.key, []).append(run)
        return found

    def is_held(self, key: str) -> bool:
        """Whether a driver may be training it: one that lives, or that cannot be seen from here."""
        return any(not processes.is_dead(run.tags.get("owner", "")) for run in self.running.get(key, []))

    @property
    def standing(self) -> dict[str, TrackedRun]:
        """The finished run that counts for each key, as in the store's frame."""
        by_id = {run.run_id: run for runs in self.ended.values() for run in runs}
        return {key: by_id[run.run_id] for key, run in newest(run.as_ended for run in by_id.values()).items()}


def unfinished(trials: TrialRuns, experiment: str) -> Iterator[Issue]:
    """What is being trained now, and what ended without a result: the next run trains it."""
    running = [run for runs in trials.running.values() for run in runs]
    dead = sum(processes.is_dead(run.tags.get("owner", "")) for run in running)
    if len(running) > dead:
        what = f"{counted(len(running) - dead, 'trial')} in training by drivers that live or cannot be seen from here"
        yield Issue("note", "unfinished", what, "", experiment)
    if dead:
        what = (
            f"{counted(dead, 'run')} left by drivers that are gone: the next run ends them, and trains what is missing"
        )
        yield Issue("note", "unfinished", what, "", experiment)
    standing, left = trials.standing, Counter[str]()
    for key, runs in trials.ended.items():
        last = max(runs, key=lambda run: (run.ended, run.run_id))
        if key not in standing and key not in trials.running and last.tags.get("status") != "pruned":
            left[last.tags.get("status") or last.status.lower()] += 1
    if left:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(left.items()))
        ended = f"{counted(left.total(), 'trial')} ended without a result ({counts})"
        yield Issue("note", "unfinished", f"{ended}: the next run with the same settings tries again", "", experiment)


def duplicates(trials: TrialRuns, experiment: str) -> Iterator[Issue]:
    """Several ended runs of one trial that all count: the UI shows each, and averages over them."""
    for key, stands in trials.standing.items():
        others = [run for run in trials.ended[key] if run.run_id != stands.run_id]
        if not others:
            continue
        finished = sum(run.status == "FINISHED" for run in others)
        what = f"is finished by {finished + 1} runs" if finished else "has unfinished runs beside its result"
        repairs = tuple(SetTag(run.run_id, "kind", SUPERSEDED) for run in others)
        fixed = unless(trials.is_held(key), f"marks all but run {stands.run_id} as {SUPERSEDED}", repairs)
        where = ", ".join(_run(run) for run in others)
        yield Issue("warning", "duplicates", f"trial {key} {what}", where, experiment, *fixed)


def untagged(runs: Sequence[TrackedRun], experiment: str) -> Iterator[Issue]:
    """Runs with a trial's key but without a kind, so that neither store nor views count them."""
    for run in runs:
        if run.key and not run.kind:
            repair = SetTag(run.run_id, "kind", "trial")
            remedy = "writes kind = trial again"
            yield Issue("warning", "tags", "the tag kind is missing", _run(run), experiment, remedy, (repair,))


def not_in_config(trials: TrialRuns, keys: Container[str] | None, experiment: str, config: str) -> Iterator[Issue]:
    """Finished trials that are not in the present config."""
    if keys is None:
        return
    others = sum(key not in keys for key in trials.standing)
    if others:
        known = f"{others} of {len(trials.standing)} finished trials"
        what = f"{known} are not in the present {config}: kept, but not in its report"
        yield Issue("note", "config", what, "", experiment)


def _run(run: TrackedRun) -> str:
    return f"run {run.run_id}"

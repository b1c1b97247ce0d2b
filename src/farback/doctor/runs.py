"""Checks of the runs of one experiment that need no result: who left them, which of them count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from farback.doctor.findings import End, Finding, SetTag, counted, unless
from farback.stores.queries import Run, newest
from farback.stores.run_tags import SUPERSEDED
from farback.system import processes


class Trials(NamedTuple):
    """The runs that count as trials, by key, as the checks want them."""

    ended: dict[str, list[Run]]
    running: dict[str, list[Run]]

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Trials:
        """Those among all runs of an experiment."""
        found: Trials = cls({}, {})
        for run in runs:
            if run.kind == "trial" and run.key:
                (found.running if run.status == "RUNNING" else found.ended).setdefault(run.key, []).append(run)
        return found

    def is_held(self, key: str) -> bool:
        """Whether a driver may be at it now: one that lives, or one of which that cannot be known from here."""
        return any(not processes.is_dead(run.tags.get("owner", "")) for run in self.running.get(key, []))

    @property
    def standing(self) -> dict[str, Run]:
        """The finished run that stands for each key, as for the store's frame."""
        by_id = {run.run_id: run for runs in self.ended.values() for run in runs}
        return {key: by_id[past.run_id] for key, past in newest(run.past for run in by_id.values()).items()}


def unfinished(trials: Trials, experiment: str) -> Iterator[Finding]:
    """Runs that say RUNNING though their driver is gone, and what is being trained now."""
    alive, elsewhere = 0, Counter[str]()
    for run in (run for runs in trials.running.values() for run in runs):
        owner = run.tags.get("owner", "")
        if processes.is_dead(owner):
            what = f"says RUNNING, but its driver {owner} is gone"
            remedy = "ends it as KILLED; the next run trains the trial"
            yield Finding("warning", "unfinished", what, _run(run), experiment, remedy, (End(run.run_id, owner),))
        elif processes.is_here(owner):
            alive += 1
        else:
            elsewhere[owner.rsplit(":", 2)[0] or "a driver without a name"] += 1
    if alive:
        what = f"{counted(alive, 'trial')} in training by a driver here"
        yield Finding("note", "unfinished", what, "", experiment)
    for host, count in sorted(elsewhere.items()):
        what = f"{counted(count, 'trial')} in training by {host}, whose drivers cannot be seen from here"
        yield Finding("note", "unfinished", what, "", experiment)
    standing, left = trials.standing, Counter[str]()
    for key, runs in trials.ended.items():
        last = max(runs, key=lambda run: (run.ended, run.run_id))
        if key not in standing and key not in trials.running and last.tags.get("status") != "pruned":
            left[last.tags.get("status") or last.status.lower()] += 1
    if left:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(left.items()))
        ended = f"{counted(left.total(), 'trial')} ended without a result ({counts})"
        what = f"{ended}: the next run with the same settings tries again"
        yield Finding("note", "unfinished", what, "", experiment)


def duplicates(trials: Trials, experiment: str) -> Iterator[Finding]:
    """Several ended runs of one trial that all count: the UI shows each, and averages over them."""
    for key, stands in trials.standing.items():
        others = [run for run in trials.ended[key] if run.run_id != stands.run_id]
        if not others:
            continue
        finished = sum(run.status == "FINISHED" for run in others)
        what = f"is finished by {finished + 1} runs" if finished else "has unfinished runs beside its result"
        mends = tuple(SetTag(run.run_id, "kind", SUPERSEDED) for run in others)
        fixed = unless(trials.is_held(key), f"marks all but run {stands.run_id} as {SUPERSEDED}", mends)
        where = ", ".join(_run(run) for run in others)
        yield Finding("warning", "duplicates", f"trial {key} {what}", where, experiment, *fixed)


def lost(runs: Sequence[Run], experiment: str) -> Iterator[Finding]:
    """Runs that have a trial's name but do not say what they are, so that neither store nor views count them."""
    for run in runs:
        if run.key and not run.kind:
            remedy = "writes kind = trial again"
            mend = SetTag(run.run_id, "kind", "trial")
            yield Finding("warning", "tags", "the tag kind is missing", _run(run), experiment, remedy, (mend,))


def unnamed(trials: Trials, named: Mapping[str, object] | None, experiment: str, shown: str) -> Iterator[Finding]:
    """Finished trials that the config, as it stands, does not name."""
    if named is None:
        return
    others = sum(key not in named for key in trials.standing)
    if others:
        known = f"{others} of {len(trials.standing)} finished trials"
        what = f"{known} are not in {shown} as it stands: kept, not in its report"
        yield Finding("note", "config", what, "", experiment)


def _run(run: Run) -> str:
    return f"run {run.run_id}"

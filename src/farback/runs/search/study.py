"""One group's study in Optuna: takes as many trials as the budget allows, and tells Optuna their outcomes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from farback.experiment import Group, Search
from farback.experiment.search_check import grid_points
from farback.experiment.search_space import Dimension, Plain
from farback.experiment.yaml_tree import Node
from farback.records.record import digest
from farback.records.user_error import UserError
from farback.runs.search.budget import Slot, duplicates, lacking, slots
from farback.runs.search.samplers import pruner, sampler, suggestion
from farback.runs.search.winners import default_point
from farback.stores.retries import StoreFault
from farback.stores.studies import Storage, describe, fail_abandoned, quiet
from farback.system import processes

SILENT_SECONDS = 90.0  # after this time without a heartbeat, a trial on another machine counts as abandoned
REASON_CHARACTERS = 500


def study_name(search: Search, group: Group) -> str:
    """NAME, or NAME/GROUP: the name for `optuna.load_study`."""
    name = search.results_folder.name
    return f"{name}/{group.label}" if group.label else name


@dataclass(frozen=True)
class TakenTrial:
    """One of Optuna's trials, taken by this process to train it: its number in the study, and its id in the database.

    `slot` is its slot of the budget, `values` are the suggested parameters by dotted path.
    """

    number: int
    id: int
    slot: int
    values: dict[str, Plain]


class GroupStudy:
    """The study of one group, created or loaded. The larger budget counts: `total` or an earlier run's.

    Raises:
        UserError: the study belongs to a search with another config, or a grid has fewer points than the budget.
    """

    def __init__(self, search: Search, group: Group, storage: Storage, total: int) -> None:
        self.search, self.group, self.storage = search, group, storage
        self.process = processes.identity()
        self.name = study_name(search, group)
        self._heartbeats: dict[int, tuple[Any, float]] = {}
        with quiet(), storage.lock:
            self.study = optuna.create_study(
                storage=storage.optuna,
                study_name=self.name,
                directions=list(search.directions),
                pruner=pruner(search, int(search.tree.plain.get("steps", 1000))),
                load_if_exists=True,
            )
            self._check_identity()
            describe(self.study, _note(search, group))
            attrs = self.study.user_attrs
            self.total = max(total, int(attrs.get("trials", 0)))
            if attrs.get("trials") != self.total:
                self.study.set_user_attr("trials", self.total)
        self._first = self._first_points()

    def _first_points(self) -> list[dict[str, Any]]:
        """The points of a grid in an order that depends on the seed only; else the default setting, if there is one."""
        options = self.search.options
        if options.sampler.name != "grid":
            default = default_point(self.search, self.group) if options.report.default else None
            return [default] if default else []
        points = [dict(point) for point in grid_points(self.search, self.group)]
        if self.total > len(points):
            raise UserError(
                f"{self.search.shown}: the grid of {self.name} has {len(points)} points, fewer than the {self.total} "
                "trials: lower `trials` or add values to `space`"
            )
        return sorted(points, key=lambda point: digest([options.sampler.seed, point]))

    def _check_identity(self) -> None:
        """Refuse a study of another search: its trials would not be comparable."""
        mine, attrs = _identity(self.search, self.group), self.study.user_attrs
        if "search" not in attrs:
            self.study.set_user_attr("search", mine)
            self.study.set_user_attr("experiment", self.search.name)
            self.study.set_user_attr("group", self.group.label)
            self.study.set_metric_names([str(objective) for objective in self.search.objectives])
        else:
            refuse_other(self.study, self.search, self.group)

    def trials(self) -> list[FrozenTrial]:
        """All of Optuna's trials, as they are now."""
        with quiet():
            return self.study.get_trials(deepcopy=False)

    def slots(self) -> list[Slot]:
        """The slots of the budget."""
        return slots(self.trials(), self.total)[: self.total]

    def left(self) -> int:
        """How many slots are neither done nor in training."""
        return sum(not slot.is_done and slot.state is not TrialState.RUNNING for slot in self.slots())

    def unfinished(self) -> int:
        """How many slots are not done, including the slots that other processes train."""
        return sum(not slot.is_done for slot in self.slots())

    def take(self, count: int) -> list[TakenTrial]:
        """Take up to `count` waiting trials. Trials whose process died are put back into the queue first."""
        taken: list[tuple[FrozenTrial, int]] = []
        with quiet():
            with self.storage.lock:
                self._fail_abandoned()
                for arguments in lacking(self.trials(), self.total, self._first):
                    self.study.enqueue_trial(**arguments)
                for slot in self.slots():
                    if len(taken) < count and slot.last and slot.state is TrialState.WAITING and self._start(slot.last):
                        taken.append((slot.last, slot.index))
                for extra in duplicates(self.trials()):
                    if extra.state is TrialState.WAITING:
                        reason = "two processes made this trial at once: it does not count"
                        fail_abandoned(self.storage.optuna, extra._trial_id, reason)
            return [self._sampled(trial, slot) for trial, slot in taken]

    def _start(self, trial: FrozenTrial) -> bool:
        """Change a trial from waiting to running; False if another process was faster."""
        try:
            if not self.storage.optuna.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                return False
        except RuntimeError:  # the trial has ended
            return False
        self.note(trial._trial_id, owner=self.process)
        return True

    def _sampled(self, trial: FrozenTrial, slot: int) -> TakenTrial:
        """Let the sampler choose the parameters, in the order of the space, where their conditions hold."""
        self.study.sampler = sampler(self.search, slot)
        handle = optuna.trial.Trial(self.study, trial._trial_id)
        values: dict[str, Plain] = {}

        def choose(dimension: Dimension) -> Node:
            values[dimension.path] = suggestion(handle, dimension)
            return dimension.node(values[dimension.path])

        self.search.walk(self.group, choose)
        return TakenTrial(trial.number, trial._trial_id, slot, values)

    def note(self, trial_id: int, **attrs: Any) -> None:
        """Set user attributes of a trial, unless it has ended."""
        with quiet():
            for name, value in attrs.items():
                try:
                    self.storage.optuna.set_trial_user_attr(trial_id, name, value)
                except RuntimeError:
                    return

    def complete(self, taken: TakenTrial, values: Sequence[float]) -> bool:
        """Tell Optuna the objectives of a trial; False if another process has marked it as abandoned."""
        return self._tell(taken, values=list(values), state=TrialState.COMPLETE)

    def prune(self, taken: TakenTrial, reason: str) -> bool:
        """Tell Optuna that a trial was pruned; False as in `complete`."""
        self.note(taken.id, reason=reason[:REASON_CHARACTERS])
        return self._tell(taken, state=TrialState.PRUNED)

    def fail(self, taken: TakenTrial, reason: str, *, final: bool = False, blameless: bool = False) -> bool:
        """Tell Optuna that a trial failed; False as in `complete`. Its slot is tried up to `MOST_ATTEMPTS` times.

        Args:
            final: do not try the slot again, because it would fail again.
            blameless: the process was stopped; this does not count as an attempt.
        """
        flags = {"final": final, "blameless": blameless}
        self.note(taken.id, reason=reason[:REASON_CHARACTERS], **{name: True for name, flag in flags.items() if flag})
        return self._tell(taken, state=TrialState.FAIL)

    def _tell(self, taken: TakenTrial, **outcome: Any) -> bool:
        with quiet():
            try:
                self.study.tell(taken.number, **outcome)
            except StoreFault:
                raise
            except (ValueError, RuntimeError):  # the trial has ended
                return False
            return True

    def should_prune(self, taken: TakenTrial, value: float, step: int) -> bool:
        """Report an intermediate value to Optuna; returns whether the pruner would stop the trial."""
        with quiet():
            trial = optuna.trial.Trial(self.study, taken.id)
            trial.report(value, step)
            return bool(trial.should_prune())

    def _fail_abandoned(self) -> None:
        """Fail the running trials of dead processes, so that their slots get another trial."""
        now = time.monotonic()
        for trial in self.trials():
            if trial.state is not TrialState.RUNNING:
                continue
            owner = str(trial.user_attrs.get("owner", ""))
            heartbeat = trial.user_attrs.get("heartbeat")
            seen = self._heartbeats.setdefault(trial._trial_id, (heartbeat, now))
            if seen[0] != heartbeat:
                self._heartbeats[trial._trial_id] = seen = (heartbeat, now)
            silent = now - seen[1] > SILENT_SECONDS and not processes.is_here(owner)
            if processes.is_dead(owner) or (not owner and self.storage.is_local) or silent:
                fail_abandoned(self.storage.optuna, trial._trial_id, f"its process {owner or '(unknown)'} is gone")


def _note(search: Search, group: Group) -> str:
    """The note for optuna-dashboard, in Markdown."""
    report = f"results/{search.results_folder.name}/report.html"
    texts = [
        f"**{search.question}**" if search.question else "",
        f"Group: {group.label}" if group.label else "",
        f"The result is in the report, {report}, which `farback report {search.arguments}` writes again. A value here "
        "is the mean over the seeds of the search; the best of many is too good, so the report trains the best setting "
        "again on fresh seeds.",
    ]
    return "\n\n".join(filter(None, texts))


def delete(search: Search, storage: Storage) -> list[str]:
    """Delete the studies that this search made, not others of the same name; returns their names."""
    with quiet(), storage.lock:
        own = {one.study_name for one in storage.optuna.get_all_studies() if "search" in one.user_attrs}
        names = [name for name in _existing_names(search, storage).values() if name in own]
        for name in names:
            optuna.delete_study(study_name=name, storage=storage.optuna)
    return names


def _identity(search: Search, group: Group) -> dict[str, Any]:
    """What makes a study another one, as plain values."""
    return {**search.identity(), "group": {path: node.plain for path, _, node in group.settings}}


def is_of(study: optuna.Study, search: Search, group: Group) -> bool:
    """Whether a study was made with the config of the search as it stands."""
    return digest(study.user_attrs.get("search")) == digest(_identity(search, group))


def refuse_other(study: optuna.Study, search: Search, group: Group) -> None:
    """Raise UserError if a study was made with another config."""
    mine, theirs = _identity(search, group), study.user_attrs.get("search", {})
    if digest(theirs) != digest(mine):
        changed = [key for key in mine if digest(theirs.get(key)) != digest(mine[key])]
        raise UserError(
            f"{search.shown}: the study {study.study_name} was made with another {', '.join(changed)}: "
            f"rename the config, or start over with --restart, which deletes its studies"
        )


def existing(search: Search, storage: Storage) -> dict[str, optuna.Study]:
    """The studies of a search that exist, by group, for reading."""
    with quiet():
        names = _existing_names(search, storage)
        return {label: optuna.load_study(study_name=name, storage=storage.optuna) for label, name in names.items()}


def _existing_names(search: Search, storage: Storage) -> dict[str, str]:
    """The names of the studies that exist, by group."""
    exist = set(optuna.get_all_study_names(storage=storage.optuna))
    return {group.label: name for group in search.groups if (name := study_name(search, group)) in exist}

"""One group's study in Optuna: its trials are taken, and their outcomes told, exactly as many as the budget says."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from farback.experiment import Group, Search
from farback.experiment.search_check import grid_points
from farback.experiment.search_space import Dimension, Plain
from farback.experiment.yaml_tree import Node
from farback.records.record import UserError, digest
from farback.runs.search.budget import Slot, duplicates, lacking, slots
from farback.runs.search.samplers import pruner, sampler, suggested
from farback.runs.search.winners import default_point
from farback.stores.studies import Storage, fail_abandoned, quiet
from farback.system import processes

SILENT_SECONDS = 90.0  # without a heartbeat, after which a trial of another machine counts as abandoned
REASON_CHARACTERS = 500


def study_name(search: Search, group: Group) -> str:
    """NAME, or NAME/GROUP: the name for `optuna.load_study`."""
    name = search.results_folder.name
    return f"{name}/{group.label}" if group.label else name


@dataclass(frozen=True)
class TakenTrial:
    """A trial of Optuna's that this process trains."""

    number: int
    id: int
    slot: int
    values: dict[str, Plain]


@dataclass
class GroupStudy:
    """A group's study, opened.

    Attributes:
        search: the whole search.
        group: of the search.
        storage: of the studies.
        total: the group's budget.
        process: this one, as `farback.system.processes.identity`.
    """

    search: Search
    group: Group
    storage: Storage
    total: int
    process: str = field(default_factory=processes.identity)

    def __post_init__(self) -> None:
        search = self.search
        self.name = study_name(search, self.group)
        self._heartbeats: dict[int, tuple[Any, float]] = {}
        with quiet(), self.storage.alone:
            self.study = optuna.create_study(
                storage=self.storage.optuna,
                study_name=self.name,
                directions=list(search.directions),
                sampler=sampler(search),
                pruner=pruner(search, int(search.tree.plain.get("steps", 1000))),
                load_if_exists=True,
            )
            self._check_identity()
            attrs = self.study.user_attrs
            self.total = max(self.total, int(attrs.get("trials", 0)))
            if attrs.get("trials") != self.total:
                self.study.set_user_attr("trials", self.total)
        grid = search.options.sampler.name == "grid"
        self._first = _shuffled(grid_points(search, self.group), search.options.sampler.seed) if grid else []
        if not grid and search.options.report.default and (default := default_point(search, self.group)):
            self._first = [default]
        if grid and self.total > len(self._first):
            raise UserError(f"the grid of {self.name} has {len(self._first)} points: at most so many trials")

    def _check_identity(self) -> None:
        """A study is continued only by the search that it was made for: its trials must be comparable."""
        mine = {**self.search.identity(), "group": {path: node.plain for path, _, node in self.group.settings}}
        attrs = self.study.user_attrs
        if "search" not in attrs:
            self.study.set_user_attr("search", mine)
            self.study.set_user_attr("experiment", self.search.name)
            self.study.set_user_attr("group", self.group.label)
            self.study.set_metric_names([str(objective) for objective in self.search.objectives])
        elif digest(attrs["search"]) != digest(mine):
            differ = [key for key in mine if digest(attrs["search"].get(key)) != digest(mine[key])]
            raise UserError(
                f"{self.search.shown}: the study {self.name} was begun with another {', '.join(differ)}: "
                f"give the config a new name, or start over with --restart, which deletes its studies"
            )

    def trials(self) -> list[FrozenTrial]:
        """Every trial of Optuna's, as it is now."""
        with quiet():
            return self.study.get_trials(deepcopy=False)

    def slots(self) -> list[Slot]:
        """The budget, slot by slot."""
        return slots(self.trials(), self.total)[: self.total]

    def left(self) -> int:
        """Slots that are neither done nor being trained."""
        return sum(not slot.is_done and slot.state is not TrialState.RUNNING for slot in self.slots())

    def unfinished(self) -> int:
        """Slots that are not done, including those that other processes train."""
        return sum(not slot.is_done for slot in self.slots())

    def take(self, count: int) -> list[TakenTrial]:
        """Take up to `count` waiting trials, after putting back those of dead processes."""
        taken: list[tuple[FrozenTrial, int]] = []
        with quiet():
            with self.storage.alone:
                self._fail_abandoned()
                for missing in lacking(self.trials(), self.total, self._first):
                    self.study.enqueue_trial(**missing)
                trials = self.trials()
                for slot in slots(trials, self.total)[: self.total]:
                    if len(taken) < count and slot.last and slot.state is TrialState.WAITING and self._run(slot.last):
                        taken.append((slot.last, slot.index))
                for extra in duplicates(trials):
                    if extra.state is TrialState.WAITING:
                        reason = "made twice by two processes at once: not counted"
                        fail_abandoned(self.storage.optuna, extra._trial_id, reason)
            return [self._sampled(trial, slot) for trial, slot in taken]

    def _run(self, trial: FrozenTrial) -> bool:
        """Change a trial from waiting to running; False if another process was faster."""
        try:
            if not self.storage.optuna.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                return False
        except UpdateFinishedTrialError:
            return False
        self.note(trial._trial_id, owner=self.process)
        return True

    def _sampled(self, trial: FrozenTrial, slot: int) -> TakenTrial:
        """Have the sampler choose the parameters, in the order of the space, where their conditions hold."""
        handle = optuna.trial.Trial(self.study, trial._trial_id)
        values: dict[str, Plain] = {}

        def choose(dimension: Dimension) -> Node:
            values[dimension.path] = suggested(handle, dimension)
            return dimension.node(values[dimension.path])

        self.search.walk(self.group, choose)
        return TakenTrial(trial.number, trial._trial_id, slot, values)

    def note(self, trial_id: int, **attrs: Any) -> None:
        """Set user attributes of a trial, unless it has ended."""
        with quiet():
            for name, value in attrs.items():
                try:
                    self.storage.optuna.set_trial_user_attr(trial_id, name, value)
                except UpdateFinishedTrialError:
                    return

    def complete(self, taken: TakenTrial, values: Sequence[float]) -> bool:
        """Tell a trial's values; False if another process had failed the trial as abandoned."""
        return self._tell(taken, values=list(values), state=TrialState.COMPLETE)

    def prune(self, taken: TakenTrial, reason: str) -> bool:
        """Tell that a trial was pruned."""
        self.note(taken.id, reason=reason[:REASON_CHARACTERS])
        return self._tell(taken, state=TrialState.PRUNED)

    def fail(self, taken: TakenTrial, reason: str, *, final: bool = False, blameless: bool = False) -> bool:
        """Tell that a trial failed; its slot is tried again, unless it is final or failed often enough.

        Args:
            taken: the trial.
            reason: for people.
            final: trying again would not help.
            blameless: the process was stopped; this does not count as a failure.
        """
        flags = {"final": final, "blameless": blameless}
        self.note(taken.id, reason=reason[:REASON_CHARACTERS], **{name: True for name, flag in flags.items() if flag})
        return self._tell(taken, state=TrialState.FAIL)

    def _tell(self, taken: TakenTrial, **outcome: Any) -> bool:
        with quiet():
            try:
                self.study.tell(taken.number, **outcome)
            except (ValueError, UpdateFinishedTrialError):  # no longer running
                return False
            return True

    def should_prune(self, taken: TakenTrial, value: float, step: int) -> bool:
        """Report an intermediate value and ask the pruner."""
        with quiet():
            trial = optuna.trial.Trial(self.study, taken.id)
            trial.report(value, step)
            return bool(trial.should_prune())

    def _fail_abandoned(self) -> None:
        """Fail the running trials of dead processes, so that their slots get another."""
        now = time.monotonic()
        for trial in self.trials():
            if trial.state is not TrialState.RUNNING:
                continue
            owner = str(trial.user_attrs.get("owner", ""))
            heartbeat = trial.user_attrs.get("heartbeat")
            seen = self._heartbeats.setdefault(trial._trial_id, (heartbeat, now))
            if seen[0] != heartbeat:
                self._heartbeats[trial._trial_id] = seen = (heartbeat, now)
            silent = now - seen[1] > SILENT_SECONDS
            here = processes.is_here(owner)
            if processes.is_dead(owner) or (not owner and self.storage.is_local) or (silent and not here):
                fail_abandoned(self.storage.optuna, trial._trial_id, f"its process {owner or '(unknown)'} is gone")


def _shuffled(points: Sequence[Mapping[str, object]], seed: int) -> list[dict[str, Any]]:
    """A grid's points in an order that depends on the seed only."""
    return [dict(point) for point in sorted(points, key=lambda point: digest([seed, dict(point)]))]


def delete(search: Search, storage: Storage) -> list[str]:
    """Delete the studies of a search; their names."""
    with quiet(), storage.alone:
        there = set(optuna.get_all_study_names(storage=storage.optuna))
        names = [name for group in search.groups if (name := study_name(search, group)) in there]
        for name in names:
            optuna.delete_study(study_name=name, storage=storage.optuna)
    return names


def existing(search: Search, storage: Storage) -> dict[str, optuna.Study]:
    """The studies that exist, by group, for reading."""
    with quiet():
        there = set(optuna.get_all_study_names(storage=storage.optuna))
        names = {group.label: study_name(search, group) for group in search.groups}
        return {
            label: optuna.load_study(study_name=name, storage=storage.optuna)
            for label, name in names.items()
            if name in there
        }

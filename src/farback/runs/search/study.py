"""One group's study in Optuna: claims, parameters and outcomes of its trials, exactly as many as the budget says."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from farback.experiment import Experiment, Group
from farback.experiment.search_check import grid_points
from farback.experiment.search_space import Dimension, Plain
from farback.experiment.yaml_tree import Node
from farback.records.record import UserError, digest
from farback.runs.search.budget import Slot, slots, void, wanted
from farback.runs.search.samplers import pruner, sampler, suggested
from farback.runs.search.winners import default_point
from farback.stores.studies import Storage, give_up, quiet
from farback.system import processes

LEASE_SECONDS = 90.0  # another machine's trial whose pulse stands still for so long is given up
REASON_CHARACTERS = 500


def study_name(experiment: Experiment, group: Group) -> str:
    """NAME, or NAME/GROUP: what `optuna.load_study` takes."""
    name = experiment.results_folder.name
    return f"{name}/{group.label}" if group.label else name


@dataclass(frozen=True)
class Claim:
    """A trial of Optuna's that is this process' to train."""

    number: int
    id: int
    slot: int
    values: dict[str, Plain]


@dataclass
class Study:
    """A group's study, opened.

    Attributes:
        group: whose.
        total: its budget.
        me: this process, as `owners.owner`.
    """

    experiment: Experiment
    group: Group
    storage: Storage
    total: int
    me: str = field(default_factory=processes.identity)

    def __post_init__(self) -> None:
        search = self.experiment.search
        assert search is not None
        self.search = search
        self.name = study_name(self.experiment, self.group)
        self._pulses: dict[int, tuple[Any, float]] = {}
        with quiet(), self.storage.alone:
            self.study = optuna.create_study(
                storage=self.storage.optuna,
                study_name=self.name,
                directions=list(search.directions),
                sampler=sampler(search),
                pruner=pruner(search, int(search.base.plain.get("steps", 1000))),
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
        """A study goes on only as what it began as: its trials must be comparable."""
        mine = {**self.search.identity(), "group": {path: node.plain for path, _, node in self.group.settings}}
        attrs = self.study.user_attrs
        if "search" not in attrs:
            self.study.set_user_attr("search", mine)
            self.study.set_user_attr("experiment", self.experiment.name)
            self.study.set_user_attr("group", self.group.label)
            self.study.set_metric_names([str(objective) for objective in self.search.objectives])
        elif digest(attrs["search"]) != digest(mine):
            differ = [key for key in mine if digest(attrs["search"].get(key)) != digest(mine[key])]
            raise UserError(
                f"{self.experiment.shown}: the study {self.name} was begun with another {', '.join(differ)}: "
                f"give the config a new name, or begin again with --restart, which deletes its studies"
            )

    # What is there

    def trials(self) -> list[FrozenTrial]:
        """Every trial, as it now is."""
        with quiet():
            return self.study.get_trials(deepcopy=False)

    def slots(self) -> list[Slot]:
        """The budget, slot by slot."""
        return slots(self.trials(), self.total)[: self.total]

    def left(self) -> int:
        """Slots that nobody has yet trained or is training."""
        return sum(not slot.is_done and slot.state is not TrialState.RUNNING for slot in self.slots())

    def unfinished(self) -> int:
        """Slots that are not done, those that others are at among them."""
        return sum(not slot.is_done for slot in self.slots())

    # What is done

    def claim(self, count: int) -> list[Claim]:
        """Take up to so many waiting trials. Those of dead processes are put back first."""
        taken: list[tuple[FrozenTrial, int]] = []
        with quiet():
            with self.storage.alone:
                self._give_up_dead()
                trials = self.trials()
                for lacking in wanted(trials, self.total, self._first):
                    self.study.enqueue_trial(**lacking)
                trials = self.trials()
                for slot in slots(trials, self.total)[: self.total]:
                    if len(taken) < count and slot.last and slot.state is TrialState.WAITING and self._take(slot.last):
                        taken.append((slot.last, slot.index))
                for extra in void(trials):
                    if extra.state is TrialState.WAITING:
                        reason = "made twice by two processes at once: not counted"
                        give_up(self.storage.optuna, extra._trial_id, reason)
            return [self._asked(trial, slot) for trial, slot in taken]

    def _take(self, trial: FrozenTrial) -> bool:
        try:
            if not self.storage.optuna.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                return False
        except UpdateFinishedTrialError:
            return False
        self.note(trial._trial_id, owner=self.me)
        return True

    def _asked(self, trial: FrozenTrial, slot: int) -> Claim:
        """Have the sampler choose the parameters, in the order of the space, where their conditions hold."""
        asked = optuna.trial.Trial(self.study, trial._trial_id)
        values: dict[str, Plain] = {}

        def choose(dimension: Dimension) -> Node:
            values[dimension.path] = suggested(asked, dimension)
            return dimension.node(values[dimension.path])

        self.search.walk(self.group, choose)
        return Claim(trial.number, trial._trial_id, slot, values)

    def note(self, trial_id: int, **attrs: Any) -> None:
        """Write user attributes on a trial; one that was given up meanwhile is left alone."""
        with quiet():
            for name, value in attrs.items():
                try:
                    self.storage.optuna.set_trial_user_attr(trial_id, name, value)
                except UpdateFinishedTrialError:
                    return

    def complete(self, claim: Claim, values: Sequence[float]) -> bool:
        """Tell what came out; False where another process had given this trial up."""
        return self._tell(claim, values=list(values), state=TrialState.COMPLETE)

    def prune(self, claim: Claim, reason: str) -> bool:
        """Tell that it was not worth going on."""
        self.note(claim.id, reason=reason[:REASON_CHARACTERS])
        return self._tell(claim, state=TrialState.PRUNED)

    def fail(self, claim: Claim, reason: str, *, final: bool = False, blameless: bool = False) -> bool:
        """Tell that it was not trained; it is tried again, unless it is final or failed often enough.

        Args:
            claim: the trial.
            reason: for people.
            final: trying again would not help.
            blameless: the process was stopped: it does not count among the failures.
        """
        flags = {"final": final, "blameless": blameless}
        self.note(claim.id, reason=reason[:REASON_CHARACTERS], **{name: True for name, flag in flags.items() if flag})
        return self._tell(claim, state=TrialState.FAIL)

    def _tell(self, claim: Claim, **outcome: Any) -> bool:
        with quiet():
            try:
                self.study.tell(claim.number, **outcome)
            except (ValueError, UpdateFinishedTrialError):  # no longer running: it was given up
                return False
            return True

    def should_prune(self, claim: Claim, value: float, step: int) -> bool:
        """Report a value on the way and ask the pruner."""
        with quiet():
            trial = optuna.trial.Trial(self.study, claim.id)
            trial.report(value, step)
            return bool(trial.should_prune())

    # Those who died

    def _give_up_dead(self) -> None:
        """Tell FAIL for the trials of processes that are gone; their slots then lack a trial."""
        now = time.monotonic()
        for trial in self.trials():
            if trial.state is not TrialState.RUNNING:
                continue
            owner = str(trial.user_attrs.get("owner", ""))
            pulse = trial.user_attrs.get("pulse")
            seen = self._pulses.setdefault(trial._trial_id, (pulse, now))
            if seen[0] != pulse:
                self._pulses[trial._trial_id] = seen = (pulse, now)
            silent = now - seen[1] > LEASE_SECONDS
            here = processes.is_here(owner)
            if processes.is_dead(owner) or (not owner and self.storage.is_local) or (silent and not here):
                give_up(self.storage.optuna, trial._trial_id, f"its process {owner or '(unknown)'} is gone")


def _shuffled(points: Sequence[Mapping[str, object]], seed: int) -> list[dict[str, Any]]:
    """A grid's points in an order that depends on the seed alone."""
    return [dict(point) for point in sorted(points, key=lambda point: digest([seed, dict(point)]))]


def delete(experiment: Experiment, storage: Storage) -> list[str]:
    """Delete the studies of a search; their names."""
    assert experiment.search is not None
    with quiet(), storage.alone:
        there = set(optuna.get_all_study_names(storage=storage.optuna))
        names = [name for group in experiment.search.groups if (name := study_name(experiment, group)) in there]
        for name in names:
            optuna.delete_study(study_name=name, storage=storage.optuna)
    return names


def existing(experiment: Experiment, storage: Storage) -> dict[str, list[FrozenTrial]]:
    """The trials of the studies that are there, by group, changing nothing."""
    assert experiment.search is not None
    found = {}
    with quiet():
        there = set(optuna.get_all_study_names(storage=storage.optuna))
        for group in experiment.search.groups:
            name = study_name(experiment, group)
            if name in there:
                study = optuna.load_study(study_name=name, storage=storage.optuna)
                found[group.label] = study.get_trials(deepcopy=False)
    return found

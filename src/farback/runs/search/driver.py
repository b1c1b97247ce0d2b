"""The loop of a search: ask for settings, train them down the runner's one path, tell what came out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import chain

import numpy as np
import pandas as pd
from filelock import FileLock
from pydantic import ValidationError

from farback.executors import Executor
from farback.experiment import Experiment
from farback.kernels.precompile import used, warm
from farback.runs import sweep
from farback.runs.leased_work import Share
from farback.runs.schedule import Plan, plan
from farback.runs.search.evaluation import Asked, Pulse, reported, viewed
from farback.runs.search.history import frame
from farback.runs.search.objectives import value
from farback.runs.search.study import Claim, Study
from farback.runs.search.winners import defaults, winners
from farback.stores.base import Store
from farback.stores.studies import Storage
from farback.training.checkpoint_folder import Folder
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Event, Failed, Finished, Paused, Progress, Reused, Stopped
from farback.trials.trial import Trial

POLL_SECONDS = 1.0  # between looks at what other processes are doing
ON_THE_WAY = ("median", "hyperband")  # pruners that judge a training before its end, by this:
SKILL = "valid/skill"
FIRST_SEEDS = 2  # of a trial that may be pruned seed by seed: one alone says nothing


class Driver:
    """Runs a search, in this process and its workers, beside any others.

    Args:
        experiment: a search.
        store: of the trials.
        executor: where they train.
        storage: of the studies.
        workers: how many the executor has.
        total: trials of each group; more than before adds to a search that is done.
        folder: of checkpoints.
    """

    def __init__(
        self,
        experiment: Experiment,
        store: Store,
        executor: Executor,
        storage: Storage,
        workers: int,
        total: int,
        folder: Folder,
    ) -> None:
        assert experiment.search is not None
        self.experiment, self.search = experiment, experiment.search
        self.store, self.executor, self.workers, self.storage = store, executor, workers, storage
        self.folder, self.share = folder, Share(store, folder)
        self.studies = [Study(experiment, group, storage, total) for group in self.search.groups]
        self.pulse = Pulse(storage.is_local)
        self.started = time.monotonic()
        self.queue: deque[Cohort] = deque()
        self.open: list[Asked] = []
        self.training: set[str] = set()  # keys that are queued or with a worker
        self.known: dict[str, tuple[str, pd.DataFrame]] = {}  # status and scores by key
        self.trained, self.reused, self.diverged = 0, 0, 0
        self.failures: list[Failed] = []
        self.plan = Plan([], [], [])  # of the report

    def history(self) -> pd.DataFrame:
        """As `farback.runs.search.history`, now."""
        return frame(self.search, {study.group.label: study.trials() for study in self.studies})

    # The search

    def events(self) -> Iterator[Event]:
        """Search until every slot of every group is done, by whomever, or the time is over."""
        self._remember()
        with self.pulse:
            try:
                while any(study.unfinished() for study in self.studies) and not self.is_over:
                    idle = True
                    events = sweep.recorded(self._cohorts(), self.executor, self.share, self.experiment.device)
                    for event in chain(events, self.share.settled()):
                        idle = False
                        self._take(event)
                        yield event
                    self.queue.extend(self.share.again())
                    if idle:
                        time.sleep(POLL_SECONDS)  # others are at the rest: should they die, it becomes ours
            finally:
                for one in self.open:
                    one.study.fail(one.claim, "the search was stopped", blameless=True)

    @property
    def is_over(self) -> bool:
        """Whether the time that the config gives is spent, or all is to come to an end."""
        budget = self.search.options.budget
        return self.executor.finishing or (budget is not None and time.monotonic() - self.started > 60 * budget)

    def _cohorts(self) -> Iterator[Cohort]:
        """Cohorts as workers fall idle: what is queued, else new settings for the group that is furthest behind."""
        while self.queue or self._ask():
            if self.queue:
                cohort = self.queue.popleft()
                warm(used(trial.cell.kernel for trial in cohort.trials))
                yield cohort

    def _ask(self) -> bool:
        """Claim a batch and give it out; whether there was any."""
        if self.is_over:
            return False
        for study in sorted(self.studies, key=lambda study: study.total - study.left()):
            claims = study.claim(self.search.options.batch)
            if claims:
                asked = [one for claim in claims if (one := self._asked(study, claim))]
                self._give_out(asked, [trial for one in asked for trial in one.given_out])
                return True
        return False

    def _asked(self, study: Study, claim: Claim) -> Asked | None:
        """The trials of a claim."""
        try:
            trials = [self.search.trial(study.group, claim.values, seed) for seed in self.search.search_seeds]
        except ValidationError as error:  # it lies between the ends of the space, which were tried
            study.fail(claim, f"cannot be trained: {error.errors(include_url=False)[0]['msg']}", final=True)
            return None
        study.note(claim.id, keys=" ".join(trial.key for trial in trials))
        self.pulse.add(study, claim.id)
        by_seed = self.search.options.pruner == "wilcoxon"
        asked = Asked(study, claim, trials, trials[FIRST_SEEDS:] if by_seed else [])
        self.open.append(asked)
        return asked

    def _give_out(self, asked: Sequence[Asked], trials: Sequence[Trial]) -> None:
        """Queue what has to be trained; what the store holds comes back at once."""
        fresh = list({trial.key: trial for trial in trials if trial.key not in self.training}.values())
        self._begin(fresh)
        done = self.store.finished([trial.key for trial in fresh])
        if done - self.known.keys():
            self._remember()  # another process has trained them
        done &= self.known.keys()
        given = {trial.key for trial in trials}
        for one in asked:
            for key in [trial.key for trial in one.trials if trial.key in given]:
                self.store.tag(key, one.said())
        due = self._planned(fresh, done)
        self.training |= {trial.key for trial in due.missing}
        self.queue.extend(due.cohorts)
        self.reused += len(done)
        for one in asked:
            self._advance(one)

    def _planned(self, trials: Sequence[Trial], done: set[str]) -> Plan:
        """What has to be trained of some trials, from where earlier runs left it."""
        self.folder.forget(self.folder.held() & done)
        start = self.folder.load(trial for trial in trials if trial.key not in done)
        return plan(trials, done, self.workers, start)

    def _begin(self, trials: Sequence[Trial], settings: Sequence[str] = ()) -> None:
        """Tell the store which trials are coming, and what its views should show."""
        self.store.begin(
            self.experiment.name,
            trials,
            question=self.experiment.question,
            config_text=self.experiment.text,
            study=viewed(self.search, settings),
        )

    def _remember(self) -> None:
        """Read what the store holds."""
        held = self.store.frame(self.experiment.name)
        self.known |= {str(key): (str(own["status"].iloc[0]), own) for key, own in held.groupby("key", sort=False)}

    # What comes back

    def _take(self, event: Event) -> None:
        """One event: the setting that it belongs to may be done."""
        if isinstance(event, Progress):
            if self.search.options.pruner in ON_THE_WAY and SKILL in event.metrics:
                self._watch(event)
            return
        if isinstance(event, Checkpoint | Paused):
            return
        self.training.discard(event.key)
        if isinstance(event, Finished):
            self.known[event.key] = event.result.status, event.result.scores
            self.trained += 1
            self.diverged += event.result.status == "diverged"
        elif isinstance(event, Failed):
            self.failures.append(event)
        elif isinstance(event, Reused):
            self._remember()
            self.reused += 1
        waiting = [(each, trial) for each in self.open for trial in each.trials if trial.key == event.key]
        for one, trial in waiting:
            if isinstance(event, Failed):
                one.failures[event.key] = event.error
            elif isinstance(event, Stopped):  # given up for another setting of the same values
                self._give_out([one], [trial])
            self._advance(one)

    def _advance(self, one: Asked) -> None:
        """Tell a setting's outcome when all of its seeds are back, or go on with the next seed."""
        for trial in one.given_out:
            if trial.key in self.known and trial.key not in one.values:
                one.values[trial.key] = self.objectives(trial)
                if self.search.options.pruner == "wilcoxon":
                    one.hopeless = one.study.should_prune(one.claim, one.values[trial.key][0], trial.seed)
        if not one.is_back or one not in self.open:
            return
        if one.failures:
            reason = next(iter(one.failures.values()))
            self._close(one, "failed", reason, one.study.fail(one.claim, reason))
        elif one.waiting and one.hopeless:
            seeds = f"after {len(one.values)} of {len(one.trials)} seeds"
            reason = f"{self.search.options.pruner} gave it up {seeds}"
            self._close(one, "pruned", reason, one.study.prune(one.claim, reason))
        elif one.waiting:
            self._give_out([one], [one.waiting.pop(0)])
        else:
            self._close(one, "complete", "", one.study.complete(one.claim, one.means()))

    def _watch(self, event: Progress) -> None:
        """The validation skill of one seed on the way: when all are there, the pruner judges their mean."""
        for one in [one for one in self.open if event.key in {trial.key for trial in one.trials}]:
            one.skills.setdefault(event.step, {})[event.key] = min(1.0, max(0.0, event.metrics[SKILL]))
            last = {key: skill for step in sorted(one.skills) for key, skill in one.skills[step].items()}
            here = one.skills[event.step]
            ended = {trial.key for trial in one.trials if trial.key in self.known}
            if len(here.keys() | ended) < len(one.trials):
                continue
            mean = float(np.mean([here.get(key, last.get(key, 0.0)) for key in {*here, *ended}]))
            worth = mean if self.search.directions[0] == "maximize" else 1.0 - mean
            if one.study.should_prune(one.claim, worth, event.step):
                reason = f"{self.search.options.pruner} gave it up after {event.step} updates, at skill {mean:.3f}"
                self._close(one, "pruned", reason, one.study.prune(one.claim, reason))
                self._drop({trial.key for trial in one.trials})

    def _drop(self, keys: set[str]) -> None:
        """Give trials up that no other setting waits for: those in the queue at once."""
        unwanted = keys - {trial.key for other in self.open for trial in other.trials}
        queued = {key for pack in self.queue for key in pack.keys}
        self.queue = deque(left for pack in self.queue for left in pack.only(set(pack.keys) - unwanted))
        self.training -= unwanted & queued
        self.executor.drop(unwanted - queued)

    def objectives(self, trial: Trial) -> list[float]:
        """What a trial that ended is worth."""
        return [value(objective, trial, *self.known[trial.key]) for objective in self.search.objectives]

    def named(self) -> list[str]:
        """The objectives as names of metrics."""
        return [objective.name for objective in self.search.objectives]

    def _close(self, one: Asked, state: str, reason: str, taken: bool) -> None:
        """Note the outcome on the setting's runs; another process may have been given the setting meanwhile."""
        self.open.remove(one)
        self.pulse.remove(one.study, one.claim.id)
        if not taken:
            return
        said = {"optuna.state": state} | ({"optuna.reason": reason} if reason else {})
        metrics = {}
        if one.values and state != "failed":
            means = one.means()
            said["optuna.value"] = ", ".join(f"{mean:.6g}" for mean in means)
            metrics = {f"search/{name}": mean for name, mean in zip(self.named(), means, strict=True)}
        for trial in one.given_out:
            own = dict(zip(self.named(), one.values.get(trial.key, []), strict=False))
            self.store.tag(trial.key, said, {**metrics, **{f"own/{name}": number for name, number in own.items()}})

    # The report

    def reported(self) -> Iterator[Event]:
        """Train the winners from fresh seeds. One process at a time does, and the next finds it done."""
        alone = FileLock(f"{self.storage.path}.report.lock") if self.storage.path else nullcontext()
        with alone:
            history = self.history()
            found = [*defaults(self.experiment, history), *winners(self.experiment, history)]
            trials = list({trial.key: trial for winner in found for trial in winner.trials}.values())
            self._begin(trials, [reported(self.experiment, winner)["setting"] for winner in found])
            done = self.store.finished([trial.key for trial in trials])
            self._remember()
            for winner in found:
                for trial in winner.trials:
                    self.store.tag(trial.key, reported(self.experiment, winner))
            self.plan = self._planned(trials, done)
            for event in sweep.execute(self.plan, self.executor, self.store, self.folder, self.experiment.device):
                self._take(event)
                yield event
            for winner in found:
                for trial in [trial for trial in winner.trials if trial.key in self.known]:
                    named = zip(self.named(), self.objectives(trial), strict=True)
                    self.store.tag(trial.key, {}, {f"own/{name}": number for name, number in named})

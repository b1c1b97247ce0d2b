"""The loop of a search: ask Optuna for settings, train them, and tell Optuna the outcomes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import chain
from typing import Self

import numpy as np
import pandas as pd
from filelock import FileLock
from pydantic import ValidationError

from farback.experiment import Search
from farback.kernels.precompile import precompile
from farback.records.counted_nouns import counted
from farback.runs.leased_work import LeasedWork
from farback.runs.schedule import Plan, Remaining, plan
from farback.runs.search.evaluation import Evaluation, report_tags, search_views
from farback.runs.search.objectives import value
from farback.runs.search.optuna_history import frame
from farback.runs.search.study import SILENT_SECONDS, GroupStudy, TakenTrial
from farback.runs.search.winners import defaults, winners
from farback.runs.session import Session
from farback.runs.sweep import execute, trained
from farback.stores.leases import Heartbeat
from farback.stores.retries import StoreFault
from farback.stores.studies import Storage
from farback.stores.views import MEAN, OWN
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Event, Failed, Finished, Paused, Progress, Pruned, Reused
from farback.trials.trial import Trial

POLL_SECONDS = 1.0  # between checks of what other processes have done
DURING_TRAINING = ("median", "hyperband")  # pruners that judge a training by `SKILL` before its end
SKILL = "valid/skill"
FIRST_SEEDS = 2  # trained at first if the pruner judges seed by seed: a single seed says too little


class SearchRun:
    """A search in an open session; other processes may run the same search. A context manager.

    `total` is the number of trials of each group; a larger number than before extends a finished search.
    """

    def __init__(self, session: Session, search: Search, storage: Storage, total: int) -> None:
        self.session, self.search, self.storage = session, search, storage
        self.store, self.executor = session.store, session.executor
        self.folder = session.checkpoints(search)
        self.studies = [GroupStudy(search, group, storage, total) for group in search.groups]
        self.recorder = self.store.begin(
            search.name, question=search.question, config_text=search.text, views=search_views(search)
        )
        self.work = LeasedWork(self.store, search.name, self.recorder, self.folder)
        self.heartbeat = Heartbeat(self._beat, SILENT_SECONDS / 6)
        self.beats = 0
        self.started = time.monotonic()
        self.queue: deque[Cohort] = deque()
        self.open: list[Evaluation] = []
        self.training: set[str] = set()  # keys that are queued or in training
        self.known: dict[str, tuple[str, pd.DataFrame]] = {}  # status and scores by key
        self.trained, self.reused, self.diverged = 0, 0, 0
        self.failures: list[Failed] = []
        self.plan = Plan(Remaining([], []), [])  # for the trainings on fresh seeds
        self.reported: dict[str, str] = {}  # the setting of each training on fresh seeds, by key

    def __enter__(self) -> Self:
        if not self.storage.is_local:  # other machines cannot see whether this process is alive
            self.heartbeat.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.heartbeat.stop()
        self.recorder.__exit__(kind, *error)

    def _beat(self) -> None:
        """Renew the heartbeat of every setting that this process trains."""
        self.beats += 1
        for one in list(self.open):
            one.study.note(one.taken.id, heartbeat=self.beats)

    def history(self) -> pd.DataFrame:
        """All of Optuna's trials so far, like `farback.search.history`, read from the studies of this run."""
        return frame(self.search, {study.group.label: study.trials() for study in self.studies})

    @property
    def total(self) -> int:
        """The number of trials of all groups."""
        return sum(study.total for study in self.studies)

    @property
    def done(self) -> int:
        """The number of trials that are complete, pruned, or failed without another attempt."""
        return self.total - sum(study.unfinished() for study in self.studies)

    # The search

    def events(self) -> Iterator[Event]:
        """Search until every slot of every group is done, by this process or others, or the time is used up."""
        self._read_store()
        try:
            while any(study.unfinished() for study in self.studies) and not self.is_over:
                idle = True
                events = trained(
                    self._cohorts(), self.executor, self.work, self.session.device, self.search.memory_bytes
                )
                for event in chain(events, self.work.finished_elsewhere()):
                    idle = False
                    self._take(event)
                    yield event
                self.queue.extend(self.work.retry())
                if idle:
                    time.sleep(POLL_SECONDS)  # other processes train the rest; if they die, this one continues
        except BaseException:
            with self.storage.retries.off(), suppress(StoreFault):  # else the next process finds them abandoned
                self._give_back()
            raise
        self._give_back()

    def _give_back(self) -> None:
        """Put the settings in training back into the queue."""
        while self.open:
            one = self.open.pop(0)
            one.study.fail(one.taken, "the search was stopped", blameless=True)

    @property
    def is_over(self) -> bool:
        """Whether the config's `budget` of minutes is spent, or the executor was asked to finish."""
        minutes = self.search.options.budget
        return self.executor.finishing or (minutes is not None and time.monotonic() - self.started > 60 * minutes)

    def _cohorts(self) -> Iterator[Cohort]:
        """Queued cohorts; when there are none, new settings for the group that is furthest behind."""
        while self.queue or self._ask():
            if self.queue:
                cohort = self.queue.popleft()
                precompile(trial.cell.kernel for trial in cohort.trials)
                yield cohort

    def _ask(self) -> bool:
        """Take a batch of settings and queue their trials; False if there are no more settings."""
        if self.is_over:
            return False
        for study in sorted(self.studies, key=lambda study: study.total - study.left()):
            taken = study.take(self.search.options.batch)
            if taken:
                evaluations = [one for each in taken if (one := self._evaluation(study, each))]
                self._enqueue(evaluations, [trial for one in evaluations for trial in one.queued])
                return True
        return False

    def _evaluation(self, study: GroupStudy, taken: TakenTrial) -> Evaluation | None:
        """Open the evaluation of a setting; None if it cannot be trained."""
        try:
            trials = [self.search.trial(study.group, taken.values, seed) for seed in self.search.search_seeds]
        except ValidationError as error:  # only the ends of each dimension were checked beforehand
            study.fail(taken, f"cannot be trained: {error.errors(include_url=False)[0]['msg']}", final=True)
            return None
        study.note(taken.id, keys=" ".join(trial.key for trial in trials))
        seed_by_seed = self.search.options.pruner == "wilcoxon"
        evaluation = Evaluation(study, taken, trials, trials[FIRST_SEEDS:] if seed_by_seed else [])
        self.open.append(evaluation)
        return evaluation

    def _enqueue(self, evaluations: Sequence[Evaluation], trials: Sequence[Trial]) -> None:
        """Queue trials of evaluations, except trials that have a result in the store."""
        new = list({trial.key: trial for trial in trials if trial.key not in self.training}.values())
        self.recorder.add(new)
        done = self.store.finished(self.search.name, [trial.key for trial in new])
        if done - self.known.keys():
            self._read_store()  # another process has trained them
        done &= self.known.keys()
        keys = {trial.key for trial in trials}
        for one in evaluations:
            for trial in one.trials:
                if trial.key in keys:
                    self.recorder.tag(trial.key, one.tags())
        to_train = self._planned(new, done)
        self.training |= {trial.key for trial in to_train.remaining.listed}
        self.queue.extend(to_train.cohorts)
        self.reused += len(done)
        for one in evaluations:
            self._advance(one)

    def _planned(self, trials: Sequence[Trial], done: set[str]) -> Plan:
        """The plan of the trials that are not done, with the checkpoints of earlier runs."""
        self.folder.forget(self.folder.keys() & done)
        start = self.folder.load(trial for trial in trials if trial.key not in done)
        return plan(Remaining.of(trials, done), self.executor.size, start)

    def _read_store(self) -> None:
        held = self.store.frame(self.search.name)
        self.known |= {str(key): (str(own["status"].iloc[0]), own) for key, own in held.groupby("key", sort=False)}

    # Outcomes

    def _take(self, event: Event) -> None:
        """Process one event; it may complete the evaluation of a setting."""
        if isinstance(event, Progress):
            if self.search.options.pruner in DURING_TRAINING and SKILL in event.metrics:
                self._judge(event)
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
            self._read_store()
            self.reused += 1
        concerned = [(one, trial) for one in self.open for trial in one.trials if trial.key == event.key]
        for one, trial in concerned:
            if isinstance(event, Failed):
                one.failures[event.key] = event.error
            elif isinstance(event, Pruned):  # pruned for another setting with the same values
                self._enqueue([one], [trial])
            self._advance(one)

    def _advance(self, one: Evaluation) -> None:
        """Tell Optuna the outcome of a setting when all of its seeds have ended, or queue its next seed."""
        pruner = self.search.options.pruner
        for trial in one.queued:
            if trial.key in self.known and trial.key not in one.values:
                one.values[trial.key] = self.objectives(trial)
                if pruner == "wilcoxon":
                    one.to_prune = one.study.should_prune(one.taken, one.values[trial.key][0], trial.seed)
        if not one.is_back or one not in self.open:
            return
        if one.failures:
            reason = next(iter(one.failures.values()))
            self._close(one, "failed", reason, one.study.fail(one.taken, reason))
        elif one.waiting and one.to_prune:
            reason = f"pruned by {pruner} after {len(one.values)} of {len(one.trials)} seeds"
            self._close(one, "pruned", reason, one.study.prune(one.taken, reason))
        elif one.waiting:
            self._enqueue([one], [one.waiting.pop(0)])
        else:
            self._close(one, "complete", "", one.study.complete(one.taken, one.means()))

    def _judge(self, event: Progress) -> None:
        """Let the pruner judge a setting by its seeds' mean validation skill, once all seeds have one."""
        for one in [one for one in self.open if event.key in {trial.key for trial in one.trials}]:
            one.skills.setdefault(event.step, {})[event.key] = min(1.0, max(0.0, event.metrics[SKILL]))
            latest = {key: skill for step in sorted(one.skills) for key, skill in one.skills[step].items()}
            current = one.skills[event.step]
            ended = {trial.key for trial in one.trials if trial.key in self.known}
            if len(current.keys() | ended) < len(one.trials):
                continue
            mean = float(np.mean([current.get(key, latest.get(key, 0.0)) for key in {*current, *ended}]))
            judged = mean if self.search.directions[0] == "maximize" else 1.0 - mean
            if one.study.should_prune(one.taken, judged, event.step):
                updates = counted(event.step, "update")
                reason = f"pruned by {self.search.options.pruner} after {updates}, at skill {mean:.3f}"
                self._close(one, "pruned", reason, one.study.prune(one.taken, reason))
                self._drop({trial.key for trial in one.trials})

    def _drop(self, keys: set[str]) -> None:
        """Stop training trials, except those that another setting needs."""
        unneeded = keys - {trial.key for other in self.open for trial in other.trials}
        queued = {key for cohort in self.queue for key in cohort.keys}
        self.queue = deque(left for cohort in self.queue for left in cohort.only(set(cohort.keys) - unneeded))
        self.training -= unneeded & queued
        self.executor.drop(unneeded - queued)

    def objectives(self, trial: Trial) -> list[float]:
        """The objectives of a trial that has a result."""
        return [value(objective, trial, *self.known[trial.key]) for objective in self.search.objectives]

    def _metrics(self, prefix: str, values: Sequence[float]) -> dict[str, float]:
        """Objectives as MLflow metrics."""
        names = [f"{prefix}/{objective.name}" for objective in self.search.objectives]
        return dict(zip(names, values, strict=True))

    def _close(self, one: Evaluation, state: str, reason: str, accepted: bool) -> None:
        """Tag the runs of a setting with its outcome, unless Optuna did not accept it (`GroupStudy.complete`)."""
        self.open.remove(one)
        if not accepted:
            return
        tags = {"optuna.state": state} | ({"optuna.reason": reason} if reason else {})
        metrics = {}
        if one.values and state != "failed":
            means = one.means()
            tags["optuna.value"] = ", ".join(f"{mean:.6g}" for mean in means)
            metrics = self._metrics(MEAN, means)
        for trial in one.queued:
            own = self._metrics(OWN, one.values[trial.key]) if trial.key in one.values else {}
            self.recorder.tag(trial.key, tags, {**metrics, **own})

    # The report

    def report_events(self) -> Iterator[Event]:
        """Train the winners with fresh seeds. With a local storage, one process at a time does this."""
        alone: AbstractContextManager[object] = nullcontext()
        if self.storage.path:
            alone = FileLock(f"{self.storage.path}.report.lock")
        with alone:
            history = self.history()
            reported = [*defaults(self.search, history), *winners(self.search, history)]
            tags = [report_tags(self.search, winner) for winner in reported]
            trials = list({trial.key: trial for winner in reported for trial in winner.trials}.values())
            self.recorder.add(trials, search_views(self.search, [own["setting"] for own in tags]))
            done = self.store.finished(self.search.name, [trial.key for trial in trials])
            self._read_store()
            for winner, own in zip(reported, tags, strict=True):
                for trial in winner.trials:
                    self.reported[trial.key] = own["setting"]
                    self.recorder.tag(trial.key, own)
            self.plan = self._planned(trials, done)
            for event in execute(self.plan, self.executor, self.work, self.session.device, self.search.memory_bytes):
                self._take(event)
                yield event
            for trial in trials:
                if trial.key in self.known:
                    self.recorder.tag(trial.key, {}, self._metrics(OWN, self.objectives(trial)))

"""Chooses the trials of one network by outcomes: lags one after another, and tuned settings before they are judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import pandas as pd
from typing_extensions import override

from farback import stats, tables
from farback.experiment.chosen_trials import CHOICE, JUDGED, ChosenTrials
from farback.stats.threshold_search import GROUP
from farback.tables.horizon_estimates import HorizonEstimate
from farback.trials.lags import AdaptiveLag
from farback.trials.trial import Trial

COARSER = 2.5  # settings are compared with this multiple of the precision
UNLIKELY = 0.05  # a setting is dropped when it is the best with less than this share of the largest probability
CHOICE_SEEDS = 3  # seeds of each setting at a listed lag, before one is chosen
TYPICAL_CHOICE, TYPICAL_JUDGED = 12, 30  # trainings at adaptive lags, before anything is known


@dataclass(frozen=True)
class Outcome:
    """Whether a trial learned its lag, the share of its updates that it needed, and its skill, at least 0."""

    passed: bool
    share: float = 1.0
    skill: float = 0.0


OutcomeOf = Callable[[Trial], Outcome | None]  # None: not trained yet


def outcomes(frame: pd.DataFrame) -> dict[str, Outcome]:
    """The outcomes of the trials in a frame of scores, by key, with the same rule as in every table.

    Trials that did not measure retention are left out. A trial that diverged has skill 0.
    """
    failed = {key: Outcome(False) for key in frame.loc[frame["status"] == "diverged", "key"]}
    frame = frame[frame["key"].isin(frame.loc[frame["measure"] == "retention", "key"])]
    if frame.empty:
        return failed
    tested = tables.tested(frame.drop(columns=["role", "tuned"], errors="ignore"), ("label",))
    own = tested[tested["lag"] == tested["trained_lag"]]
    rows = frame[(frame["measure"] == "training") & (frame["statistic"] == "updates")]
    updates = rows.groupby("key")["value"].max()
    steps = frame.drop_duplicates("key").set_index("key")["steps"]
    shares = (updates / steps.clip(lower=1)).clip(1e-6, 1).to_dict()  # steps may be 0, as of a reservoir
    skill = own["skill"].clip(lower=0.0).fillna(0.0)
    results = zip(own["key"], own["passed"], skill, strict=True)
    return failed | {key: Outcome(bool(passed), shares.get(key, 1.0), float(skill)) for key, passed, skill in results}


class NetworkSearch(ABC):
    """The trials of one network, chosen in batches: those that choose a setting, then those that judge it.

    The setting is judged on seeds that took no part in the choice.
    """

    def __init__(self, search: ChosenTrials) -> None:
        self.search = search
        self.trials: dict[str, Trial] = {}  # every trial that was chosen, by key
        self.batch: list[tuple[int, Trial]] = []  # the setting and the trial of each training that is awaited
        self.counts: Counter[tuple[str, int]] = Counter()  # trainings, by role and setting
        self.chosen = None if len(search.arms) > 1 else 0

    @property
    def finished(self) -> bool:
        """Whether no more trainings are needed."""
        return not self.batch

    @property
    def label(self) -> str:
        """The name of the network, without tuned settings."""
        return self.search.arms[0].label

    def advance(self, outcome_of: OutcomeOf) -> bool:
        """Use outcomes of whole batches, and choose the next trials. Returns whether there were such outcomes."""
        advanced = False
        while self.batch:
            found = [outcome_of(trial) for _, trial in self.batch]
            if any(one is None for one in found):
                break
            for (arm, trial), one in zip(self.batch, found, strict=True):
                assert one is not None
                self._tell(arm, trial, one)
                self.counts[self._role, arm] += 1
            self._choose()
            advanced = True
        return advanced

    @property
    def _role(self) -> str:
        return CHOICE if self.chosen is None else JUDGED

    def _add(self, arm: int, lag: int, number: int) -> None:
        trial = self.search.trial(arm, lag, number, self._role)
        self.trials[trial.key] = trial
        self.batch.append((arm, trial))

    @abstractmethod
    def _tell(self, arm: int, trial: Trial, outcome: Outcome) -> None:
        """Use the outcome of a trial of the batch."""

    @abstractmethod
    def _choose(self) -> None:
        """Choose the next batch; none if no more trainings are needed."""

    @property
    @abstractmethod
    def expected(self) -> int:
        """About how many more trainings are needed, those of the batch included."""

    @abstractmethod
    def progress(self) -> str:
        """What is known so far, for displays."""


class HorizonSearch(NetworkSearch):
    """The search for the horizon of one network.

    With tuned settings, each setting has a threshold search. After each round, settings that are unlikely to be the
    best are dropped. When one is left, or the others are known as coarsely as needed, the best one is chosen, and
    judged by a new search.
    """

    def __init__(self, search: ChosenTrials, adaptive: AdaptiveLag, outcome_of: OutcomeOf) -> None:
        super().__init__(search)
        self.adaptive = adaptive
        coarse = COARSER * adaptive.precision
        arms = range(len(search.arms)) if self.chosen is None else ()
        self.candidates = {arm: stats.ThresholdSearch(*search.ends, coarse) for arm in arms}
        self.judged = stats.ThresholdSearch(*search.ends, adaptive.precision)
        self._choose()
        self.advance(outcome_of)

    @override
    def _tell(self, arm: int, trial: Trial, outcome: Outcome) -> None:
        threshold = self.judged if self.chosen is not None else self.candidates[arm]
        threshold.tell(trial.lag, outcome.passed, outcome.share)

    @override
    def _choose(self) -> None:
        self.batch = []
        limit = self.adaptive.limit
        if self.chosen is None:
            best_A = stats.best_probabilities(list(self.candidates.values()))
            best = dict(zip(self.candidates, best_A, strict=True))
            largest = max(best.values())
            self.candidates = {arm: each for arm, each in self.candidates.items() if best[arm] >= UNLIKELY * largest}
            unknown = [
                arm for arm, each in self.candidates.items() if not each.done and self.counts[CHOICE, arm] < limit // 2
            ]
            if len(self.candidates) > 1 and unknown:
                for arm in unknown:
                    self._ask(arm, self.candidates[arm])
                return
            self.chosen = max(best, key=best.__getitem__)  # of equal ones the first
        if not self.judged.done and self.counts[JUDGED, self.chosen] < limit:
            self._ask(self.chosen, self.judged)

    def _ask(self, arm: int, threshold: stats.ThresholdSearch) -> None:
        for number, lag in enumerate(threshold.ask(GROUP), self.counts[self._role, arm]):
            self._add(arm, lag, number)

    @property
    @override
    def expected(self) -> int:
        if self.finished:
            return 0
        if self.chosen is not None:
            return max(GROUP, TYPICAL_JUDGED - self.counts[JUDGED, self.chosen])
        return TYPICAL_JUDGED + sum(max(GROUP, TYPICAL_CHOICE - self.counts[CHOICE, arm]) for arm in self.candidates)

    @override
    def progress(self) -> str:
        """For example "26 (21 to 33)" or "at least 320", or how many settings are left."""
        if self.chosen is None:
            return f"choosing among {len(self.candidates)} settings"
        if not self.counts[JUDGED, self.chosen]:
            return "0 trainings"
        result = self.judged.result()
        lags = [trial.lag for trial in self.trials.values() if trial.role and trial.role[0] == JUDGED]
        return str(HorizonEstimate(result.estimate, result.low, result.high, min(lags), max(lags)))


class SkillSearch(NetworkSearch):
    """The choice of a setting at a listed lag: the one with the largest mean skill on `CHOICE_SEEDS` seeds.

    All settings have the same seeds; of equally good ones the first is chosen. It is judged on the listed seeds,
    shifted.
    """

    def __init__(self, search: ChosenTrials, outcome_of: OutcomeOf) -> None:
        super().__init__(search)
        self.skills: dict[int, list[float]] = {arm: [] for arm in range(len(search.arms))}
        self.passed = 0  # of those that judge
        self._choose()
        self.advance(outcome_of)

    @override
    def _tell(self, arm: int, trial: Trial, outcome: Outcome) -> None:
        if self.chosen is None:
            self.skills[arm].append(outcome.skill)
        else:
            self.passed += outcome.passed

    @override
    def _choose(self) -> None:
        self.batch = []
        lag = self.search.ends[0]
        if self.chosen is None and not self.counts:
            for arm in self.skills:
                for number in range(CHOICE_SEEDS):
                    self._add(arm, lag, number)
            return
        if self.chosen is None:
            self.chosen = max(self.skills, key=lambda arm: fmean(self.skills[arm]))  # of equal ones the first
        if not self.counts[JUDGED, self.chosen]:
            for number in self.search.judged:
                self._add(self.chosen, lag, number)

    @property
    @override
    def expected(self) -> int:
        return len(self.batch) + (len(self.search.judged) if self.chosen is None else 0)

    @override
    def progress(self) -> str:
        """For example "lag 30: 4 of 5 succeed", or how many settings there are."""
        if self.chosen is None:
            known = f"choosing among {len(self.skills)} settings"
        else:
            known = f"{self.passed} of {self.counts[JUDGED, self.chosen]} succeed"
        return f"lag {self.search.ends[0]}: {known}"


def network_search(search: ChosenTrials, outcome_of: OutcomeOf) -> NetworkSearch:
    """The search of the kind that fits the network: for its horizon, or for a setting at its listed lag."""
    if search.adaptive:
        return HorizonSearch(search, search.adaptive, outcome_of)
    return SkillSearch(search, outcome_of)

"""Chooses the lags of a sweep's networks one after another, and the tuned setting of each network before it is judged.

The choices depend on outcomes alone, in an order that does not depend on the run: the trials of a batch are all told
before the next batch is chosen. So a run that was stopped repeats its choices from the recorded outcomes, and the
number of workers changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from farback import stats, tables
from farback.experiment.lag_search import CHOICE, JUDGED, LagSearch
from farback.stats.threshold_search import GROUP
from farback.trials.events import Event, Finished, Halted, TrialResult
from farback.trials.trial import Trial

COARSER = 2.5  # settings are compared with this multiple of the precision
UNLIKELY = 0.05  # a setting is dropped when it is the best with less than this share of the largest probability
TYPICAL_CHOICE, TYPICAL_JUDGED = 9, 30  # trainings, before anything is known
TYPICAL_SLOPE, TYPICAL_SHARE = 4.0, 0.4  # of success rates, and of the budget that a success uses, in estimates of time


@dataclass(frozen=True)
class Outcome:
    """Whether a trial learned its lag, and the share of its updates that it needed."""

    passed: bool
    share: float = 1.0


OutcomeOf = Callable[[Trial], Outcome | None]  # None: not trained yet


def outcomes(frame: pd.DataFrame) -> dict[str, Outcome]:
    """The outcomes of the trials in a frame of scores, by key, with the same rule as in every table of horizons.

    Trials that did not measure retention are left out.
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
    shares = (updates / steps).clip(1e-6, 1).to_dict()
    pairs = zip(own["key"], own["passed"], strict=True)
    return failed | {key: Outcome(bool(passed), shares.get(key, 1.0)) for key, passed in pairs}


def with_columns(trial: Trial, result: TrialResult) -> pd.DataFrame:
    """A trial's result as rows of a store's frame."""
    columns = {name: value for name, value in trial.columns().items() if name not in result.scores}
    return result.scores.assign(**columns, status=result.status)


class NetworkSearch:
    """The search for the horizon of one network.

    With tuned settings, each setting has a threshold search. After each round, settings that are unlikely to be the
    best are dropped. When one is left, or the others are known as coarsely as needed, the best one is chosen, and
    judged by a new search on seeds that took no part in the choice.
    """

    def __init__(self, search: LagSearch, outcome_of: OutcomeOf) -> None:
        self.search = search
        self.trials: dict[str, Trial] = {}  # every trial that was chosen, by key
        self.batch: list[tuple[int, Trial]] = []  # the setting and the trial of each training that is awaited
        self.counts: Counter[tuple[str, int]] = Counter()  # trainings, by role and setting
        several = len(search.arms) > 1
        coarse = COARSER * search.adaptive.precision
        self.candidates = {
            arm: stats.ThresholdSearch(*search.ends, coarse) for arm in range(len(search.arms)) if several
        }
        self.chosen = None if several else 0
        self.judged = stats.ThresholdSearch(*search.ends, search.adaptive.precision)
        self._choose()
        self.advance(outcome_of)

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
                threshold = self.judged if self.chosen is not None else self.candidates[arm]
                threshold.tell(trial.lag, one.passed, one.share)
                self.counts[self._role, arm] += 1
            self._choose()
            advanced = True
        return advanced

    @property
    def _role(self) -> str:
        return CHOICE if self.chosen is None else JUDGED

    def _choose(self) -> None:
        """Choose the next batch; none if the horizon is known well enough."""
        self.batch = []
        limit = self.search.adaptive.limit
        if self.chosen is None:
            best_A = stats.best_probabilities(list(self.candidates.values()))
            best = dict(zip(self.candidates, best_A, strict=True))
            largest = max(best.values())
            self.candidates = {arm: each for arm, each in self.candidates.items() if best[arm] >= UNLIKELY * largest}
            unknown = [
                arm for arm, each in self.candidates.items() if not each.done and self.counts[CHOICE, arm] < limit // 4
            ]
            if len(self.candidates) > 1 and unknown:
                for arm in unknown:
                    self._add(arm, self.candidates[arm])
                return
            self.chosen = max(best, key=best.__getitem__)  # of equal ones the first
        if not self.judged.done and self.counts[JUDGED, self.chosen] < limit:
            self._add(self.chosen, self.judged)

    def _add(self, arm: int, threshold: stats.ThresholdSearch) -> None:
        for number, lag in enumerate(threshold.ask(GROUP), self.counts[self._role, arm]):
            trial = self.search.trial(arm, lag, number, self._role)
            self.trials[trial.key] = trial
            self.batch.append((arm, trial))

    @property
    def expected(self) -> int:
        """About how many more trainings are needed."""
        if self.finished:
            return 0
        if self.chosen is not None:
            return max(GROUP, TYPICAL_JUDGED - self.counts[JUDGED, self.chosen])
        return TYPICAL_JUDGED + sum(max(GROUP, TYPICAL_CHOICE - self.counts[CHOICE, arm]) for arm in self.candidates)

    def progress(self) -> str:
        """What is known so far, for displays: "26 (21 to 33)", or how many settings are left."""
        if self.chosen is None:
            return f"choosing among {len(self.candidates)} settings"
        if not self.counts[JUDGED, self.chosen]:
            return "0 trainings"
        result = self.judged.result()
        numbers = [f"{end:.0f}" for end in (result.estimate, result.low, result.high)]
        return "{} ({} to {})".format(*numbers)


class AdaptiveLags:
    """The searches of all networks of a sweep, and which trials to train next."""

    def __init__(self, searches: Iterable[LagSearch], known: Mapping[str, Outcome]) -> None:
        self.known = dict(known)
        self.networks = [NetworkSearch(search, self._outcome_of) for search in searches]
        self.failed: set[str] = set()  # trials that got no result: their networks wait for the next run
        self.trials: dict[str, Trial] = {}
        self.unread: dict[str, pd.DataFrame] = {}  # results of batches that are not complete, by key
        self._update()

    def _outcome_of(self, trial: Trial) -> Outcome | None:
        return self.known.get(trial.key)

    def _update(self) -> None:
        self.trials = {key: trial for network in self.networks for key, trial in network.trials.items()}

    def add(self, event: Event) -> bool:
        """Process an event. Returns whether `due` changed."""
        if event.key not in self.trials or not isinstance(event, Halted):
            return False
        if not isinstance(event, Finished):
            self.failed.add(event.key)
            return False
        self.unread[event.key] = with_columns(self.trials[event.key], event.result)
        return self._advance()

    def add_outcomes(self, new: Mapping[str, Outcome]) -> bool:
        """Process outcomes by key. Returns whether `due` changed."""
        self.known |= new
        return self._advance()

    def _advance(self) -> bool:
        for network in self.networks:
            batch = {trial.key for _, trial in network.batch}
            if batch & self.unread.keys() and batch <= self.unread.keys() | self.known.keys():
                frames = [self.unread.pop(key) for key in sorted(batch & self.unread.keys())]
                self.known |= outcomes(pd.concat(frames))  # takes no longer than for one of them
        advanced = [network.advance(self._outcome_of) for network in self.networks]
        if any(advanced):
            self._update()
        return any(advanced)

    def due(self) -> list[Trial]:
        """The trials to train next."""
        batches = [trial for network in self.networks for _, trial in network.batch]
        return [t for t in dict.fromkeys(batches) if t.key not in self.known and t.key not in self.failed]

    @property
    def finished(self) -> bool:
        """Whether no more trainings are needed."""
        return all(network.finished for network in self.networks)

    @property
    def expected(self) -> int:
        """About how many more trainings are needed."""
        return sum(network.expected for network in self.networks)

    def simulated(self, longest: bool = False) -> list[Trial]:
        """The trials that may still be trained, for estimates of time: as if each horizon were in the middle.

        If `longest`, as if each horizon were the largest lag.
        """
        trials: list[Trial] = []
        for network in self.networks:
            low, high = network.search.ends
            half = high if longest else np.sqrt(low * high)

            def made_up(trial: Trial, half: float = half) -> Outcome:
                rate = 1 / (1 + (trial.lag / half) ** TYPICAL_SLOPE)
                passed = np.random.default_rng([trial.seed, trial.lag]).random() < rate
                return self._outcome_of(trial) or Outcome(bool(passed), TYPICAL_SHARE)

            trials += NetworkSearch(network.search, made_up).trials.values()
        return [trial for trial in dict.fromkeys(trials) if trial.key not in self.known]

    def note(self) -> str:
        """How lags and settings were chosen, for a page; empty without adaptive lags."""
        if not self.networks:
            return ""
        counts: Counter[str] = sum((self._counted(network) for network in self.networks), Counter())
        ends = sorted({(one.search.adaptive.precision, one.search.adaptive.limit) for one in self.networks})
        rules = " or ".join(f"at most {precision:g} octaves, or after {limit} trainings" for precision, limit in ends)
        parts = [
            f"The lags of {len(self.networks)} networks were chosen one after another, each where a training tells "
            "most about the horizon for the time it costs. Every training has a seed of its own."
        ]
        if counts[CHOICE]:
            parts.append(
                f"The tuned setting of each network is the one with the longest horizon in {counts[CHOICE]} trainings "
                "of a first set of seeds, which are not counted further."
            )
        parts.append(
            f"The {counts[JUDGED]} trainings that are counted end when the standard deviation of a network's horizon "
            f"is {rules}."
        )
        if left := sum(not network.finished for network in self.networks):
            parts.append(f"{left} networks are not finished.")
        return " ".join(parts)

    def _counted(self, network: NetworkSearch) -> Counter[str]:
        counted: Counter[str] = Counter()
        for (role, _), count in network.counts.items():
            counted[role] += count
        return counted

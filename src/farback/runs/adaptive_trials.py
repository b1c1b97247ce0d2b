"""Chooses trials of a sweep's networks during a run: adaptive lags, and the tuned setting of each network.

The choices depend on outcomes alone, in an order that does not depend on the run: the trials of a batch are all told
before the next batch is chosen. So a run that was stopped repeats its choices from the recorded outcomes, and the
number of workers changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from farback.experiment.chosen_trials import CHOICE, JUDGED, ChosenTrials
from farback.records.counted_nouns import counted
from farback.runs.network_search import (
    CHOICE_SEEDS,
    HorizonSearch,
    NetworkSearch,
    Outcome,
    SkillSearch,
    network_search,
    outcomes,
)
from farback.trials.events import Event, Finished, Halted, TrialResult
from farback.trials.trial import Trial

TYPICAL_SLOPE, TYPICAL_SHARE = 4.0, 0.4  # of success rates, and of the budget that a success uses, in estimates of time
GOLDEN = (5**0.5 - 1) / 2  # multiples of it modulo 1 are spread evenly, however many there are


def with_columns(trial: Trial, result: TrialResult) -> pd.DataFrame:
    """A trial's result as rows of a store's frame."""
    columns = {name: value for name, value in trial.columns().items() if name not in result.scores}
    return result.scores.assign(**columns, status=result.status)


class AdaptiveTrials:
    """The searches of a sweep's networks with adaptive lags or tuned settings, and which trials to train next."""

    def __init__(self, searches: Iterable[ChosenTrials], known: Mapping[str, Outcome]) -> None:
        self.known = dict(known)
        self.networks = [network_search(search, self._outcome_of) for search in searches]
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
        """How many more trainings are needed; with adaptive lags, about."""
        known = sum(trial.key in self.known for network in self.networks for _, trial in network.batch)
        return sum(network.expected for network in self.networks) - known

    @property
    def chooses_lags(self) -> bool:
        """Whether some of the lags are adaptive, so that the number of trainings is not known before."""
        return any(isinstance(network, HorizonSearch) for network in self.networks)

    def simulated(self, longest: bool = False) -> list[dict[Trial, float]]:
        """The trials that may still be trained, as if the horizons lay at all octaves alike; for estimates of time.

        Each item has the next batch of every network, and the share of its updates that each trial is expected to
        need. If `longest`, the horizons are taken to be the largest lag.
        """
        rounds: list[dict[Trial, float]] = []
        for place, network in enumerate(self.networks):
            low, high = np.maximum(network.search.ends, 1)
            half = high if longest else low * (high / low) ** ((0.5 + place * GOLDEN) % 1)
            search = network_search(network.search, self._outcome_of)
            number = 0
            while not search.finished:
                if number == len(rounds):
                    rounds.append({})
                batch = {trial: self._outcome_of(trial) or _made_up(trial, half) for _, trial in search.batch}
                new = {trial: outcome.share for trial, outcome in batch.items() if trial.key not in self.known}
                rounds[number] |= new
                search.advance(batch.get)  # the batch after it is not told yet
                number += 1
        return rounds

    def note(self) -> str:
        """How lags and settings were chosen, for a page; empty if the config lists all trials."""
        horizons = [network for network in self.networks if isinstance(network, HorizonSearch)]
        skills = [network for network in self.networks if isinstance(network, SkillSearch)]
        parts = [_lags_note(horizons)] * bool(horizons) + [_settings_note(skills)] * bool(skills)
        if left := sum(not network.finished for network in self.networks):
            parts.append(f"{counted(left, 'network')} {'is' if left == 1 else 'are'} not finished.")
        return " ".join(parts)


def _made_up(trial: Trial, half: float) -> Outcome:
    """An outcome of a network with this half-way lag, the same at every call."""
    rate = 1 / (1 + (trial.lag / half) ** TYPICAL_SLOPE)
    passed = bool(np.random.default_rng([trial.seed, trial.lag]).random() < rate)
    return Outcome(passed, TYPICAL_SHARE if passed else 1.0, float(passed))


def _lags_note(networks: Sequence[HorizonSearch]) -> str:
    counts = _counted(networks)
    ends = sorted({(one.adaptive.precision, one.adaptive.limit) for one in networks})
    rules = " or ".join(f"at most {precision:g} octaves, or after {limit} trainings" for precision, limit in ends)
    parts = [
        f"The lags of {counted(len(networks), 'network')} were chosen one after another, each where a training tells "
        "most about the horizon for the time it costs. Every training has a seed of its own."
    ]
    if counts[CHOICE]:
        parts.append(
            f"The tuned setting of each network is the one that was most probably the best after {counts[CHOICE]} "
            "trainings of a first set of seeds, which are not counted further."
        )
    parts.append(
        f"The {counts[JUDGED]} trainings that are counted end when the standard deviation of a network's horizon "
        f"is {rules}."
    )
    return " ".join(parts)


def _settings_note(networks: Sequence[SkillSearch]) -> str:
    counts = _counted(networks)
    return (
        f"Each network has its tuned setting chosen at each lag of each task ({len(networks)} choices): the setting "
        f"with the largest mean skill on {CHOICE_SEEDS} seeds. These {counts[CHOICE]} trainings are not counted "
        f"further. The {counts[JUDGED]} trainings that are counted have other seeds."
    )


def _counted(networks: Sequence[NetworkSearch]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for network in networks:
        for (role, _), count in network.counts.items():
            counted[role] += count
    return counted

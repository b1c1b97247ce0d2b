"""A sweep with settings that are tuned at listed lags: which setting is chosen, what is trained, and what is shown."""

import math
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import farback
from farback.executors import Serial, base
from farback.experiment import Experiment, Sweep
from farback.experiment.chosen_trials import JUDGED_SEEDS
from farback.records.user_error import UserError
from farback.runs.network_search import outcomes
from farback.runs.schedule import missing_from_frame
from farback.runs.sweep import checked_sweep
from farback.runs.sweep_page import publish, subject
from farback.stores.memory import Memory
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Finished, TrialResult, scores
from farback.trials.trial import Trial
from open_sweeps import recorded_events, sweep_run
from some import one_in, some

CONFIG = """
name: small
question: Which is better?
base:
  task: {name: recall, symbols: 2, filler: blank}
  hidden: 8
  batch: 8
  steps: 20
  evaluate_every: 10
sweep:
  - cell: [gru, memoryless]
    lag: [1, 4]
    tune: {optimizer.lr: [1.0e-3, 1.0e-2, 1.0e-1]}
    seed: [0, 1]
"""
RATES = (1e-3, 1e-2, 1e-1)
SKILLS = {  # of each rate with the three seeds that choose; None: diverged
    ("gru", 1): ((0.5, 0.5, 0.5), (0.9, 0.9, None), (0.8, 0.0, 0.6)),  # means .5, .6, .47
    ("gru", 4): ((0.4, 0.4, 0.4), (0.7, -9.0, 0.6), (0.1, 0.1, 0.2)),  # below chance is 0: .4, .43, .13
    ("memoryless", 1): ((-2.0, -3.0, None), (-0.1, -0.1, -0.1), (0.0, 0.0, 0.0)),  # all equal: the first
    ("memoryless", 4): ((None, None, None), (0.0, 0.0, 0.1), (0.0, 0.1, 0.0)),  # the first of two equal ones
}
BEST = {("gru", 1): 1, ("gru", 4): 1, ("memoryless", 1): 0, ("memoryless", 4): 1}


def config(folder: Path, text: str = CONFIG) -> Sweep:
    (folder / "configs").mkdir(exist_ok=True)
    path = folder / "configs" / "small.yaml"
    path.write_text(text)
    return checked_sweep(Experiment.load(path))


def ended(trial: Trial) -> Finished:
    """A made-up result; what judges is far better with the settings that are not chosen."""
    arm = RATES.index(float(trial.optimizer.spec()["lr"]))
    network = trial.cell.name, trial.lag
    skill = SKILLS[network][arm][trial.seed] if trial.seed < JUDGED_SEEDS else float(arm != BEST[network])
    if skill is None:
        return Finished(TrialResult(trial.key, scores([("training", 20, -1, "updates", 3.0)]), "diverged"))
    values = {"skill": skill, "success": float(skill >= 0.5)}
    rows = [("retention", 20, trial.lag, name, number) for name, number in values.items()]
    return Finished(TrialResult(trial.key, scores([*rows, ("training", 20, -1, "updates", 20.0)]), "finished"))


class OutOfOrder(Serial):
    """Made-up workers: cohorts end in another order than they began, the newest first."""

    @property
    def size(self) -> int:
        return 3

    def map(self, function: Any, items: Any) -> Iterator[tuple[Cohort, Event]]:
        queue, busy = base.CohortQueue(items), deque[tuple[Cohort, list[Trial]]]()
        while True:
            while len(busy) < 3 and (cohort := queue.take()) is not None:
                busy.append((cohort, list(cohort.trials)))
            if not busy:
                return
            cohort, trials = busy.pop()
            yield cohort, ended(trials.pop())
            if trials:
                busy.appendleft((cohort, trials))


class MadeUp(Serial):
    """Trains nothing: every trial ends with its made-up result."""

    def map(self, function: Any, items: Any) -> Iterator[tuple[Cohort, Event]]:
        for cohort in items:
            yield from ((cohort, ended(trial)) for trial in cohort.trials)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The frame after a run that was not stopped."""
    sweep, store = config(tmp_path_factory.mktemp("complete")), Memory()
    assert farback.run(sweep, executor=MadeUp(), store=store).trained == 4 * (3 * 3 + 2)
    return farback.frame(sweep, store)


def test_the_setting_with_the_largest_mean_skill_is_judged_on_other_seeds(complete: pd.DataFrame) -> None:
    trials = complete.drop_duplicates("key")
    for (cell, lag), own in trials.groupby(["cell.name", "trained_lag"]):
        judged, choice = own[own["role"] == "judged"], own[own["role"] == "choice"]
        assert set(judged["tuned"]) == {f"optimizer.lr {RATES[BEST[cell, lag]]:g}"}
        assert judged["seed"].tolist() == [JUDGED_SEEDS, JUDGED_SEEDS + 1]
        assert sorted(zip(choice["optimizer.lr"], choice["seed"], strict=True)) == [
            (rate, seed) for rate in RATES for seed in range(3)
        ]


def test_outcomes_have_the_skill_of_the_tables(complete: pd.DataFrame) -> None:
    found = outcomes(complete)
    judged = farback.tables.skills(complete, ["cell"])
    keys = complete[complete["role"] == "judged"].drop_duplicates("key")["key"]
    assert sorted(found[key].skill for key in keys) == sorted(judged["skill"])
    assert {one.skill for key, one in found.items() if key not in set(keys)} <= {
        max(0.0, skill or 0.0) for arms in SKILLS.values() for arm in arms for skill in arm
    }


def test_a_network_without_updates_needed_a_share_of_them_that_a_threshold_search_accepts(
    complete: pd.DataFrame,
) -> None:
    never = complete.assign(steps=0, value=complete["value"].mask(complete["statistic"] == "updates", 0.0))
    assert {0 < one.share <= 1 for one in outcomes(never).values()} == {True}


@pytest.mark.parametrize("count", some([20, 1, 38], one_in(3)))
def test_stopped_at_any_instant_the_next_run_makes_the_same_choices(
    tmp_path: Path, complete: pd.DataFrame, count: int
) -> None:
    sweep, store = config(tmp_path), Memory()
    stream = recorded_events(sweep_run(sweep, store, MadeUp()))
    for _, _event in zip(range(count), stream, strict=False):
        pass
    stream.close()
    before = store.frame("small")["key"].nunique()
    left = missing_from_frame(store.frame("small"), sweep, sweep.trials())
    assert (left.reused, left.amount) == (before, f"{44 - before}")  # exact, not "about"
    rest = farback.run(sweep, executor=OutOfOrder(), store=store)
    assert (rest.reused, rest.trained) == (before, 44 - before)
    pd.testing.assert_frame_equal(farback.frame(sweep, store), complete, check_exact=True)


def test_what_may_be_trained_is_as_much_as_a_run_trains(tmp_path: Path) -> None:
    what = sweep_run(config(tmp_path, CONFIG.replace("[1, 4]", "[0, 4]")), Memory()).plan.remaining
    assert len(what.due()) == 36
    assert what.expected == 44
    for longest in (False, True):
        assert sum(map(len, what.adaptive.simulated(longest))) == 44
    assert what.adaptive.networks[0].progress() == "lag 0: choosing among 3 settings"


def test_a_real_sweep_is_resumed_bit_for_bit_and_its_page_shows_the_choices(tmp_path: Path) -> None:
    sweep, stopped, whole = config(tmp_path, CONFIG.replace("gru, memoryless", "gru")), Memory(), Memory()
    farback.run(sweep, workers=1, store=whole)
    for count in (5, 20):  # 18 trials choose
        stream = recorded_events(sweep_run(sweep, stopped))
        for event in stream:
            if isinstance(event, Finished) and stopped.frame("small")["key"].nunique() == count:
                break
        stream.close()
        about = subject(sweep, stopped, stopped.frame("small"))
        assert about.missing > 0
        assert "not finished" in about.chosen
        if count == 5:
            with pytest.raises(UserError, match="no network is judged yet; train the rest with: farback run"):
                publish(sweep, stopped)
        else:
            assert "choices" in [table.name for table in publish(sweep, stopped).analysis.tables]
    farback.run(sweep, workers=1, store=stopped)
    pd.testing.assert_frame_equal(farback.frame(sweep, stopped), farback.frame(sweep, whole), check_exact=True)
    page = publish(sweep, whole)
    (choices,) = [table for table in page.analysis.tables if table.name == "choices"]
    assert choices.shown["lag"].tolist() == ["1", "4"]
    frame = farback.frame(sweep, whole)
    for row in choices.frame.to_dict("records"):
        own = frame[(frame["role"] == "choice") & (frame["tuned"] == row["tuned"])]
        own = own[(own["trained_lag"] == row["smallest_lag"]) & (own["statistic"] == "skill")]
        last = own[(own["measure"] == "retention") & (own["lag"] == own["trained_lag"])]
        assert row["skill"] == pytest.approx(math.fsum(max(0.0, value) for value in last["value"]) / 3)
    text = page.report.read_text()
    assert "18 trainings are not counted further" in text
    assert "Rates tried: the mean skill of each" in text

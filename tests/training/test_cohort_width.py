"""The width of a cohort: enough replicas to make the fixed cost small, and no more than fit into memory."""

from typing import Any

import pytest

from farback.experiment import Experiment
from farback.runs.schedule import Remaining, plan
from farback.runs.sweep import checked_sweep
from farback.training import cohort_width
from farback.training.cohort_width import MOST, MOST_BYTES, replica_bytes, width
from farback.training.replicas import Replicas
from farback.trials.trial import Trial


def trial(**fields: Any) -> Trial:
    return Trial.model_validate({"task": "recall", "lag": 20, "cell": "elman", "hidden": 32, **fields})


def test_small_networks_train_in_wide_cohorts_and_large_ones_in_narrow_ones() -> None:
    widths = [width(trial(hidden=hidden)) for hidden in (8, 32, 128, 512)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 20
    assert widths[-1] == 1
    lags = [width(trial(lag=lag)) for lag in (5, 50, 500)]
    assert lags == sorted(lags, reverse=True)
    assert width(trial(cell="lstm")) < width(trial())


@pytest.mark.parametrize(("hidden", "fields"), [(16, {}), (64, {"truncate": 10})])
def test_the_fixed_cost_is_a_small_share_of_an_update(hidden: int, fields: dict[str, Any]) -> None:
    each = trial(hidden=hidden, **fields)
    steps, replicas = 22, width(each)
    assert 4 < replicas < MOST
    one, fixed = cohort_width.replica_seconds(each, steps), cohort_width.fixed_seconds(each)
    share = fixed / (fixed + replicas * one)
    assert share == pytest.approx(cohort_width.SHARE, rel=0.35)  # replicas are rounded and steps are approximate


def test_cohorts_are_wide_where_each_update_or_the_start_costs_much() -> None:
    assert width(trial(truncate=10)) > 4 * width(trial())  # one by one, not many updates in one call
    assert width(trial(steps=1)) == MOST


def test_memory_limits_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort_width, "START_SECONDS", 1e6)  # so that nothing else limits it
    large = trial(cell="lstm", hidden=128, lag=500, batch=128)
    assert width(large) == 1
    assert width(trial()) == MOST
    long = trial(lag=500)
    assert 1 < width(long) < MOST
    assert width(long) * replica_bytes(long, 512) < 1.1 * MOST_BYTES


def test_the_estimated_memory_of_a_replica_is_close_to_that_of_its_tensors() -> None:
    """Of its data and parameters; the memory for the backward pass cannot be counted."""
    one = trial(lag=100)
    replicas = Replicas([one])
    replicas.training.next()
    tensors = [part for batch in replicas.training.queued for part in batch]
    tensors += [*replicas.validation[0], replicas.theta_RP, *replicas.moments.values()]
    counted = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    steps = replicas.validation[0].x_RTBI.shape[1]
    kept = 2 * one.batch * steps * one.hidden * 3 * cohort_width.FLOAT
    assert counted < replica_bytes(one, steps) - kept < 4 * counted


def test_a_plan_uses_the_computed_width() -> None:
    trials = [trial(hidden=512, lag=100, seed=seed) for seed in range(4)] + [
        trial(hidden=8, steps=1, seed=seed) for seed in range(80)
    ]
    what = Remaining.of(trials, set())
    few = plan(what).cohorts
    assert [len(cohort.trials) for cohort in few if cohort.trials[0].hidden == 512] == [1, 1, 1, 1]
    assert max(len(cohort.trials) for cohort in few) == MOST
    many = plan(what, workers=40).cohorts
    assert len(many) >= 80  # narrow ones, so that no worker is idle


def test_cohorts_of_horizon_fit_into_a_worker() -> None:
    trials = checked_sweep(Experiment.load("configs/horizon.yaml")).trials()
    for cohort in plan(Remaining.of(trials, set()), workers=2).cohorts:
        first = cohort.trials[0]
        assert len(cohort.trials) * replica_bytes(first, first.lag + 30) < MOST_BYTES

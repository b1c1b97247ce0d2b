"""Laws of every measure: it can be taken on every task and cell, and replicas do not affect each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farback import cells, inits, measures, tasks
from farback.measures.base import Measure, MeasureRow
from farback.networks.network import Architecture, Network, draw
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.trial import Trial
from named_alone import named_alone

SMALL = {
    "sequences": 60,
    "length": 150,
    "washout": 10,
    "max_lag": 12,
    "starts": 16,
    "steps": 40,
}  # applied to measures with such a field

# The short suite runs every measure on a few cells and tasks, and every cell and task with a few measures: those that
# use different code paths. All other pairs are slow tests.
CELLS, TASKS = {"elman", "lstm", "lru"}, {"recall", "adding", "lightning", "kernel"}
CELL_MEASURES, TASK_MEASURES = {"retention", "gradient_reach", "memory_function"}, {"retention", "causal_reach"}


def pairs(components: Sequence[str], few_components: set[str], few_measures: set[str]) -> list[Any]:
    """Every measure with every component; a pair is slow if neither is among the few."""
    return [
        pytest.param(name, each, marks=[] if each in few_components or name in few_measures else pytest.mark.slow)
        for name in measures.names()
        for each in components
    ]


def small(name: str) -> Measure:
    own = measures.FAMILY.plugin(name).model_fields
    fields = {key: value for key, value in SMALL.items() if key in own}
    if "sequences" in own:
        fields.pop("length", None)  # `length` is then the lag of the sequences
    return measures.build({"name": name, **fields})


def replicas(cell: Any, task: Any, hidden: int = 6, **fields: Any) -> Network:
    if cell.name == "shift_register":
        hidden = 2 * task.inputs
    architecture = Architecture(cell, task.inputs, hidden, task.answer.outputs, **fields)
    return draw(architecture, [inits.build("torch")] * 2, [4, 5], task.lag)


def fits(measure: Measure, task: Any) -> bool:
    try:
        measure.check(task)
    except ValueError:
        return False
    return True


def check(measure: Measure, network: Network, task: Any) -> list[list[MeasureRow]]:
    """Rows of two replicas, equal to those of each replica alone; none if the measure does not apply to the task."""
    if not fits(measure, task):
        return []
    packed = measure.rows(network, task, [4, 5], lambda: network)
    alone = [measure.rows(network.replica(r), task, [4 + r], lambda r=r: network.replica(r))[0] for r in range(2)]
    assert repr(alone) == repr(packed)
    for rows in packed:
        assert all(isinstance(row.lag, int) and isinstance(row.value, int | float) for row in rows)
        assert len({(row.lag, row.statistic) for row in rows}) == len(rows)
    return packed


@pytest.mark.parametrize(("name", "cell"), pairs(cells.names(), CELLS, CELL_MEASURES))
def test_every_cell_can_be_measured(cell: str, name: str) -> None:
    task = tasks.build({"name": "recall", "lag": 5})
    check(small(name), replicas(cells.build(cell), task), task)


@pytest.mark.parametrize(("name", "task"), pairs(named_alone(tasks), TASKS, TASK_MEASURES))
def test_every_task_can_be_measured_on(task: str, name: str) -> None:
    own = tasks.build(task)
    own = own.at(max(own.least, min(own.lag, 9)))
    check(small(name), replicas(cells.build("elman"), own), own)


@pytest.mark.parametrize("has_lags", [False, True])
@pytest.mark.parametrize("name", measures.names())
def test_every_measure_can_be_taken_on_a_table_or_refuses(name: str, has_lags: bool, tmp_path: Path) -> None:
    """Sequences of 3 to 8 steps, with one answer each."""
    rng = np.random.default_rng(0)
    mask = np.arange(8) < rng.integers(3, 9, (400, 1))
    arrays = {"x": rng.normal(size=(400, 8, 2)), "y": rng.integers(0, 2, 400), "mask": mask}
    if has_lags:
        arrays["lag"] = np.where(mask, 2, -1)
        arrays["lag"][:, :2] = -1
    np.savez(tmp_path / "data.npz", **arrays)
    task = tasks.build({"name": "table", "file": str(tmp_path / "data.npz")})
    rows = check(small(name), replicas(cells.build("elman"), task), task)
    if name == "retention":
        assert {row.lag for row in rows[0]} == ({2} if has_lags else {-1})


@pytest.mark.parametrize(
    "fields", [{"depth": 2}, {"bidirectional": True}, {"learned_state": True, "bias": False}], ids=str
)
@pytest.mark.parametrize("name", measures.names())
def test_every_shape_of_network_can_be_measured(name: str, fields: dict[str, Any]) -> None:
    task = tasks.build({"name": "nback", "lag": 3})
    check(small(name), replicas(cells.build("lstm"), task, **fields), task)


@pytest.mark.parametrize("factor", [math.nan, 1e30, 3.0], ids=["nan", "overflows", "explodes"])
@pytest.mark.parametrize("name", measures.names())
def test_a_diverged_network_is_measured_without_an_error(name: str, factor: float) -> None:
    """Divergence is a result: rows are nan or missing, without an exception or a warning."""
    task, measure = tasks.build({"name": "recall", "lag": 30}), small(name)
    network = replicas(cells.build({"name": "elman", "nonlinearity": "relu"}), task)
    larger = {parameter: value.abs() * factor for parameter, value in network.parameters.items()}
    if fits(measure, task):
        measure.rows(Network(network.architecture, larger), task, [4, 5], lambda: network)


@pytest.mark.parametrize("name", measures.names())
def test_a_trial_can_take_every_measure_before_during_and_after_training(
    name: str, trial_of: Callable[..., Trial], global_generators_untouched: Callable[[], Any]
) -> None:
    measure = small(name).model_copy(update={"at": ("start", 2, "end")})
    if not fits(measure, trial_of().task):
        return
    trials = [trial_of(measures=[measure], stop="never", seed=seed) for seed in (0, 1)]
    with global_generators_untouched():
        together = list(train(Cohort.of(*trials)))
        alone = [event for trial in trials for event in train(Cohort.of(trial))]
    assert _scores(together) == _scores(alone)


def _scores(events: Sequence[Any]) -> dict[str, str]:
    return {event.key: event.result.scores.to_csv() for event in events if hasattr(event, "result")}

"""What holds of every measure in a trial: it can be taken on every task and cell, and replicas do not meet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from farback import cells, inits, measures, tasks
from farback.measures.base import Measure, Row
from farback.networks.network import Architecture, Network, draw
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.trial import Trial

SMALL = {"sequences": 60, "length": 150, "washout": 10, "max_lag": 12}  # those that a measure has, where they fit


def small(name: str) -> Measure:
    own = measures.FAMILY.plugin(name).model_fields
    fields = {key: value for key, value in SMALL.items() if key in own}
    if "sequences" in own:
        fields.pop("length", None)  # there it is the lag of the sequences
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


def check(measure: Measure, network: Network, task: Any) -> list[list[Row]]:
    """Rows of two replicas, packed as each alone; none where the measure says that it is not for that task."""
    if not fits(measure, task):
        return []
    packed = measure.rows(network, task, [4, 5], lambda: network)
    alone = [measure.rows(network.replica(r), task, [4 + r], lambda r=r: network.replica(r))[0] for r in range(2)]
    assert repr(alone) == repr(packed)
    for rows in packed:
        assert all(isinstance(row.lag, int) and isinstance(row.value, int | float) for row in rows)
        assert len({(row.lag, row.statistic) for row in rows}) == len(rows)
    return packed


@pytest.mark.parametrize("cell", cells.names())
@pytest.mark.parametrize("name", measures.names())
def test_every_cell_can_be_measured(cell: str, name: str) -> None:
    task = tasks.build({"name": "recall", "lag": 5})
    check(small(name), replicas(cells.build(cell), task), task)


@pytest.mark.parametrize("task", tasks.names())
@pytest.mark.parametrize("name", measures.names())
def test_every_task_can_be_measured_on(task: str, name: str) -> None:
    own = tasks.build(task)
    own = own.at(max(own.least, min(own.lag, 9)))
    check(small(name), replicas(cells.build("elman"), own), own)


@pytest.mark.parametrize(
    "fields", [{"depth": 2}, {"bidirectional": True}, {"learned_state": True, "bias": False}], ids=str
)
@pytest.mark.parametrize("name", measures.names())
def test_every_shape_of_network_can_be_measured(name: str, fields: dict[str, Any]) -> None:
    task = tasks.build({"name": "nback", "lag": 3})
    check(small(name), replicas(cells.build("lstm"), task, **fields), task)


@pytest.mark.parametrize("factor", [math.nan, 1e30, 3.0], ids=["nan", "overflows", "explodes"])
@pytest.mark.parametrize("name", measures.names())
def test_a_network_that_diverged_is_measured_without_a_fault(name: str, factor: float) -> None:
    """Diverging is a result: its rows are nan, or missing, and never an exception or a warning."""
    task, measure = tasks.build({"name": "recall", "lag": 30}), small(name)
    network = replicas(cells.build({"name": "elman", "nonlinearity": "relu"}), task)
    larger = {parameter: value.abs() * factor for parameter, value in network.parameters.items()}
    if fits(measure, task):
        measure.rows(Network(network.architecture, larger), task, [4, 5], lambda: network)


@pytest.mark.parametrize("name", measures.names())
def test_a_trial_can_take_every_measure_before_on_the_way_and_after(
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

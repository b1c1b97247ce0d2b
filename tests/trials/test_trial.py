"""Trials: identity, shape, packing, and settings that do not fit together."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from farback import cells, encoders, inits, measures, optimizers, schedules, tasks
from farback.tasks.support.mixed_lags import LogUniform, Uniform
from farback.trials.cohort import cohorts
from farback.trials.trial import Trial
from named_alone import named_alone

GOOD: dict[str, Any] = {"task": {"name": "recall"}, "lag": 9, "cell": {"name": "lstm"}, "hidden": 8}
# Another value for every field. A field that is missing here fails the test below: it needs a level of its own.
OTHER: dict[str, list[dict[str, Any]]] = {
    "task": [
        {"task": {"name": "parity"}},
        {"task": {"name": "recall", "symbols": 5}},
        {"task": {"name": "recall", "filler": "same"}},
    ],
    "lag": [{"lag": 10}],
    "train_lags": [
        {"train_lags": {"uniform": [1, 9]}},
        {"train_lags": {"uniform": [2, 9]}},
        {"train_lags": {"log_uniform": [1, 9]}},
        {"train_lags": {"curriculum": [1, 9]}},
    ],
    "cell": [
        {"cell": {"name": "gru"}},
        {"cell": {"name": "elman"}},
        {"cell": {"name": "elman", "nonlinearity": "relu"}},
    ],
    "network": [],  # takes the place of cell and hidden: tests/trials/test_whole_networks.py
    "init": [
        {"init": {"name": "chrono"}},
        {"init": {"name": "chrono", "longest": 9}},
        {"init": {"name": "orthogonal"}},
    ],
    "encoder": [{"encoder": {"name": "conv", "state": "map", **more}} for more in ({}, {"channels": 2}, {"kernel": 1})],
    "hidden": [{"hidden": 9}],
    "match": [],  # chooses `hidden` and is no part of the identity: tests/networks/test_equal_size.py
    "depth": [{"depth": 2}],
    "block": [
        {"block": {"norm": "rms"}},
        {"block": {"norm": "layer"}},
        *({"block": {name: value}} for name, value in {"residual": True, "conv": 4, "gate": "silu", "mlp": 2}.items()),
    ],
    "bias": [{"bias": False}],
    "bidirectional": [{"bidirectional": True}],
    "initial_state": [{"initial_state": "learned"}],
    "optimizer": [
        {"optimizer": {"name": "adam", "lr": 2e-3}},
        {"optimizer": "sgd"},
        {"optimizer": {"name": "adam", "beta1": 0.8}},
    ],
    "schedule": [
        {"schedule": {"name": "constant", "warmup": 10}},
        {"schedule": "cosine"},
        {"schedule": {"name": "cosine", "warmup": 10}},
        {"schedule": {"name": "cosine", "final": 0.1}},
        {"schedule": "linear"},
    ],
    "dropout": [],  # needs two layers: tests/training/test_training_options.py
    "recurrent_dropout": [{"recurrent_dropout": 0.1}],
    "truncate": [{"truncate": 5}, {"truncate": 6}],
    "clip": [{"clip": None}, {"clip": 2.0}],
    "batch": [{"batch": 31}],
    "steps": [{"steps": 999}],
    "evaluate_every": [{"evaluate_every": 99}],
    "stop": [{"stop": "never"}],
    "measures": [
        {"measures": []},
        {"measures": [{"name": "retention", "lags": [1]}]},
        {"measures": [{"name": "retention", "sequences": 10}]},
    ],
    "seed": [{"seed": 1}, {"seed": 2**62}],
}
LEVELS = [level for levels in OTHER.values() for level in levels]


def trial(**fields: Any) -> Trial:
    return Trial.model_validate({**GOOD, **fields})


# Identity --------------------------------------------------------------------------------------------------------


def test_every_field_has_another_value_in_these_tests() -> None:
    assert set(Trial.model_fields) == set(OTHER)


@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_any_changed_field_changes_the_key(level: dict[str, Any]) -> None:
    assert trial(**level).key != trial().key


def test_no_two_levels_of_any_field_share_a_key() -> None:
    keys = [trial().key, *(trial(**level).key for level in LEVELS)]
    assert len(set(keys)) == len(keys)


FAMILIES = [cells, encoders, inits, measures, optimizers, schedules, tasks]


@pytest.mark.parametrize("kind", FAMILIES, ids=lambda family: family.__name__)
def test_any_changed_field_of_any_component_changes_its_digest(kind: Any) -> None:
    """Tries some values for every field and keeps those that make a valid record."""
    walked = 0
    for name in named_alone(kind):
        component = kind.build(name)
        for field in type(component).model_fields:
            for value in (True, False, 3, 17, 0.25, "relu", "same", "window", "ignored", [3]):
                try:
                    changed = kind.build({**component.spec(), field: value})
                except ValueError:
                    continue
                if field != "name" and changed != component:
                    walked += 1
                    assert changed.digest() != component.digest()
    assert walked


def test_the_key_holds_the_versions_of_the_components(monkeypatch: pytest.MonkeyPatch) -> None:
    before = trial(schedule="cosine").key
    base = trial(schedule="cosine")
    for component in (base.task, base.cell, base.init, base.encoder, base.optimizer, base.schedule, base.measures[0]):
        with monkeypatch.context() as patch:
            patch.setattr(type(component), "version", 2)
            assert trial(schedule="cosine").key != before
    assert trial(schedule="cosine").key == before


def test_the_key_does_not_depend_on_the_order_of_the_fields() -> None:
    level = {"task": {"symbols": 5, "name": "recall", "filler": "same"}, "optimizer": {"lr": 0.01, "name": "adam"}}
    turned = {"task": {"filler": "same", "name": "recall", "symbols": 5}, "optimizer": {"name": "adam", "lr": 0.01}}
    assert Trial.model_validate(dict(reversed({**GOOD, **level}.items()))).key == trial(**turned).key


@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_a_trial_written_out_builds_an_equal_one(level: dict[str, Any]) -> None:
    one = trial(**level)
    again = Trial.model_validate(json.loads(one.model_dump_json()))
    assert again == one
    assert again.key == one.key
    assert again.shape == one.shape


def test_defaults_written_out_give_the_same_key() -> None:
    assert (
        trial(init="torch", clip=1.0, train_lags="fixed", optimizer={"name": "adam", "lr": 1e-3}, depth=1).key
        == trial().key
    )


# Shape and group -------------------------------------------------------------------------------------------------

OF_REPLICAS = ["seed", "init", "clip", "schedule"]


@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_the_shape_ignores_exactly_what_replicas_may_differ_in(level: dict[str, Any]) -> None:
    (field,) = level
    rule = trial(**level).optimizer.name
    ignored = field in OF_REPLICAS or (field == "optimizer" and rule == "adam")
    assert (trial(**level).shape == trial().shape) is ignored


@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_trials_of_one_group_differ_only_in_the_seed(level: dict[str, Any]) -> None:
    assert (trial(**level).group == trial().group) is ("seed" in level)


@pytest.mark.parametrize("width", [1, 2, 3, 100])
def test_cohorts_hold_every_trial_once_and_only_trials_of_one_shape(width: int) -> None:
    everything = [
        trial(seed=seed, hidden=hidden, clip=clip) for seed in range(3) for hidden in (8, 9) for clip in (None, 1.0)
    ]
    packed = cohorts(everything, width)
    assert sorted(key for cohort in packed for key in cohort.keys) == sorted(t.key for t in everything)
    assert all(len({t.shape for t in cohort.trials}) == 1 for cohort in packed)
    assert all(1 <= len(cohort.trials) <= width for cohort in packed)
    assert len(packed) == 2 * -(-6 // width)


def test_cohorts_keep_the_order() -> None:
    seeds = [trial(seed=seed) for seed in (5, 3, 4, 1)]
    assert [[t.seed for t in cohort.trials] for cohort in cohorts(seeds, 3)] == [[5, 3, 4], [1]]
    assert cohorts([], 3) == []


# Lags ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"task": {"name": "recall"}, "lag": 9},
        {"task": {"name": "recall", "lag": 9}},
        {"task": {"name": "recall", "lag": 9}, "lag": 9},
        {"task": "recall", "lag": 9},
        {"task": tasks.build("recall"), "lag": 9},
        {"task": tasks.build({"name": "recall", "lag": 9})},
    ],
    ids=str,
)
def test_the_lag_may_be_set_on_the_trial_or_the_task_and_is_copied_to_both(given: dict[str, Any]) -> None:
    found = Trial.model_validate({"cell": "lstm", "hidden": 8, **given})
    assert found.lag == found.task.lag == 9
    assert found.key == trial().key


@pytest.mark.parametrize(
    "train_lags",
    [{"uniform": [2, 9]}, {"log_uniform": [2, 9]}, Uniform(uniform=(2, 9)), LogUniform(log_uniform=(2, 9))],
)
def test_the_largest_mixed_lag_is_the_lag(train_lags: Any) -> None:
    found = Trial.model_validate({"task": "recall", "cell": "lstm", "train_lags": train_lags})
    assert found.lag == found.task.lag == 9
    assert found.train_lags.bounds == (2, 9)


def test_a_missing_lag_is_named_in_the_error() -> None:
    with pytest.raises(ValidationError, match="lag"):
        Trial.model_validate({"task": "recall", "cell": "lstm"})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train_lags": {"uniform": [2, 8]}}, r"lag is 9 but train_lags end at 8"),
        ({"train_lags": {"uniform": [9, 2]}}, r"\[smallest, largest\]"),
        ({"train_lags": {"uniform": [9]}}, r"\[smallest, largest\]"),
        ({"train_lags": {"log_uniform": [0, 9]}}, "greater than or equal to 1"),
        ({"train_lags": {"uniform": [1, 9], "log_uniform": [1, 9]}}, "log_uniform"),
        ({"train_lags": {"normal": [1, 9]}}, r"fixed, \{uniform"),
        ({"train_lags": "mixed"}, "fixed"),
        ({"task": {"name": "temporal_order"}, "train_lags": {"uniform": [2, 9]}}, "lag is 2, .* 7 or more"),
        (
            {"task": {"name": "nback"}, "train_lags": {"uniform": [2, 9]}},
            "the targets of nback depend on the training lag",
        ),
        (
            {"task": {"name": "parity", "form": "window"}, "train_lags": {"uniform": [2, 9]}},
            "the targets of parity depend on the training lag",
        ),
        (
            {"task": {"name": "nback"}, "measures": [{"name": "retention", "lags": [8]}]},
            "nback at lag 9 cannot be tested at other",
        ),
        (
            {"task": {"name": "parity", "form": "window"}, "measures": [{"name": "retention", "lags": [8]}]},
            "parity at lag 9 cannot",
        ),
        (
            {"task": {"name": "temporal_order"}, "measures": [{"name": "retention", "lags": [6]}]},
            "lag is 6, .* 7 or more",
        ),
        (
            {"task": {"name": "recall", "length": 20}, "measures": [{"name": "retention", "lags": [20]}]},
            "no room for a lag of 20",
        ),
        ({"lag": 1, "task": {"name": "adding"}}, "needs a lag of 2 or more"),
        ({"init": "chrono", "bias": False}, "init chrono"),
        ({"cell": "gru", "init": "identity"}, "init identity"),
        ({"cell": "shift_register", "hidden": 8}, "multiple of 9: 9"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_together_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        trial(**fields)


def test_nback_may_be_measured_at_its_own_lag() -> None:
    assert trial(task={"name": "nback"}, measures=[{"name": "retention", "lags": [9]}]).measures


# Reading ---------------------------------------------------------------------------------------------------------


def test_parameters_are_plain_values_that_differ_between_trials() -> None:
    flat = trial().parameters()
    assert all(isinstance(value, str | int | float | bool | None) for value in flat.values())
    assert flat["cell.name"] == "lstm"
    assert flat["lag"] == 9
    assert flat["optimizer.lr"] == 1e-3
    assert "task.lag" not in flat


@pytest.mark.parametrize("level", [level for level in LEVELS if "measures" not in level], ids=str)
def test_a_changed_field_shows_in_the_parameters(level: dict[str, Any]) -> None:
    assert trial(**level).parameters() != trial().parameters()


def test_a_label_is_the_same_for_every_seed_and_lag() -> None:
    labels = {trial(seed=seed, lag=lag).label for seed in (0, 1) for lag in (5, 9)}
    assert labels == {"LSTM"}
    assert trial(init="chrono", depth=2, bidirectional=True).label == "LSTM, chrono, 2 layers, bidirectional"


def test_a_fixture_of_small_trials_is_valid(trial_of: Callable[..., Trial]) -> None:
    assert trial_of(seed=4).seed == 4


def test_parameters_contain_changed_settings_of_measures() -> None:
    """Settings at their default are left out; lists are texts, because two trials may differ only in one."""
    plain = trial(measures=[{"name": "memory_function"}]).columns()
    wide = trial(measures=[{"name": "memory_function", "scale": 0.1, "at": ["start"]}]).columns()
    assert not any(name.startswith("measures.") for name in plain)
    assert wide["measures.memory_function.scale"] == 0.1
    assert wide["measures.memory_function.at"] == "start"
    changed = ["measures.memory_function.at", "measures.memory_function.scale"]
    assert [name for name in wide if name.startswith("measures.")] == changed

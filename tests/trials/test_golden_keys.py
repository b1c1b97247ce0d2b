"""Keys of trials as release 0.1.0 recorded them, so that stored results are still found after code changes.

The list is never made again, because a trial whose key changes would be trained again. Only keys of trials that mean
something new were changed: docs/decisions/0028-no-leaks.md. The list contains every task, cell, init, encoder,
optimizer and measure of that release, and every field of a trial.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farback import cells, encoders, inits, measures, optimizers, tasks
from farback.records.record import Since
from farback.trials.trial import Trial, later_parameters

GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden_keys.json").read_text())


def test_every_key_equals_the_recorded_one() -> None:
    made = {json.dumps(each["trial"]): Trial.model_validate(each["trial"]).key for each in GOLDEN}
    recorded = {json.dumps(each["trial"]): each["key"] for each in GOLDEN}
    assert made == recorded
    assert len(set(recorded.values())) == len(GOLDEN) >= 200


@pytest.mark.parametrize(
    ("field", "family"),
    [("task", tasks), ("cell", cells), ("init", inits), ("encoder", encoders), ("optimizer", optimizers)],
)
def test_the_list_contains_every_component_of_the_release(field: str, family: Any) -> None:
    specs = [each["trial"].get(field) for each in GOLDEN]
    named = {spec if isinstance(spec, str) else spec["name"] for spec in specs if spec is not None}
    assert named <= set(family.names())
    assert len(named) >= {"task": 17, "cell": 21, "init": 8, "encoder": 1, "optimizer": 3}[field]


def test_the_list_contains_every_measure_and_every_field() -> None:
    specs = [spec for each in GOLDEN for spec in each["trial"].get("measures", [])]
    named = {spec if isinstance(spec, str) else spec["name"] for spec in specs}
    assert len(named) >= 14
    assert named <= set(measures.names())
    later = {name for name, field in Trial.model_fields.items() if any(isinstance(m, Since) for m in field.metadata)}
    assert {field for each in GOLDEN for field in each["trial"]} == Trial.model_fields.keys() - later


def test_fields_of_later_releases_at_their_defaults_change_no_key() -> None:
    added = {name.split(".")[0] for name in later_parameters()}
    later = {name: field.default for name, field in Trial.model_fields.items() if name in added}
    assert {"schedule", "block"} <= later.keys()
    for each in GOLDEN[:20]:
        assert Trial.model_validate({**each["trial"], **later}).key == each["key"]

"""The JSON Schema agrees with the loader."""

from __future__ import annotations

from typing import Any

import pytest

from farback import cells, encoders, inits, measures, optimizers, schedules, tasks
from farback.experiment import schema
from farback.experiment.config_file import ConfigFile
from farback.trials.trial import Trial

FAMILIES: dict[str, Any] = {
    "task": tasks,
    "cell": cells,
    "init": inits,
    "encoder": encoders,
    "optimizer": optimizers,
    "schedule": schedules,
}


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return schema()


def resolved(whole: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = whole
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[int(part) if isinstance(found, list) else part]
    return dict(found)


def members(whole: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    """Every alternative of a schema, however nested."""
    node = resolved(whole, node)
    inner = node.get("anyOf", []) + node.get("oneOf", [])
    return [found for item in inner for found in members(whole, item)] if inner else [node]


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if "$ref" in node else []
    return own + [found for item in node.values() for found in references(item)]


def test_the_schema_has_exactly_the_keys_of_a_config(whole: dict[str, Any]) -> None:
    assert list(whole["properties"]) == list(ConfigFile.model_fields)
    assert whole["additionalProperties"] is False


def test_every_reference_has_a_definition(whole: dict[str, Any]) -> None:
    for reference in set(references(whole)):
        assert resolved(whole, {"$ref": reference}) or reference == "#/$defs/JsonValue"  # any value


def test_every_record_refuses_unknown_keys(whole: dict[str, Any]) -> None:
    records = [node for node in whole["$defs"].values() if "properties" in node]
    assert records
    assert all(node["additionalProperties"] is False for node in records)


def test_the_base_has_every_field_of_a_trial_and_requires_none(whole: dict[str, Any]) -> None:
    base = whole["properties"]["base"]["anyOf"][0]
    assert list(base["properties"]) == list(Trial.model_fields)
    assert "required" not in base
    assert base["additionalProperties"] is False


@pytest.mark.parametrize("field", FAMILIES)
def test_every_component_is_allowed_as_a_name_and_as_a_mapping_with_its_docstring(
    field: str, whole: dict[str, Any]
) -> None:
    found = members(whole, whole["properties"]["base"]["anyOf"][0]["properties"][field])
    words = [word for node in found for word in node.get("enum", [node["const"]] if "const" in node else [])]
    mappings = {node["properties"]["name"]["const"]: node for node in found if "properties" in node}
    family = FAMILIES[field]
    assert sorted(words) == sorted(mappings) == family.names()
    for kind in family.FAMILY.members():
        node = mappings[kind.model_fields["name"].default]
        assert set(node["properties"]) == set(kind.model_fields)
        assert node["description"].startswith((kind.__doc__ or "").strip().splitlines()[0])


def test_a_mapping_of_a_component_requires_its_name(whole: dict[str, Any]) -> None:
    for name in ("LSTM", "Adam", "Recall"):
        assert whole["$defs"][name]["required"] == ["name"]


def test_every_field_of_a_trial_and_of_a_component_is_an_axis(whole: dict[str, Any]) -> None:
    grid, pairs = whole["$defs"]["Grid"]["properties"], whole["$defs"]["Pairs"]["properties"]
    expected = set(Trial.model_fields)
    for field, family in FAMILIES.items():
        for kind in family.FAMILY.members():
            expected |= {f"{field}.{inner}" for inner in kind.model_fields}
    assert expected <= set(grid)
    assert "optimizer.lr" in grid
    assert set(pairs) == set(grid) - {"zip", "tune"}


def test_an_axis_is_a_list_of_values_or_a_range(whole: dict[str, Any]) -> None:
    levels, counted = whole["$defs"]["Grid"]["properties"]["depth"]["anyOf"]
    assert levels["items"]["minimum"] == 1
    assert levels["minItems"] == 1
    assert counted == {"$ref": "#/$defs/Range"}
    assert whole["$defs"]["Grid"]["properties"]["lag"]["anyOf"][2:] == [{"$ref": "#/$defs/AdaptiveLag"}]


def test_measures_are_a_list_of_names_or_mappings(whole: dict[str, Any]) -> None:
    items = whole["properties"]["base"]["anyOf"][0]["properties"]["measures"]["items"]
    found = members(whole, items)
    words = [word for node in found for word in node.get("enum", [node["const"]] if "const" in node else [])]
    assert sorted(words) == measures.names()

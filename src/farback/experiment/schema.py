"""The JSON Schema of a config file, with which editors complete and check.

It says what can be said without making trials: keys, types, ranges, names, with every plug-in that is there. What
depends on several values at once (whether an initialisation fits a cell, equal lengths in `zip`) only loading tells.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

from farback.experiment.config_file import ConfigFile
from farback.experiment.search import SearchOptions
from farback.experiment.search_objective import OBJECTIVES
from farback.trials.trial import Trial

Schema = dict[str, Any]

RANGE: Schema = {
    "description": "Integers as Python's range counts them, the stop left out: {range: 5} is 0, 1, 2, 3, 4; "
    "{range: [2, 5]} is 2, 3, 4; {range: [0, 10, 5]} is 0, 5.",
    "type": "object",
    "properties": {
        "range": {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
            ]
        }
    },
    "required": ["range"],
    "additionalProperties": False,
}

BRACKET: Schema = {
    "description": "Lags from the first to the second, each twice the one before, of which bisection picks those that "
    "are trained: {bracket: [5, 320]} looks among 5, 10, 20, 40, 80, 160, 320, with three trainings a seed.",
    "type": "object",
    "properties": {
        "bracket": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2}
    },
    "required": ["bracket"],
    "additionalProperties": False,
}


def schema() -> Schema:
    """The JSON Schema (draft 2020-12) of a config."""
    whole = _cleaned(ConfigFile.model_json_schema())
    trial = _cleaned(Trial.model_json_schema())
    definitions = {**whole.pop("$defs"), **trial.pop("$defs"), "Range": RANGE, "Bracket": BRACKET}
    for members in _unions(trial):
        for member in members:
            definitions[_target(member)]["required"] = ["name"]
    paths = _paths(trial["properties"], definitions)
    grid = {path: _levels(values) for path, values in paths.items()}
    grid["lag"]["anyOf"].append({"$ref": "#/$defs/Bracket"})
    definitions["Pairs"] = {
        "description": "Axes of equal length that change together.",
        "type": "object",
        "properties": {path: {"$ref": f"#/$defs/Grid/properties/{path}"} for path in grid},
        "additionalProperties": False,
        "minProperties": 1,
    }
    several = {"type": "array", "items": {"$ref": "#/$defs/Pairs"}, "minItems": 1}
    definitions["Grid"] = {
        "description": "All combinations of the axes. An axis is a field of a trial, or a dotted path.",
        "type": "object",
        "properties": {**grid, "zip": {"anyOf": [{"$ref": "#/$defs/Pairs"}, several]}},
        "additionalProperties": False,
    }
    definitions |= _space(paths)
    definitions["Search"] = _search(definitions)
    del trial["required"]  # axes may set what base leaves out
    whole["properties"]["base"]["anyOf"][0] = trial
    whole["properties"]["sweep"] |= {"type": "array", "items": {"$ref": "#/$defs/Grid"}, "minItems": 1}
    whole["properties"]["search"] = {"$ref": "#/$defs/Search"}
    whole["properties"]["executor"]["anyOf"][0] = definitions.pop("Placement")
    for key in whole["properties"].values():
        if not key.get("default", True):
            del key["default"]  # an empty default says no more than that the key may be left out
    return {
        **whole,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "farback config",
        "required": ["name"],
        "not": {"required": ["sweep", "search"]},
        "$defs": definitions,
    }


def _levels(values: list[Schema]) -> Schema:
    """What an axis may hold, where its path may hold any of `values`."""
    item = values[0] if len(values) == 1 else {"anyOf": values}
    return {"anyOf": [{"type": "array", "items": item, "minItems": 1}, {"$ref": "#/$defs/Range"}]}


def _tried(path: str, values: list[Schema]) -> Schema:
    """What a dimension of a space may be, where its path may hold any of `values`."""
    choices = {"$ref": f"#/$defs/Grid/properties/{path}/anyOf/0"}
    kinds = {kind for value in values for kind in _types(value)}
    ranges = ["Integers"] if kinds & {"number", "integer"} else []
    ranges += ["Numbers", "Ratios"] if "number" in kinds else []
    return {"anyOf": [choices, _form("choices", choices), *({"$ref": f"#/$defs/{name}"} for name in ranges)]}


def _types(value: Schema) -> list[str]:
    """The JSON types that a schema names, in its alternatives too."""
    own = [value["type"]] if isinstance(value.get("type"), str) else []
    return own + [kind for inner in value.get("anyOf", []) for kind in _types(inner)]


def _form(kind: str, values: Schema, **extras: Schema) -> Schema:
    properties = {kind: values, **extras, "when": {"$ref": "#/$defs/When"}}
    return {"type": "object", "properties": properties, "required": [kind], "additionalProperties": False}


def _range(kind: str, number: str, **extras: Schema) -> Schema:
    ends = {"type": "array", "items": {"type": number}, "minItems": 2, "maxItems": 2}
    return _form(kind, ends, **extras)


def _space(paths: dict[str, list[Schema]]) -> dict[str, Schema]:
    """The definitions of a space and of what its dimensions may be."""
    flag: Schema = {"type": "boolean"}
    return {
        "When": {"description": "Only where these paths have these values.", "type": "object", "minProperties": 1},
        "Integers": _range("int", "integer", step={"type": "integer", "exclusiveMinimum": 0}, log=flag),
        "Numbers": _range("float", "number", step={"type": "number", "exclusiveMinimum": 0}, log=flag),
        "Ratios": _range("log", "number"),
        "Space": {
            "description": "What is tried of each path: a list of choices, or a range.",
            "type": "object",
            "properties": {path: _tried(path, values) for path, values in paths.items()},
            "additionalProperties": False,
            "minProperties": 1,
        },
    }


def _search(definitions: Schema) -> Schema:
    """The keys of a search. Its plain options come from their record."""
    options = _cleaned(SearchOptions.model_json_schema())
    definitions |= options.pop("$defs")
    definitions["Sampler"].pop("required", None)
    objective = {
        "anyOf": [
            {"enum": list(OBJECTIVES)},
            {"type": "object", "properties": {"skill": {"type": "integer", "minimum": 0}}, "required": ["skill"]},
        ]
    }
    direction = {"enum": ["maximize", "minimize"]}
    options["properties"] |= {
        "space": {"$ref": "#/$defs/Space"},
        "objective": {
            "description": "horizon, skill (at the trained lag, or {skill: LAG}), area (under the retention curve), "
            "updates (to solve); or two of them for a Pareto front.",
            "anyOf": [objective, {"type": "array", "items": objective, "minItems": 2, "maxItems": 2}],
        },
        "groups": {
            "description": "A grid as in a sweep, or a path of the space: each is searched with the same budget.",
            "anyOf": [{"$ref": "#/$defs/Grid"}, {"type": "string"}],
        },
        "direction": {
            "description": "Whether more or less is better, one for each objective; by default as it says itself.",
            "anyOf": [direction, {"type": "array", "items": direction, "minItems": 2, "maxItems": 2}],
        },
    }
    return {**options, "description": "A search instead of a sweep: docs/search.md."}


def _paths(properties: Schema, definitions: Schema) -> dict[str, list[Schema]]:
    """Every path that can be an axis, with the schemas of what may stand there: fields, and fields of components."""
    paths: dict[str, list[Schema]] = {name: [_without_default(value)] for name, value in properties.items()}
    for name, value in properties.items():
        if value.get("type") == "array":
            continue  # a dotted path does not go into a list
        for reference in _references(value):
            for inner, own in definitions[reference]["properties"].items():
                known = paths.setdefault(f"{name}.{inner}", [])
                own = _without_default(own)
                if own not in known:
                    known.append(own)
    return paths


def _without_default(value: Schema) -> Schema:
    return {key: item for key, item in value.items() if key != "default"}


def _target(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _references(value: Any) -> list[str]:
    """The definitions that a schema names, in order."""
    if isinstance(value, list):
        return [name for item in value for name in _references(item)]
    if not isinstance(value, dict):
        return []
    own = [_target(value)] if "$ref" in value else []
    return own + [name for item in value.values() for name in _references(item)]


def _unions(value: Any) -> list[list[Schema]]:
    """The members of every union that is told by name."""
    if isinstance(value, list):
        return [found for item in value for found in _unions(item)]
    if not isinstance(value, dict):
        return []
    own = [value["oneOf"]] if value.pop("discriminator", None) else []
    return own + [found for item in value.values() for found in _unions(item)]


def _cleaned(value: Any) -> Any:
    """Without the titles that pydantic makes from the names of fields, and with what docstrings say of the fields."""
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if not isinstance(value, dict):
        return value
    node = {key: _cleaned(item) for key, item in value.items() if not (key == "title" and isinstance(item, str))}
    return described(node) if "properties" in node else node


HEADING = "\nAttributes:\n"

FIELD = re.compile(r"^(\w+(?:, \w+)*): (.*(?:\n +.*)*)", re.MULTILINE)


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """A record's schema with the lines of its docstring's "Attributes:" on its properties, in place of the section."""
    text, heading, section = schema.get("description", "").partition(HEADING)
    if not heading:
        return schema
    lines = {
        name: " ".join(line.split())
        for names, line in FIELD.findall(textwrap.dedent(section))
        for name in names.split(", ")
    }
    properties = {
        name: {**field, "description": lines[name]} if name in lines else field
        for name, field in schema["properties"].items()
    }
    return {**schema, "description": text.rstrip(), "properties": properties}

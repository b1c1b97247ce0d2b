"""The JSON Schema of config files, with which editors complete and check them.

It contains the keys, types, ranges and names, also of installed plug-ins. What depends on several values at once
(whether an initialisation fits a cell, equal lengths in `zip`) is only checked when a config is loaded.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field
from pydantic.json_schema import models_json_schema

from farback.experiment.config_file import ConfigFile
from farback.experiment.grids import UNTUNABLE
from farback.experiment.search import SearchOptions
from farback.experiment.search_objective import OBJECTIVES
from farback.experiment.search_space import Integers, Numbers, Ratios
from farback.records.record import Record
from farback.trials.lags import AdaptiveLag
from farback.trials.trial import Trial

Schema = dict[str, Any]
ARGUMENT = r"^(cell|network)\.with\.\w+$"  # an argument of a module's class, which may have any value
FIELD = re.compile(r"^(\w+(?:, \w+)*): (.*(?:\n +.*)*)", re.MULTILINE)  # a line of a docstring's "Attributes:"


class Range(Record):
    """Integers as in Python's range: {range: 3} is 0, 1, 2; {range: [2, 5]} is 2, 3, 4; [0, 10, 5] is 0, 5."""

    range: Annotated[int, Field(ge=1)] | Annotated[list[int], Field(min_length=1, max_length=3)]


def schema() -> Schema:
    """The JSON Schema (draft 2020-12) of a config."""
    models = (ConfigFile, Trial, SearchOptions, Range, AdaptiveLag, Integers, Numbers, Ratios)
    definitions = models_json_schema([(model, "validation") for model in models])[1]["$defs"]
    for node in _nodes(definitions):
        _clean(node)
    config, trial, search = (definitions.pop(name) for name in ("ConfigFile", "Trial", "SearchOptions"))
    for node in _nodes(trial):
        if node.pop("discriminator", None):
            for member in node["oneOf"]:
                definitions[_target(member)]["required"] = ["name"]
    trial["properties"]["block"]["anyOf"].append({"const": "none"})
    paths = _paths(trial["properties"], definitions)
    axes = {path: {"anyOf": [_list(_any_of(values)), _ref("Range")]} for path, values in paths.items()}
    axes["lag"]["anyOf"].append(_ref("AdaptiveLag"))
    pairs = _mapping(
        "Axes of equal length that change together.", {path: _ref(f"Grid/properties/{path}") for path in axes}
    )
    tune = _mapping(
        "Settings of which each network gets the best one before it is judged.",
        {path: _ref(f"Grid/properties/{path}/anyOf/0") for path in axes if path.split(".")[0] not in UNTUNABLE},
    )
    special = {"zip": _any_of([_ref("Pairs"), _list(_ref("Pairs"))]), "tune": tune}
    grid = _mapping(
        "All combinations of the axes. An axis is a field of a trial, or a dotted path.", {**axes, **special}
    )
    dimensions = {path: _dimension(path, values) for path, values in paths.items()}
    space = _mapping("A list of choices or a range for each path.", dimensions)
    listed, level = _list({}), _any_of([_list({}), _ref("Range")])
    for mapping, levels in ((pairs, listed), (grid, level), (tune, listed), (space, {})):
        mapping["patternProperties"] = {ARGUMENT: levels}
    definitions |= {"Pairs": pairs, "Grid": grid, "Space": space, "Search": search}
    skill = {"type": "object", "properties": {"skill": {"type": "integer", "minimum": 0}}, "required": ["skill"]}
    search["properties"]["space"] |= _ref("Space")
    search["properties"]["groups"] |= _any_of([_ref("Grid"), {"type": "string"}])
    search["properties"]["objective"] |= _one_or_two(_any_of([{"enum": list(OBJECTIVES)}, skill]))
    search["properties"]["direction"] |= _one_or_two({"enum": ["maximize", "minimize"]})
    del trial["required"]  # axes may set what base leaves out
    config["properties"]["base"]["anyOf"][0] = trial
    config["properties"]["sweep"] |= _list(_ref("Grid"))
    config["properties"]["search"] = _ref("Search")
    config["properties"]["executor"]["anyOf"][0] = definitions.pop("Placement")
    for key in (*config["properties"].values(), *search["properties"].values()):
        if key.get("default", True) in (None, "", []):
            del key["default"]  # such a default only says that the key is optional
    return {
        **config,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "farback config",
        "not": {"required": ["sweep", "search"]},
        "$defs": definitions,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def _any_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _one_or_two(item: Schema) -> Schema:
    return {"anyOf": [item, {**_list(item), "minItems": 2, "maxItems": 2}]}


def _mapping(description: str, properties: Schema) -> Schema:
    rest = {"type": "object", "additionalProperties": False, "minProperties": 1}
    return {"description": description, "properties": properties, **rest}


def _dimension(path: str, values: list[Schema]) -> Schema:
    """The schema of a dimension of a search space, whose values have any of the schemas `values`."""
    choices = _ref(f"Grid/properties/{path}/anyOf/0")
    with_condition = {"properties": {"choices": choices, "when": {"type": "object"}}, "required": ["choices"]}
    types = {option.get("type") for value in values for option in (value, *value.get("anyOf", ()))}
    ranges = ["Integers"] if types & {"number", "integer"} else []
    ranges += ["Numbers", "Ratios"] if "number" in types else []
    mapping = {"type": "object", **with_condition, "additionalProperties": False}
    return {"anyOf": [choices, mapping, *(_ref(name) for name in ranges)]}


def _paths(properties: Schema, definitions: Schema) -> dict[str, list[Schema]]:
    """Every path that can be an axis (a field of a trial or of a component), with the schemas of its values."""
    paths: dict[str, list[Schema]] = {name: [_without_default(value)] for name, value in properties.items()}
    for name, value in properties.items():
        if value.get("type") == "array":
            continue  # a dotted path cannot lead into a list
        for reference in [_target(node) for node in _nodes(value) if "$ref" in node]:
            for inner, own in definitions[reference]["properties"].items():
                known = paths.setdefault(f"{name}.{inner}", [])
                if _without_default(own) not in known:
                    known.append(_without_default(own))
    return paths


def _without_default(value: Schema) -> Schema:
    return {key: item for key, item in value.items() if key != "default"}


def _target(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _nodes(value: Any) -> Iterator[Schema]:
    """Every mapping in a schema, outer mappings before inner ones."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _nodes(item)


def _clean(node: Schema) -> None:
    """Remove pydantic's titles, and move the lines of a docstring's "Attributes:" to the fields that they describe."""
    if isinstance(node.get("title"), str):
        del node["title"]
    text, heading, section = str(node.get("description", "")).partition("\nAttributes:\n")
    if heading and "properties" in node:
        node["description"] = text.rstrip()
        for names, line in FIELD.findall(textwrap.dedent(section)):
            for name in names.split(", "):
                if name in node["properties"]:
                    node["properties"][name]["description"] = " ".join(line.split())

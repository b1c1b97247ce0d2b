"""Write the reference of configs, the JSON Schema as a Markdown page: python docs/config_reference.py PAGE."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from farback.cli.plugin_info import allowed, written
from farback.experiment import schema as json_schema

Schema = Mapping[str, Any]
FAMILIES = {
    "task": "Tasks",
    "cell": "Cells",
    "init": "Initialisations",
    "encoder": "Encoders",
    "optimizer": "Optimizers",
    "schedule": "Schedules",
    "measures": "Measures",
}
NO_LINKS: Mapping[str, str] = {}
SWEEP = (("range", "Range"), ("adaptive", "AdaptiveLag"))
DIMENSIONS = (("float", "Numbers"), ("int", "Integers"), ("log", "Ratios"))

HEAD = """# Configs

<!-- written by `make docs` (docs/config_reference.py): change the docstrings, not this page -->"""
INTRODUCTION = (
    "After this page you know every key of a config, its allowed values and its default. A config is "
    "`configs/NAME.yaml`; [sweeps](../sweeps.md) and [searches](../search.md) explain how to write one. An unknown key "
    "or a value of the wrong type is an error with line and column. [configs/schema.json](../../configs/schema.json) "
    "has the same as a JSON Schema for editors."
)

NAMED = "A name alone means all defaults: `{kind}: {name}` equals `{kind}: {{name: {name}}}`."
LISTED = "`{kind}: [{name}]` equals `{kind}: [{{name: {name}}}]`: a list, whose members may be names alone."


def page(schema: Schema) -> str:
    """The page, from the schema that `farback.experiment.schema` makes."""
    whole = schema["properties"]
    base = whole["base"]["anyOf"][0]["properties"]
    parts = [
        HEAD,
        INTRODUCTION,
        "## The file",
        _table(whole, schema, required=schema.get("required", ())),
        "## `base`",
        "The fields of a trial, one training of one network. Fields that a sweep or a search varies may be omitted.",
        _table(base, schema, links=FAMILIES, required=("task", "lag", "cell")),
        "## `sweep`",
        "A list of grids. A grid is the product of its axes; the last axis varies fastest. An axis is a field of "
        "`base`, or a dotted path to a field inside one (`optimizer.lr`, `task.symbols`), with a list of values, or:",
        _forms(SWEEP, schema),
        "`zip:` contains axes of equal length that vary together. `tune:` contains settings that are chosen for each "
        "network before it is judged.",
        _table(schema["$defs"]["AdaptiveLag"]["properties"], schema, required=("adaptive",)),
    ]
    for key, field in whole.items():
        if key not in ("base", "sweep") and (record := _record(field, schema)):
            parts += [f"## `{key}`", _table(record["properties"], schema, required=record.get("required", ()))]
        if key == "search":
            parts += ["A dimension of `space` is a list of choices, or:", _forms(DIMENSIONS, schema)]
    for kind, title in FAMILIES.items():
        parts += [f"## {title}", *_family(kind, base[kind], schema)]
    return "\n\n".join(parts) + "\n"


def _family(kind: str, field: Schema, schema: Schema) -> Iterable[str]:
    """Each component of a kind: its docstring, and its fields without the name."""
    members = [_definition(one["$ref"], schema) for one in _union(field)]
    first = members[0]["properties"]["name"]["const"]
    yield (LISTED if "items" in field else NAMED).format(kind=kind, name=first)
    for member in members:
        fields = {name: field for name, field in member["properties"].items() if name != "name"}
        yield f"### {member['properties']['name']['const']}"
        yield f"```text\n{member['description']}\n```"
        if fields:
            yield _table(fields, schema, required=member.get("required", ()))


def _union(field: Schema) -> Sequence[Schema]:
    """The components that a field may name."""
    node = field.get("items", field)
    for option in node["anyOf"]:
        if "oneOf" in option:
            members: Sequence[Schema] = option["oneOf"]
            return members
    raise ValueError(f"no choice among plug-ins in {field}")


def _record(field: Schema, schema: Schema) -> Schema | None:
    """The record type of a field or of its list members, or None."""
    node = field.get("items", field)
    node = _definition(node["$ref"], schema) if "$ref" in node else node
    return next((option for option in [node, *node.get("anyOf", ())] if "properties" in option), None)


def _definition(name: str, schema: Schema) -> Schema:
    found: Schema = schema["$defs"][name.rpartition("/")[2]]
    return found


def _forms(forms: Iterable[tuple[str, str]], schema: Schema) -> str:
    """Each short form of values, with its description."""
    lines = []
    for key, name in forms:
        node = _definition(name, schema)
        extras = [f"`{one}`" for one in node["properties"] if one not in (key, "when")]
        text = node.get("description", f"between two ends{', with ' + ' or '.join(extras) if extras else ''}")
        lines.append(f"- `{key}:` {text.partition(chr(10) * 2)[0]}")
    return "\n".join(lines)


def _table(fields: Schema, schema: Schema, links: Mapping[str, str] = NO_LINKS, required: Sequence[str] = ()) -> str:
    """A table with a row for each field: name, allowed values, default, description."""
    rows = [["key", "allowed", "default", ""], ["---"] * 4]
    for name, field in fields.items():
        default = "needed" if name in required else f"`{_default(field['default'])}`" if "default" in field else ""
        kind = _link(name, field, links) if name in links else allowed(field, schema)
        rows.append([f"`{name}`", kind, default, _sentence(field, schema)])
    used = [index for index in range(4) if any(row[index] for row in rows[2:])]
    return "\n".join(f"| {' | '.join(row[index] for index in used)} |" for row in rows)


def _link(name: str, field: Schema, titles: Mapping[str, str]) -> str:
    title = titles[name].lower()
    return f"{'a list of' if 'items' in field else 'one of the'} [{title}](#{title})"


def _default(value: Any) -> str:
    """A default as a config would write it; a component is its name."""
    if isinstance(value, Mapping):
        if "name" in value:
            return str(value["name"])
        return f"{{{', '.join(f'{key}: {_default(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_default, value))}]"
    return written(value)


def _sentence(field: Schema, schema: Schema) -> str:
    """The description of a field, or of the definition that it refers to."""
    text = field.get("description") or (
        _definition(field["$ref"], schema).get("description", "") if "$ref" in field else ""
    )
    return " ".join((text[:1].upper() + text[1:]).split())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(json_schema()), encoding="utf-8")

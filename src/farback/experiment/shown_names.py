"""Lets a config name components as tables and figures show them: `cell: GRU`, `cell: RNN tanh`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from farback.experiment.errors import families_of
from farback.experiment.yaml_tree import KeyValue, Node
from farback.records.component import Family
from farback.trials.trial import Trial


def with_own_names(section: KeyValue) -> KeyValue:
    """The base, the sweep or the search of a config with the components' own names (`Family.meant`).

    So `cell: RNN tanh` becomes `cell: {name: elman, nonlinearity: tanh}`, and everything that reads a config sees one
    spelling of each component.
    """
    return KeyValue(section.key, _walked(section.node, families_of(Trial.model_fields)))


def _walked(node: Node, families: dict[str, Family[Any]]) -> Node:
    if isinstance(node.value, tuple):
        return replace(node, value=tuple(_walked(item, families) for item in node.value))
    entries = {}
    for path, own in node.entries.items():
        field = path.removesuffix(".name")
        if field in families:
            entries[path] = KeyValue(own.key, _renamed(own.node, families[field], only_name=field != path))
        else:
            entries[path] = KeyValue(own.key, _walked(own.node, families))
    return replace(node, value=entries) if isinstance(node.value, dict) else node


def _renamed(node: Node, family: Family[Any], only_name: bool) -> Node:
    """A component, or a list of them, with its own name; `only_name`: there is no room for fields beside the name."""
    if isinstance(node.value, tuple):
        return replace(node, value=tuple(_renamed(item, family, only_name) for item in node.value))
    if isinstance(node.value, str):
        spec = family.meant(node.value) or {"name": node.value}
        if len(spec) == 1:
            return replace(node, value=spec["name"])
        return node if only_name else replace(node, value=_entries(node, spec))
    if isinstance(node.value, dict) and "name" in node.value:
        name = node.entries["name"]
        spec = (family.meant(name.node.value) if isinstance(name.node.value, str) else None) or {}
        rest = {key: own for key, own in node.entries.items() if key != "name" or not spec}
        return replace(node, value={**_entries(name.node, spec), **rest})
    if "choices" in node.entries:  # a dimension of a search
        own = node.entries["choices"]
        entries = {**node.entries, "choices": KeyValue(own.key, _renamed(own.node, family, only_name))}
        return _walked(replace(node, value=entries), families_of(Trial.model_fields))
    return node


def _entries(node: Node, spec: dict[str, Any]) -> dict[str, KeyValue]:
    return {name: KeyValue(node.mark, Node(node.mark, value, node.origin)) for name, value in spec.items()}

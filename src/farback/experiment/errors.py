"""Pydantic's errors in plain words, at the place in the config that they are about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from farback.experiment.problems import Mark, joined, shown
from farback.experiment.yaml_tree import Node
from farback.networks.equal_size import MatchError
from farback.records.component import Component, Family
from farback.records.record import Record, choices
from farback.trials.trial import Trial

Schema = Mapping[str, Any]

WORDS = {
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a name or a mapping",
    "none_required": "must be null",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
}


class Located(NamedTuple):
    """One error: where, on which dotted path, what."""

    mark: Mark
    path: str
    message: str


def located(
    error: ErrorDetails, tree: Node, key: Mark, whole: Located, model: type[Record] = Trial, root: str = "base"
) -> Located:
    """One of pydantic's errors about a trial, or about another record, in the config's terms.

    Args:
        error: from `ValidationError.errors()`.
        tree: what was validated.
        key: where the base begins.
        whole: mark and path for an error of the trial as a whole.
        model: the record that was validated.
        root: the path at which it stands.
    """
    begin = partial(_Place, tree, key, model, root)
    place = begin().followed(_one_lag(error["loc"], tree))
    if error["type"] == "extra_forbidden":
        parent = begin().followed(error["loc"][:-1])
        path = re.sub(r"\[\d+\]$", "", place.path)  # an axis is wrong, not its level
        return Located(place.key, path, _unknown_key(str(error["loc"][-1]), parent.model))
    if error["type"] == "missing":
        top = len(error["loc"]) == 1 and model is Trial
        return Located(place.mark, place.path, "is missing: give it in base or as an axis" if top else "is missing")
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return _unnamed(error, place)
    if isinstance(error.get("ctx", {}).get("error"), MatchError):
        matched = place.followed(("match", *list(tree.entries["match"].node.entries)[:1]))
        return Located(matched.mark, matched.path, worded(error))
    if not error["loc"]:
        return whole._replace(message=worded(error))
    if error["loc"][-1] == "name" and error["type"] == "literal_error":
        parent = begin().followed(error["loc"][:-1])
        return Located(place.mark, place.path, _unknown(parent, str(error["input"]), _quoted(error, "expected")))
    return Located(place.mark, place.path, worded(error))


def worded(error: ErrorDetails) -> str:
    """What an error says, without its place."""
    ctx = error.get("ctx", {})
    got = f"got {shown(error['input'])}"
    if error["type"] == "value_error":
        inner = ctx["error"]  # raised by a record's own check, or by a record that the check built
        return worded(inner.errors()[0]) if isinstance(inner, ValidationError) else str(inner)
    if error["type"] == "literal_error":
        allowed = _quoted(error, "expected")
        near = get_close_matches(str(error["input"]), allowed, n=1, cutoff=0.5)
        ordered = ", ".join(shown(item) for item in [*near, *(item for item in allowed if item not in near)])
        hint = f"; did you mean {shown(near[0])}?" if near else ""
        return f"must be one of {ordered or ctx['expected']}, {got}{hint}"
    if error["type"] in WORDS:
        return f"{WORDS[error['type']].format(**{name: shown(value) for name, value in ctx.items()})}, {got}"
    return f"{re.sub('^Input should be', 'must be', error['msg'])}, {got}"


def _quoted(error: ErrorDetails, name: str) -> list[str]:
    """The words that pydantic lists, as in "'zeros' or 'learned'"."""
    return re.findall(r"'([^']*)'", str(error.get("ctx", {}).get(name, "")))


def _unknown_key(key: str, model: type[Any] | None) -> str:
    allowed = [name for name in model.model_fields if name != "name"] if model else []
    if allowed:
        return f"unknown key {shown(key)}; {choices(key, allowed)}"
    return f"unknown key {shown(key)}; {str(model.model_fields['name'].default) + ' ' if model else ''}has no fields"


def _unknown(place: _Place, given: str, allowed: list[str]) -> str:
    broken = place.family.broken() if place.family else {}
    return broken.get(given, f"unknown {place.kind} {shown(given)}; {choices(given, allowed)}")


def _unnamed(error: ErrorDetails, place: _Place) -> Located:
    """A component whose name is missing or unknown."""
    if error["type"] == "union_tag_invalid":
        message = _unknown(place, str(error["ctx"]["tag"]), _quoted(error, "expected_tags"))
        named = place.followed(("name",))
        return Located(named.mark, named.path, message)
    allowed = [str(tag) for tag in place.schema.get("choices", {})]
    has = ", ".join(place.node.entries) if place.node else ""
    message = f"needs a name{f' beside {has}' if has else ''}; choose from {', '.join(allowed)}"
    return Located(place.mark, place.path, message)


def echoes(error: ErrorDetails, tree: Node) -> bool:
    """Whether an error is about a lag that is not written, which a trial takes from its training lags."""
    written = "lag" in tree.entries or ("task" in tree.entries and "lag" in tree.entries["task"].node.entries)
    return error["type"] != "missing" and error["loc"][-1:] == ("lag",) and not written


def _one_lag(loc: tuple[int | str, ...], tree: Node) -> tuple[int | str, ...]:
    """A trial copies its lag to its task and back: point at the one that is written."""
    if loc[-1:] != ("lag",) or loc[0] not in ("task", "lag"):
        return loc
    if "lag" in tree.entries:
        own = "task" in tree.entries and "lag" in tree.entries["task"].node.entries
        return loc if own else ("lag",)
    if "task" in tree.entries and "lag" in tree.entries["task"].node.entries:
        return ("task", "lag")
    return loc


class _Place:
    """A position in a tree and, beside it, in the type that the tree is meant to have.

    Pydantic's locations also name the chosen member of a union; walking the type tells such words from keys.
    """

    def __init__(self, node: Node, key: Mark, model: type[Record], root: str) -> None:
        self.node: Node | None = node
        self.key = key
        self.mark = key
        self.path = root
        self.definitions: dict[str, Schema] = {}
        self.schema: Schema = self.bare(model.__pydantic_core_schema__)

    def bare(self, schema: Schema) -> Schema:
        """A core schema without defaults, validators and references around it."""
        while True:
            if schema["type"] == "definitions":
                self.definitions |= {item["ref"]: item for item in schema["definitions"]}
            if schema["type"] == "definition-ref":
                schema = self.definitions[schema["schema_ref"]]
            elif "schema" in schema and schema["type"] != "model":
                schema = schema["schema"]
            else:
                return schema

    def followed(self, loc: tuple[int | str, ...]) -> _Place:
        """Move along one of pydantic's locations."""
        for item in loc:
            self.step(item)
        return self

    def step(self, item: int | str) -> None:
        schema, inner = self.schema, None
        if schema["type"] == "tagged-union":
            member = schema["choices"].get(item)
            if member is not None:
                self.schema = self.bare(member)
                return
        elif schema["type"] == "model":
            inner = self.bare(schema["schema"]).get("fields", {}).get(item, {}).get("schema")
        elif schema["type"] in ("tuple", "list"):
            items = schema["items_schema"]
            inner = items[min(int(item), len(items) - 1)] if isinstance(items, list) else items
        elif schema["type"] == "union":
            return  # an untagged member's label
        self.schema = self.bare(inner) if inner else {"type": "any"}
        self.move(item)

    def move(self, item: int | str) -> None:
        """To a key or position, or past the end of what is written."""
        value = self.node.value if self.node else None
        if item == "name" and isinstance(value, str):
            return  # a bare name
        self.node = None
        if isinstance(value, dict) and item in value:
            self.key, self.node = value[str(item)]
        elif isinstance(value, tuple) and isinstance(item, int) and item < len(value):
            self.node = value[item]
            self.key = self.node.mark
        self.path = (self.node.origin if self.node else "") or joined(self.path, item)
        if self.node:
            self.mark = (
                self.node.mark if self.node.origin or not isinstance(self.node.value, dict | tuple) else self.key
            )

    @property
    def model(self) -> type[Any] | None:
        """The record that belongs here."""
        return self.schema["cls"] if self.schema["type"] == "model" else None

    @property
    def family(self) -> Family[Any] | None:
        """Of the component that belongs here."""
        members = [self.schema, *self.schema.get("choices", {}).values()]
        classes = [self.bare(member).get("cls") for member in members if isinstance(member, Mapping)]
        found = [item.family for item in classes if item and issubclass(item, Component) and item.family]
        return found[0] if found else None

    @property
    def kind(self) -> str:
        """What one of these is called: "cell"."""
        return self.family.kind if self.family else re.sub(r"\[\d+\]", "", self.path).rpartition(".")[2]

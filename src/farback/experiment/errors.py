"""Turns pydantic's validation errors into plain messages with their position in the config."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, get_args

from pydantic import Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from farback.cells.support.made_module import ModuleError
from farback.experiment.absent_settings import answer
from farback.experiment.problems import Mark, Problem, joined, shown
from farback.experiment.yaml_tree import Node
from farback.networks.equal_size import MatchError
from farback.networks.module_network import NetworkError
from farback.records.component import Component, Family
from farback.records.parts import misnamed
from farback.records.record import Record, named
from farback.records.user_error import SYNONYMS, choices, nearest
from farback.trials.trial import Trial

WORDS = {
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a name or a mapping",
    "none_required": "must be null",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
}

OF_ONE_VALUE = ("int_type", "float_type", "bool_type", "string_type", "literal_error", "model_attributes_type")


def record_problems(failure: ValidationError, tree: Node, key: Mark, path: str, model: type[Record]) -> list[Problem]:
    """The problems of a record that begins at `key` and has the dotted path `path`; for trials, see `problem`."""
    found = [problem(error, tree, key, (key, path), model, path) for error in failure.errors(include_url=False)]
    return list(dict.fromkeys(found))


def problem(
    error: ErrorDetails, tree: Node, key: Mark, whole: tuple[Mark, str], model: type[Record] = Trial, root: str = "base"
) -> Problem:
    """One of pydantic's errors as a problem with its position; errors of the whole record get the position `whole`."""
    place = _Place(tree, key, model, root).followed(_written_lag(error["loc"], tree))
    parent = _Place(tree, key, model, root).followed(error["loc"][:-1])
    mark, path, message = place.mark, place.path, worded(error)
    if error["type"] == "extra_forbidden":
        mark, path = place.key, re.sub(r"\[\d+\]$", "", place.path)  # the axis is wrong, not its level
        message = _unknown_key(str(error["loc"][-1]), parent.record)
    elif error["type"] == "missing":
        is_trial_field = len(error["loc"]) == 1 and model is Trial
        message = "is missing: give it in base or as an axis" if is_trial_field else "is missing"
    elif error["type"] == "union_tag_invalid":
        message = _unknown_name(place, str(error["ctx"]["tag"]), _quoted(error, "expected_tags"))
        name = place.followed(("name",))
        mark, path = name.mark, name.path
    elif error["type"] == "union_tag_not_found":
        beside = f" beside {', '.join(place.node.entries)}" if place.node and place.node.entries else ""
        names = place.family.names() if place.family else []
        message = f"needs a name{beside}; choose from {', '.join(names)}"
    elif isinstance(error.get("ctx", {}).get("error"), MatchError):
        matched = place.followed(("match", *list(tree.entries["match"].node.entries)[:1]))
        mark, path = matched.mark, matched.path
    elif isinstance(error.get("ctx", {}).get("error"), ModuleError):
        cell = place.followed(("network" if "network" in tree.entries else "cell",))
        mark, path = cell.mark, cell.path
    elif isinstance(inner := error.get("ctx", {}).get("error"), NetworkError):
        own = place.followed((inner.field,))
        mark, path = (own.key, own.path) if inner.field in tree.entries else (own.mark, own.path)
    elif not error["loc"]:
        mark, path = whole
    elif error["loc"][-1] == "name" and error["type"] == "literal_error":
        message = _unknown_name(parent, str(error["input"]), _quoted(error, "expected"))
    return Problem(str(mark), path, message + _null_hint(error, parent.record) + _sweep_hint(error, path))


def _sweep_hint(error: ErrorDetails, path: str) -> str:
    """Where levels of an axis are written, if they were given for a setting that all trials share."""
    given = error["input"]
    is_levels = isinstance(given, dict) and bool({"adaptive", "range"} & set(given))
    is_list = isinstance(given, list) and error["type"] in OF_ONE_VALUE
    if not (path.startswith("base.") and (is_levels or is_list)):
        return ""
    return f"; what varies is written below sweep: (- {path.removeprefix('base.')}: {shown(given)})"


def _null_hint(error: ErrorDetails, model: type[Record] | None) -> str:
    """How to write that a setting is left out, if a word such as "none" was given for one that may be null."""
    field = model.model_fields.get(str(error["loc"][-1])) if model and error["loc"] else None
    if field is None or type(None) not in get_args(field.annotation):
        return ""
    is_none = isinstance(error["input"], str) and error["input"].lower() in ("none", "nil", "off", "no", "")
    return "; write null to leave it out" if is_none else ""


def worded(error: ErrorDetails) -> str:
    """The message of an error, without its position."""
    ctx = error.get("ctx", {})
    got = f"got {shown(error['input'])}"
    if error["type"] == "value_error":
        inner = ctx["error"]  # raised by a record's own validator, or by a record that the validator built
        return worded(inner.errors()[0]) if isinstance(inner, ValidationError) else str(inner)
    if error["type"] == "literal_error":
        allowed = _quoted(error, "expected")
        near = nearest(str(error["input"]), allowed)
        ordered = ", ".join(shown(item) for item in sorted(allowed, key=lambda item: item != near))
        hint = f"; did you mean {shown(near)}?" if near else ""
        return f"must be one of {ordered or ctx['expected']}, {got}{hint}"
    if error["type"] in WORDS:
        return f"{WORDS[error['type']].format(**{name: shown(value) for name, value in ctx.items()})}, {got}"
    return f"{re.sub('^Input should be', 'must be', error['msg'])}, {got}"


def reason(error: ValueError) -> str:
    """An error of a record on one line, without pydantic's wording."""
    return "; ".join(map(worded, error.errors())) if isinstance(error, ValidationError) else str(error)


def _quoted(error: ErrorDetails, name: str) -> list[str]:
    """The words that pydantic lists in quotes, as in "'zeros' or 'learned'"."""
    return re.findall(r"'([^']*)'", str(error.get("ctx", {}).get(name, "")))


def _unknown_key(key: str, model: type[Any] | None) -> str:
    is_component = model is not None and issubclass(model, Component)
    fields = model.model_fields if model else {}
    allowed = [field.alias or name for name, field in fields.items() if name != "name" or not is_component]
    if absent := answer(key):
        return f"unknown key {shown(key)}; {absent}"
    if allowed:
        return f"unknown key {shown(key)}; {_owners(key, model)}{choices(key, allowed, _elsewhere(key, fields))}"
    return f"unknown key {shown(key)}; {str(model.model_fields['name'].default) + ' ' if model else ''}has no fields"


def _owners(key: str, model: type[Any] | None) -> str:
    """Which few other components of the same kind have this key: "it belongs to adamw; "; empty otherwise."""
    family = getattr(model, "family", None)
    owners = [member for member in family.members() if key in member.model_fields] if family else []
    names = [str(member.model_fields["name"].default) for member in owners]
    return f"it belongs to {' and '.join(names)}; " if 0 < len(names) <= 3 else ""


def _elsewhere(key: str, fields: Mapping[str, FieldInfo]) -> str | None:
    """Where a key that is unknown here belongs, as `base.hidden`, `optimizer.lr` or `cell: gru`; None if nowhere."""
    words = (key, *SYNONYMS.get(key.lower(), ()))
    if "base" in fields:
        below = next((f"base.{word}" for word in words if word in Trial.model_fields), None)
        return below or (f"base.{found}" if (found := _elsewhere(key, Trial.model_fields)) else None)
    families = families_of(fields)
    for name, family in families.items():
        if key.lower() in family.names():
            return f"{name}: {key.lower()}"
    for name, family in families.items():
        for word in words:
            if (
                name != "measures"
                and word != "name"
                and any(word in member.model_fields for member in family.members())
            ):
                return f"{name}.{word}"
    return None


def families_of(fields: Mapping[str, FieldInfo]) -> dict[str, Family[Any]]:
    """The family of each field that holds components."""
    return {
        name: record.family
        for name, field in fields.items()
        for record in _records(field.annotation)
        if issubclass(record, Component) and record.family and record is record.family.base
    }


def _unknown_name(place: _Place, given: str, allowed: list[str]) -> str:
    labels = place.family.labels() if place.family else {}
    hint = nearest(given, allowed) or nearest(given, labels)
    folder = misnamed(place.family.package.rpartition(".")[2]) if place.family else ""
    return f"unknown {place.kind} {shown(given)}; {choices(given, allowed, hint)}{folder}"


def repeats_train_lags(error: ErrorDetails, tree: Node) -> bool:
    """Whether an error is about a lag that the trial copied from its training lags, so the user did not write it."""
    return error["type"] != "missing" and error["loc"][-1:] == ("lag",) and not _lag_paths(tree)


def _written_lag(loc: tuple[int | str, ...], tree: Node) -> tuple[int | str, ...]:
    """The location of the lag that the user wrote: a trial copies its lag to its task and back."""
    paths = _lag_paths(tree)
    return paths[0] if len(paths) == 1 and loc[-1:] == ("lag",) and loc[0] in ("task", "lag") else loc


def _lag_paths(tree: Node) -> list[tuple[str, ...]]:
    task = tree.child("task")
    return [*([("lag",)] if "lag" in tree.entries else []), *([("task", "lag")] if task and task.child("lag") else [])]


class _Place:
    """A position in the config, and the record classes that are allowed there.

    Pydantic's locations also contain labels of union members, which are neither written in the config nor fields.
    """

    def __init__(self, node: Node, key: Mark, model: type[Record], root: str) -> None:
        self.node: Node | None = node
        self.key = self.mark = key
        self.path = root
        self.records: list[type[Record]] = [model]  # a family's base class stands for all its members
        self.tagged: dict[str, list[type[Record]]] = {}  # record classes by their label in a tagged union

    def followed(self, loc: tuple[int | str, ...]) -> _Place:
        """Move along one of pydantic's locations, and return this place."""
        for item in loc:
            if isinstance(item, int):
                self._move(item)
            elif not self._choose(item):
                fields = [record.model_fields[item] for record in self.records if item in record.model_fields]
                if fields or (self.node and item in self.node.entries):
                    self.records = [record for field in fields for record in _records(field.annotation)]
                    self.tagged = {tag: own for field in fields for tag, own in _tagged(field.annotation).items()}
                    self._move(item)
                    self._choose_component()
        return self

    def _choose(self, label: str) -> bool:
        """Keep only the member of a union that pydantic calls `label`, if there is one."""
        if label in self.tagged:
            self.records, self.tagged = self.tagged[label], {}
            return True
        return False

    def _choose_component(self) -> None:
        """Keep only the class of the component that the config names here, if there is one of that name."""
        if self.node and self.family and self.record is self.family.base:
            written = named(self.node.plain)
            if isinstance(written, dict) and written.get("name"):
                with suppress(ValueError):
                    self.records = [self.family.plugin(str(written["name"]))]

    def _move(self, item: int | str) -> None:
        """Go to a key or list position, even if the config does not contain it."""
        value = self.node.value if self.node else None
        if item == "name" and isinstance(value, str):
            return  # a component given by its bare name
        self.node = None
        if isinstance(value, dict) and item in value:
            self.key, self.node = value[str(item)]
        elif isinstance(value, tuple) and isinstance(item, int) and item < len(value):
            self.node = value[item]
            self.key = self.node.mark
        self.path = (self.node.origin if self.node else "") or joined(self.path, item)
        if self.node:
            is_scalar = not isinstance(self.node.value, dict | tuple)
            self.mark = self.node.mark if self.node.origin or is_scalar else self.key

    @property
    def record(self) -> type[Record] | None:
        return self.records[0] if self.records else None

    @property
    def family(self) -> Family[Any] | None:
        return next((one.family for one in self.records if issubclass(one, Component) and one.family), None)

    @property
    def kind(self) -> str:
        """The noun for what belongs at this position: "cell"."""
        return self.family.kind if self.family else re.sub(r"\[\d+\]", "", self.path).rpartition(".")[2]


def _records(annotation: Any) -> list[type[Record]]:
    """The record classes that a type contains: [Measure] for `tuple[Measure, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return [annotation]
    return [record for inner in get_args(annotation) for record in _records(inner)]


def _tagged(annotation: Any) -> dict[str, list[type[Record]]]:
    """The record classes in a type by tag: {"uniform": [Uniform]} for `Annotated[Uniform, Tag("uniform")]`."""
    arguments = get_args(annotation)
    own = {one.tag: _records(annotation) for one in arguments if isinstance(one, Tag)}
    return own | {tag: records for one in arguments for tag, records in _tagged(one).items()}

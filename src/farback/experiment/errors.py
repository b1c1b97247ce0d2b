"""Pydantic's errors in plain words, at the place in the config that they are about."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple, get_args

from pydantic import Tag, ValidationError
from pydantic_core import ErrorDetails

from farback.experiment.problems import Mark, Problem, joined, shown
from farback.experiment.yaml_tree import Node
from farback.networks.equal_size import MatchError
from farback.records.component import Component, Family
from farback.records.record import Record, choices
from farback.trials.trial import Trial

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


def record_problems(failure: ValidationError, node: Node, key: Mark, path: str, model: type[Record]) -> list[Problem]:
    """What is wrong with a record, other than a trial, that was read from a config.

    Args:
        failure: raised by validating it.
        node: what was validated.
        key: where it begins.
        path: dotted path of it.
        model: its class.
    """
    whole = Located(key, path, "")
    found = [located(error, node, key, whole, model, path) for error in failure.errors(include_url=False)]
    return [Problem(str(one.mark), one.path, one.message) for one in dict.fromkeys(found)]


def located(
    error: ErrorDetails, tree: Node, key: Mark, whole: Located, model: type[Record] = Trial, root: str = "base"
) -> Located:
    """One of pydantic's errors about a record, in the config's terms.

    Args:
        error: from `ValidationError.errors()`.
        tree: what was validated.
        key: where it begins.
        whole: mark and path for an error of the record as a whole.
        model: the record's class.
        root: dotted path of the record.
    """
    place = _Place(tree, key, model, root).followed(_one_lag(error["loc"], tree))
    parent = _Place(tree, key, model, root).followed(error["loc"][:-1])
    if error["type"] == "extra_forbidden":
        path = re.sub(r"\[\d+\]$", "", place.path)  # an axis is wrong, not its level
        return Located(place.key, path, _unknown_key(str(error["loc"][-1]), parent.record))
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
    allowed = place.family.names() if place.family else []
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
    """A position in what is written and, beside it, the record that belongs there.

    Pydantic's locations also name the chosen member of a union: such a label is neither written nor a field.
    """

    def __init__(self, node: Node, key: Mark, model: type[Record], root: str) -> None:
        self.node: Node | None = node
        self.key = self.mark = key
        self.path = root
        self.records: list[type[Record]] = [model]  # what may stand here; a family's base stands for its members
        self.tagged: dict[str, list[type[Record]]] = {}  # the same, by the labels of a union with tags

    def followed(self, loc: tuple[int | str, ...]) -> _Place:
        """Move along one of pydantic's locations."""
        for item in loc:
            if isinstance(item, int):
                self._move(item)
            elif not self._choose(item):
                fields = [record.model_fields[item] for record in self.records if item in record.model_fields]
                if fields or (self.node and item in self.node.entries):
                    self.records = [found for field in fields for found in _records(field.annotation)]
                    self.tagged = {tag: found for field in fields for tag, found in _tagged(field.annotation).items()}
                    self._move(item)
        return self

    def _choose(self, label: str) -> bool:
        """Keep the member of a union that pydantic calls `label`, if one is called so: the label comes first."""
        if label in self.tagged:
            self.records, self.tagged = self.tagged[label], {}
            return True
        if self.family and self.record is self.family.base and label in (members := _members(self.family)):
            self.records = [members[label]]
            return True
        return False

    def _move(self, item: int | str) -> None:
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
    def record(self) -> type[Record] | None:
        """The class of the record that is written here."""
        return self.records[0] if self.records else None

    @property
    def family(self) -> Family[Any] | None:
        """Of the component that belongs here."""
        return next((one.family for one in self.records if issubclass(one, Component) and one.family), None)

    @property
    def kind(self) -> str:
        """What one of these is called: "cell"."""
        return self.family.kind if self.family else re.sub(r"\[\d+\]", "", self.path).rpartition(".")[2]


@cache  # as pydantic does: a field keeps the members that it had when its record was defined
def _members(family: Family[Any]) -> dict[str, type[Record]]:
    """The plug-ins of a family, by their names."""
    return {member.model_fields["name"].default: member for member in family.members()}


def _records(annotation: Any) -> list[type[Record]]:
    """The record classes in a type, such as those of `tuple[Measure, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _records(inner)]


def _tagged(annotation: Any) -> dict[str, list[type[Record]]]:
    """The record classes of each tag in a type, such as `Annotated[Uniform, Tag("uniform")] | ...`."""
    arguments = get_args(annotation)
    found = {one.tag: _records(annotation) for one in arguments if isinstance(one, Tag)}
    return found | {tag: records for one in arguments for tag, records in _tagged(one).items()}

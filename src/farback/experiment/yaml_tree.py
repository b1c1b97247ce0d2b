"""Parses YAML text to a tree in which every key and value has its line and column.

The tree is built from ruamel.yaml's parsing events, so that every key and value keeps its position. Plain scalars
follow the core schema of YAML 1.2 only: `1e-3` is a number, but `no`, `1_000` and `2024-01-01` are text. `1e3` is the
integer 1000. Tags are refused, because they can create arbitrary objects. Limits on size and depth make hostile files
quick to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from farback.experiment.problems import ConfigError, Mark, Problems, joined, shown
from farback.records.user_error import choices

LARGEST_FILE = 262_144  # bytes; ruamel.yaml takes seconds to parse this much, and a config is about a page
DEEPEST = 32  # levels of nesting; ruamel.yaml's time grows with the square of the depth
MOST_VALUES = 20_000  # values, counting every use of an alias
MOST_PROBLEMS = 100
LONGEST_NUMBER = 40  # characters
LISTED_FILES = 20  # in the message about a missing file

NUMBERS: tuple[tuple[str, Callable[[str], int | float]], ...] = (
    (r"[-+]?[0-9]+", int),
    (r"0o[0-7]+", lambda text: int(text[2:], 8)),
    (r"0x[0-9a-fA-F]+", lambda text: int(text[2:], 16)),
    (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", lambda text: _number(text)),
    (r"[-+]?\.(inf|Inf|INF)", lambda text: float(text.replace(".", ""))),
    (r"\.(nan|NaN|NAN)", lambda text: float("nan")),
)

LARGEST_EXACT = 2**53  # larger numbers of double precision may stand for another integer


def _number(text: str) -> int | float:
    """A number in decimal notation; with an exponent and without a fraction it is an integer: 1e3 is 1000."""
    number = float(text)
    is_count = "e" in text.lower() and number.is_integer() and abs(number) <= LARGEST_EXACT
    return int(number) if is_count else number


Scalar = str | int | float | bool | None


class KeyValue(NamedTuple):
    """The position of a key of a mapping, and its value."""

    key: Mark
    node: Node


@dataclass(frozen=True, eq=False)
class Node:
    """A value and its position.

    `origin` is the dotted path in the file if the value was moved elsewhere in the tree (as the levels of a sweep are);
    `size` is the number of values in this subtree, including the value itself.
    """

    mark: Mark
    value: Scalar | tuple[Node, ...] | dict[str, KeyValue]
    origin: str = ""
    size: int = 1

    @cached_property
    def plain(self) -> Any:
        """The value as plain lists, dicts and scalars."""
        if isinstance(self.value, dict):
            return {name: entry.node.plain for name, entry in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain for node in self.value]
        return self.value

    @property
    def entries(self) -> dict[str, KeyValue]:
        """The keys and values of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    def child(self, name: str) -> Node | None:
        """The value of a key, if this is a mapping that has it."""
        entry = self.entries.get(name)
        return entry.node if entry else None


def tree_of(value: Any, mark: Mark, origin: str = "") -> Node:
    """The tree of plain values, such as the arguments of a function; `origin` is the path of the value in messages."""
    if isinstance(value, Mapping):
        items = {str(key): tree_of(item, mark, joined(origin, str(key))) for key, item in value.items()}
        return Node(mark, {key: KeyValue(mark, item) for key, item in items.items()}, origin)
    if isinstance(value, list | tuple):
        return Node(mark, tuple(tree_of(item, mark, joined(origin, i)) for i, item in enumerate(value)), origin)
    return Node(mark, value, origin)


def read(path: Path) -> tuple[str, Node]:
    """The text of a config file and its tree.

    Raises:
        ConfigError: the file is missing, unreadable, too large, not UTF-8, or not YAML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError.at(str(path), "", f"cannot be read ({reason.lower()}){_siblings(path)}") from None
    if len(data) > LARGEST_FILE:
        raise ConfigError.at(str(path), "", f"is larger than {LARGEST_FILE // 1024} kB, too large for a config")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        mark = Mark(str(path), line, column)
        raise ConfigError.at(mark, "", f"is not UTF-8 (byte 0x{data[error.start]:02x})") from None
    return text, parse(text, str(path))


def _siblings(path: Path) -> str:
    """A hint that lists the configs in the folder of a missing file."""
    try:
        names = sorted(item.name for item in path.parent.glob("*.yaml"))[:LISTED_FILES] if not path.exists() else []
    except (OSError, ValueError):
        return ""
    return f"; {choices(path.name, names)}" if names else ""


def parse(text: str, source: str, lines: bool = True) -> Node:
    """The tree of one YAML document; an empty text is null.

    Messages name the `source` (a file or a command-line option) and, if `lines` is true, also line and column.

    Raises:
        ConfigError: the text is not YAML, has tags, duplicate keys or self-references, or exceeds a limit above.
    """
    builder = _TreeBuilder(source, lines)
    try:
        root = builder.document(YAML(typ="safe", pure=True).parse(text))
    except ConfigError:
        raise
    except MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        mark = builder.mark(place.line, place.column) if place else Mark(source)
        words = [part for part in (error.problem, error.context) if part]
        raise ConfigError.at(mark, "", f"not YAML: {', '.join(words)}") from None
    except ReaderError as error:
        before = text[: error.position]
        mark = builder.mark(before.count("\n"), len(before) - before.rfind("\n") - 1)
        what = f"the character U+{ord(text[error.position]):04X} is not allowed"
        raise ConfigError.at(mark, "", f"not YAML: {what}") from None
    except Exception as error:  # ruamel.yaml raises exceptions of many types on hostile text
        raise ConfigError.at(builder.last, "", f"not YAML: {error}") from None
    if builder.problems:
        raise ConfigError(builder.problems)
    return root


class _TreeBuilder:
    """Builds a tree from parsing events. ruamel.yaml parses lazily, so an error here also stops the parser."""

    def __init__(self, source: str, lines: bool) -> None:
        self.source, self.lines = source, lines
        self.problems = Problems()
        self.anchors: dict[str, Node] = {}
        self.path: list[str | int] = []
        self.count = 0  # events so far
        self.last = self.mark(0, 0)  # position of the last event

    def mark(self, line: int, column: int) -> Mark:
        return Mark(self.source, line + 1, column + 1) if self.lines else Mark(self.source)

    def report(self, mark: Mark, message: str) -> None:
        self.problems.add(mark, joined(*self.path), message)
        if len(self.problems) > MOST_PROBLEMS:
            raise ConfigError(self.problems)

    def refuse(self, mark: Mark, message: str) -> NoReturn:
        self.report(mark, message)
        raise ConfigError(self.problems)

    def document(self, events: Iterator[Any]) -> Node:
        root: Node | None = None
        self.events = map(self.checked, events)
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                if root:
                    self.refuse(self.last, "a config must be one YAML document, but a second one begins after '---'")
                if event.version not in (None, (1, 2)) or event.tags:
                    self.refuse(self.last, "the only directive allowed is %YAML 1.2")
            elif isinstance(event, AliasEvent | ScalarEvent | SequenceStartEvent | MappingStartEvent):
                root = self.node(event, self.last)
        return root or Node(self.mark(0, 0), None)

    def checked(self, event: Any) -> Any:
        """An event, after noting its position and refusing tags and too many values."""
        self.last = self.mark(event.start_mark.line, event.start_mark.column)
        self.count += 1
        if self.count > MOST_VALUES:
            self.refuse(self.last, f"holds more than {MOST_VALUES} values")
        if getattr(event, "tag", None) is not None:
            self.report(self.last, f"tags are not allowed, got {shown(str(event.tag))}")
        return event

    def node(self, event: Any, mark: Mark) -> Node:
        if isinstance(event, AliasEvent):
            if event.anchor not in self.anchors:
                self.refuse(mark, f"the alias *{event.anchor} needs an anchor &{event.anchor} that ends before it")
            return self.anchors[event.anchor]
        if isinstance(event, ScalarEvent):
            text = self.writable(event.value, mark)
            node = Node(mark, self.scalar(text, mark) if event.style is None else text)
        else:
            if len(self.path) == DEEPEST:
                self.refuse(mark, f"nested deeper than {DEEPEST} levels")
            value = self.items() if isinstance(event, SequenceStartEvent) else self.mapping()
            children = value if isinstance(value, tuple) else [entry.node for entry in value.values()]
            node = Node(mark, value, size=1 + sum(child.size for child in children))
            if node.size > MOST_VALUES:
                self.refuse(mark, f"holds more than {MOST_VALUES} values")
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def items(self) -> tuple[Node, ...]:
        items: list[Node] = []
        self.path.append(0)
        while not isinstance(event := next(self.events), SequenceEndEvent):
            items.append(self.node(event, self.last))
            self.path[-1] = len(items)
        self.path.pop()
        return tuple(items)

    def mapping(self) -> dict[str, KeyValue]:
        """The keys and values of a mapping. Its own keys take precedence over keys merged with `<<`."""
        entries: dict[str, KeyValue] = {}
        merged: list[Node] = []
        self.path.append("")
        while not isinstance(event := next(self.events), MappingEndEvent):
            key = self.last
            name = self.path[-1] = self.key(event, key)
            node = self.node(next(self.events), self.last)
            if node.value is None and node.mark.line > key.line:
                node = replace(node, mark=key)  # ruamel.yaml places an omitted value where the next one begins
            if name == "<<":
                sources = node.value if isinstance(node.value, tuple) else (node,)
                if not all(isinstance(item.value, dict) for item in sources):
                    self.refuse(key, "<< takes a mapping or a list of mappings")
                merged += sources
            elif name in entries:
                first = entries[name].key
                where = f", first on line {first.line}" if first.line else ""
                self.report(key, f"key {shown(name)} is given twice{where}")
            else:
                entries[name] = KeyValue(key, node)
            self.path[-1] = ""
        self.path.pop()
        for source in merged:
            for name, entry in source.entries.items():
                entries.setdefault(name, entry)
        return entries

    def key(self, event: Any, mark: Mark) -> str:
        """A key as text: `5: x` has the key "5"."""
        node = self.node(event, mark)
        if isinstance(node.value, dict | tuple):
            self.refuse(mark, "a key must be a word, got a list or a mapping")
        return event.value if isinstance(event, ScalarEvent) and not isinstance(node.value, str) else str(node.value)

    def writable(self, text: str, mark: Mark) -> str:
        """The text with surrogate pairs combined, which JSON escapes produce; an error if UTF-8 cannot encode it."""
        if re.search(r"[\ud800-\udfff]", text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        if wrong := re.search(r"[\x00\ud800-\udfff]", text):
            self.refuse(mark, f"the character U+{ord(wrong[0]):04X} cannot be stored in a file")
        return text

    def scalar(self, text: str, mark: Mark) -> Scalar:
        """The value of a plain scalar, by the core schema of YAML 1.2.2 (section 10.3.2)."""
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
            return text[0] in "tT"
        number = next((convert for pattern, convert in NUMBERS if re.fullmatch(pattern, text)), None)
        if number is None:
            return text
        if len(text) > LONGEST_NUMBER:
            self.report(mark, f"a number of {len(text)} characters is too long")
            return None
        return number(text)

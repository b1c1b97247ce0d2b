"""YAML text to a tree of values that know where they stand.

ruamel.yaml scans and parses; the tree is built here from its events, so that every key and value keeps its mark, plain
scalars follow the core schema of YAML 1.2 and nothing else (`1e-3` is a number; `no`, `1_000` and `2024-01-01` are
text), tags, which could ask for objects, are refused, and hostile text (deep nesting, aliases of aliases) costs little.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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

from farback.experiment.problems import ConfigError, Mark, Problem, joined, shown
from farback.records.record import choices

LARGEST_FILE = 262_144  # bytes; ruamel needs seconds for this much, and a config is a page
DEEPEST = 32  # levels of nesting; ruamel's time grows with the square of them
MOST_VALUES = 20_000  # values, once aliases are followed
MOST_PROBLEMS = 100
LONGEST_NUMBER = 40  # characters
MERGE = "<<"

NUMBERS: tuple[tuple[str, Callable[[str], int | float]], ...] = (
    (r"[-+]?[0-9]+", int),
    (r"0o[0-7]+", lambda text: int(text[2:], 8)),
    (r"0x[0-9a-fA-F]+", lambda text: int(text[2:], 16)),
    (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", float),
    (r"[-+]?\.(inf|Inf|INF)", lambda text: float(text.replace(".", ""))),
    (r"\.(nan|NaN|NAN)", lambda text: float("nan")),
)

Scalar = str | int | float | bool | None


class Entry(NamedTuple):
    """A key of a mapping, where it stands, and its value."""

    key: Mark
    node: Node


@dataclass(frozen=True, eq=False)
class Node:
    """A value and where it stands. `origin` is its dotted path where a value was moved from, as sweep levels are."""

    mark: Mark
    value: Scalar | tuple[Node, ...] | dict[str, Entry]
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
    def entries(self) -> dict[str, Entry]:
        """The entries of a mapping; none of anything else."""
        return self.value if isinstance(self.value, dict) else {}


def read(path: Path) -> tuple[str, Node]:
    """The text of a config file and its tree.

    Raises:
        ConfigError: no such file, not a file, too large, not UTF-8, not YAML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError([Problem(str(path), "", f"cannot be read ({reason.lower()}){_siblings(path)}")]) from None
    if len(data) > LARGEST_FILE:
        raise ConfigError([Problem(str(path), "", f"is larger than {LARGEST_FILE // 1024} kB, too large for a config")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        mark = Mark(str(path), line, column)
        raise ConfigError([Problem(str(mark), "", f"is not UTF-8 (byte 0x{data[error.start]:02x})")]) from None
    return text, parse(text, str(path))


def _siblings(path: Path) -> str:
    """The configs that are there, where the one asked for is not."""
    try:
        names = sorted(item.name for item in path.parent.glob("*.yaml"))[:20] if not path.exists() else []
    except (OSError, ValueError):
        return ""
    return f"; {choices(path.name, names)}" if names else ""


def parse(text: str, source: str, lines: bool = True) -> Node:
    """The tree of a YAML text; an empty text is null.

    Args:
        text: one YAML document.
        source: the file it comes from, or the override.
        lines: whether marks carry line and column.

    Raises:
        ConfigError: not YAML, or YAML with tags, duplicate keys, self-reference, or out of bounds.
    """
    builder = _Builder(source, lines)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except ConfigError:
        raise
    except MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = builder.mark(at.line, at.column) if at else Mark(source)
        words = [part for part in (error.problem, error.context) if part]
        raise ConfigError([Problem(str(mark), "", f"not YAML: {', '.join(words)}")]) from None
    except ReaderError as error:
        before = text[: error.position]
        mark = builder.mark(before.count("\n"), len(before) - before.rfind("\n") - 1)
        what = f"the character U+{ord(text[error.position]):04X} is not allowed"
        raise ConfigError([Problem(str(mark), "", f"not YAML: {what}")]) from None
    except Exception as error:  # ruamel's scanner raises many types on hostile text: it was at or behind this place
        raise ConfigError([Problem(str(builder.at), "", f"not YAML: {error}")]) from None
    if builder.problems:
        raise ConfigError(builder.problems)
    return builder.root or Node(builder.mark(0, 0), None)


@dataclass
class _Open:
    """A list or mapping whose end has not come."""

    mark: Mark
    anchor: str | None
    mapping: bool
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    merged: list[Node] = field(default_factory=list)
    key: tuple[str, Mark] | None = None


class _Builder:
    """Builds the tree from the parser's events, as they come: ruamel's parser is lazy, so what is refused stops it."""

    def __init__(self, source: str, lines: bool) -> None:
        self.source, self.lines = source, lines
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self.open: list[_Open] = []
        self.anchors: dict[str, Node] = {}
        self.taken = 0
        self.at = self.mark(0, 0)  # the last event

    def mark(self, line: int, column: int) -> Mark:
        return Mark(self.source, line + 1, column + 1) if self.lines else Mark(self.source)

    def path(self) -> str:
        parts = [(level.key[0] if level.key else "") if level.mapping else len(level.items) for level in self.open]
        return joined(*parts)

    def refuse(self, mark: Mark, message: str) -> NoReturn:
        raise ConfigError([*self.problems, Problem(str(mark), self.path(), message)])

    def take(self, event: Any) -> None:
        mark = self.at = self.mark(event.start_mark.line, event.start_mark.column)
        self.taken += 1
        if len(self.problems) > MOST_PROBLEMS:
            raise ConfigError(self.problems)
        if self.taken > MOST_VALUES:
            self.refuse(mark, f"holds more than {MOST_VALUES} values")
        if getattr(event, "tag", None) is not None:
            self.problems.append(Problem(str(mark), self.path(), f"tags are not read, got {shown(str(event.tag))}"))
        match event:
            case DocumentStartEvent():
                if self.root:
                    self.refuse(mark, "a config is one YAML document, and this one goes on after '---'")
                if event.version not in (None, (1, 2)) or event.tags:
                    self.refuse(mark, "directives other than %YAML 1.2 are not read")
            case ScalarEvent():
                text = self.writable(event.value, mark)
                plain = event.style is None
                if plain and text == "<<" and self.open and self.open[-1].mapping and not self.open[-1].key:
                    self.open[-1].key = (MERGE, mark)
                else:
                    node = Node(mark, self.scalar(text, mark) if plain else text)
                    self.put(node, event.anchor, text)
            case AliasEvent():
                if event.anchor not in self.anchors:
                    self.refuse(mark, f"*{event.anchor} has no anchor &{event.anchor} that ends before it")
                self.put(self.anchors[event.anchor], None, None)
            case SequenceStartEvent() | MappingStartEvent():
                if len(self.open) == DEEPEST:
                    self.refuse(mark, f"nested deeper than {DEEPEST} levels")
                self.open.append(_Open(mark, event.anchor, isinstance(event, MappingStartEvent)))
            case SequenceEndEvent() | MappingEndEvent():
                done = self.open.pop()
                self.put(self.closed(done), done.anchor, None)

    def put(self, node: Node, anchor: str | None, text: str | None) -> None:
        """Place a finished node: the document, the next item of a list, the next key or value of a mapping.

        Args:
            node: the node.
            anchor: its name, if it has one.
            text: how a scalar is written: keys are text, whatever they look like.
        """
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        into = self.open[-1]
        if not into.mapping:
            into.items.append(node)
        elif into.key is None:
            if isinstance(node.value, dict | tuple):
                self.refuse(node.mark, "a key must be a word, got a list or a mapping")
            into.key = (str(node.value) if text is None else text, node.mark)
        else:
            self.enter(into, *into.key, node)
            into.key = None

    def enter(self, into: _Open, name: str, key: Mark, node: Node) -> None:
        """Put a key and its value into a mapping."""
        if node.value is None and node.mark.line > key.line:
            node = replace(node, mark=key)  # ruamel places a value that was left out where the next one begins
        if name == MERGE:
            sources = node.value if isinstance(node.value, tuple) else (node,)
            if not all(isinstance(item.value, dict) for item in sources):
                self.refuse(key, "<< takes a mapping or a list of mappings")
            into.merged += sources
        elif name in into.entries:
            first = into.entries[name].key
            where = f", first on line {first.line}" if first.line else ""
            self.problems.append(Problem(str(key), self.path(), f"key {shown(name)} stands twice{where}"))
        else:
            into.entries[name] = Entry(key, node)

    def closed(self, done: _Open) -> Node:
        """A list or mapping that has ended; its own keys go before merged ones."""
        for source in done.merged:
            for name, entry in source.entries.items():
                done.entries.setdefault(name, entry)
        value = done.entries if done.mapping else tuple(done.items)
        nodes = [entry.node for entry in done.entries.values()] if done.mapping else done.items
        size = 1 + sum(node.size for node in nodes)
        if size > MOST_VALUES:
            self.refuse(done.mark, f"holds more than {MOST_VALUES} values")
        return Node(done.mark, value, size=size)

    def writable(self, text: str, mark: Mark) -> str:
        """A text that files and databases take; JSON's escapes of characters in two halves are put together."""
        if re.search(r"[\ud800-\udfff]", text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        if wrong := re.search(r"[\x00\ud800-\udfff]", text):
            self.refuse(mark, f"a text with the character U+{ord(wrong[0]):04X} cannot be written anywhere")
        return text

    def scalar(self, text: str, mark: Mark) -> Scalar:
        """A plain scalar by the core schema of YAML 1.2.2 (section 10.3.2)."""
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
            return text[0] in "tT"
        number = next((read for pattern, read in NUMBERS if re.fullmatch(pattern, text)), None)
        if number is None:
            return text
        if len(text) > LONGEST_NUMBER:
            self.problems.append(Problem(str(mark), self.path(), f"a number of {len(text)} characters is too long"))
            return None
        return number(text)

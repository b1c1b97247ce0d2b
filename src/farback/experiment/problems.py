"""Positions in a config, and the problems found in it, which are reported all at once, one line each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from farback.records.user_error import UserError

SHOWN_PROBLEMS = 20  # about one screen
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Mark:
    """A position: a file with line and column, both from 1. A command-line option has line and column 0."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True)
class Problem:
    """A mistake in a config. `location` is file, line and column, or an option; `path` is the path of the value."""

    location: str
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(one_line(part) for part in (self.location, self.path, self.message) if part)


class Problems(list[Problem]):
    """The problems that were found in a config."""

    def add(self, place: Mark | str, path: str, message: str) -> None:
        """Append a problem."""
        self.append(Problem(str(place), path, message))


class ConfigError(UserError):
    """A config that cannot be run. Its message has one line for each problem.

    Attributes:
        problems: every problem, in the order of the file.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:SHOWN_PROBLEMS]]
        if len(self.problems) > SHOWN_PROBLEMS:
            lines.append(f"and {len(self.problems) - SHOWN_PROBLEMS} more")
        super().__init__("\n".join(lines))

    @classmethod
    def at(cls, place: Mark | str, path: str, message: str) -> ConfigError:
        """The error of a single problem."""
        return cls([Problem(str(place), path, message)])


def one_line(text: str) -> str:
    """The text with each run of white space and control characters replaced by one space."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split())


def shown(value: object) -> str:
    """A value for a message: in YAML's spelling, on one line, shortened if it is long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = f"{value:g}" if float(f"{value:g}") == value else repr(value)
    elif isinstance(value, str):
        text = repr(value[: SHOWN_CHARACTERS + 1])
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{key}: {word(item)}" for key, item in list(value.items())[:9]) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(word(item) for item in value[:30]) + "]"
    else:
        text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def word(value: object) -> str:
    """Like `shown`, but plain words have no quotes, as `--set` and `--only` accept them."""
    if value is None:
        return "null"
    return value if isinstance(value, str) and re.fullmatch(r"[\w./+-]{1,40}", value) else shown(value)


def joined(*parts: str | int) -> str:
    """A dotted path, with list positions in brackets: `measures[0].lags[2]`."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part:
            text = part if re.fullmatch(r"[\w.\[\]-]{1,64}", part) else shown(part)
            path = f"{path}.{text}" if path else text
    return path

"""Prints the output of a command: text for people, or one JSON document.

Text goes to stdout; with `--json` it goes to stderr, and stdout gets one document at the end. Lines that say what a
command does next (`step`) go to stderr. rich leaves colours out if the output is not a terminal, and reads NO_COLOR,
FORCE_COLOR and COLUMNS.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from typing_extensions import override

if TYPE_CHECKING:
    from farback.report.page import Page
    from farback.trials.events import Failed

# What commands say before they do what takes seconds
LOADING, OPENING, WRITING = "loading PyTorch and MLflow", "opening the store", "writing the report"
ESTIMATING = "estimating the time"
CLOSED = 141  # 128 + SIGPIPE, as in a shell. SIGPIPE stays ignored, because closed network connections send it too


class Printer(Console):
    """The console of one command. With `as_json`, stdout is reserved for a JSON document."""

    def __init__(self, as_json: bool = False) -> None:
        super().__init__(stderr=as_json)
        self.as_json = as_json

    def say(self, text: str, style: str | None = None, end: str = "\n") -> None:
        """Print text without wrapping, markup or highlighting."""
        self.print(text, style=style, end=end, highlight=False, markup=False, soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> None:
        """Print a table; the first columns are text, aligned to the left, the others are numbers."""
        table = Table(title=title, title_justify="left")
        for index, column in enumerate(columns):
            table.add_column(column, justify="left" if index < text_columns else "right", overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.print(table)

    def places(self, page: Page) -> None:
        """Print the paths of the page and of its first figure."""
        for label, path in (("figure", page.picture), ("report", page.html)):
            if path is not None:
                self.say(f"{label:8} {os.path.relpath(path)}")

    def document(self, value: Any) -> None:
        """Print the JSON document, if the command was given `--json`."""
        if self.as_json:
            echo(json.dumps(_json(value), indent=1, allow_nan=False))

    @override
    def on_broken_pipe(self) -> None:
        self.quiet = True
        _exit_on_closed_output()


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` in this block into a `UserError` of one line: the file cannot be read or written."""
    from farback.records.user_error import UserError

    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be read or written ({error.strerror})") from error


def step(text: str) -> None:
    """Print to stderr what the command does next, before something that takes seconds."""
    typer.echo(f"{text} ...", err=True)


def echo(text: str) -> None:
    """Print a line to stdout and flush it."""
    try:
        typer.echo(text)
    except BrokenPipeError:
        _exit_on_closed_output()


def page_document(page: Page) -> dict[str, Any]:
    """The keys that describe a page in a JSON document."""
    return {
        "headline": page.analysis.headline,
        "verdict": page.analysis.verdict,
        "report": page.html,
        "files": page.files,
    }


def failures_document(failures: Sequence[Failed]) -> dict[str, Any]:
    """The keys that describe failed trials in a JSON document."""
    return {"failed": len(failures), "failures": [{"key": one.key, "error": one.error} for one in failures]}


def _exit_on_closed_output() -> NoReturn:
    """Exit without an error message. Buffered output is lost."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(CLOSED)


def _json(value: Any) -> Any:
    """A value as JSON: paths are absolute text, infinite numbers and NaN are null."""
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, Path):
        return str(value.absolute())
    if hasattr(value, "item"):  # numpy's numbers
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value

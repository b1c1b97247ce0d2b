"""Where a command's words go.

For people: to stdout, and plain where that is no terminal. With `--json`: one document to stdout, when the work is
done, and everything else to stderr. NO_COLOR, FORCE_COLOR and COLUMNS are heeded, by rich.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:
    from farback.report.page import Page
    from farback.trials.events import Failed

CLOSED = 141  # 128 + SIGPIPE, as shells count; the signal itself would also end us for a server that hangs up


class Printer(Console):
    """A console for one command.

    Args:
        as_json: whether stdout is for a document.
    """

    def __init__(self, as_json: bool = False) -> None:
        super().__init__(stderr=as_json)
        self.as_json = as_json

    def say(self, text: str, style: str | None = None, end: str = "\n") -> None:
        """A line as it stands: not folded, nothing in it taken for markup."""
        self.print(text, style=style, end=end, highlight=False, markup=False, soft_wrap=True)

    def places(self, page: Page) -> None:
        """Where a page that was written is, and its leading figure."""
        for label, path in (("figure", page.picture), ("report", page.html)):
            if path is not None:
                self.say(f"{label:8} {os.path.relpath(path)}")

    def document(self, value: Any) -> None:
        """The document, where one was asked for."""
        if self.as_json:
            echo(json.dumps(_plain(value), indent=1, allow_nan=False))

    def on_broken_pipe(self) -> None:
        """Whoever read the output has gone."""
        self.quiet = True
        _closed()


@contextmanager
def said(path: Path) -> Iterator[None]:
    """A file that cannot be read or written is said in a line.

    Raises:
        UserError: it cannot.
    """
    from farback.records.record import UserError

    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be read or written ({error.strerror})") from error


def echo(text: str) -> None:
    """Text to stdout, at once."""
    try:
        typer.echo(text)
    except BrokenPipeError:
        _closed()


def page_document(page: Page) -> dict[str, Any]:
    """A page that was written, as a document has it: what it says first, and where its files are."""
    return {
        "headline": page.analysis.headline,
        "verdict": page.analysis.verdict,
        "report": page.html,
        "files": page.files,
    }


def failures_document(failures: Sequence[Failed]) -> dict[str, Any]:
    """Trials that could not be carried out, as a document has them."""
    return {"failed": len(failures), "failures": [{"key": one.key, "error": one.error} for one in failures]}


def _closed() -> NoReturn:
    """Nobody reads the output any more: end quietly, whatever is still in its buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(CLOSED)


def _plain(value: Any) -> Any:
    """As JSON has it: paths as text, absolute; null for what is no number or infinite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value.absolute())
    if hasattr(value, "item"):  # numpy's
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value

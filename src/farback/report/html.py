"""Pages for the browser: each is one file that contains its figures, style and script and loads nothing else.

Texts come from configs and experiments and are Markdown, as in `report.md`. HTML in them is shown as text, and their
images are not loaded. The content security policy of each page forbids both as well.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from farback.report.analysis import outcome

# The beginning of a cell that is sorted as a number
NUMBER = re.compile(r"[\[(]?\s*(?:[<>]=?|[≤≥~]|at least|below)?\s*[-+−]?\d")
LONGEST = 32  # most characters of a number, before its interval; a longer cell is a sentence that begins with a number
WORDY = 160  # characters; a table with a longer cell is laid out as text
LONG = 15  # rows; a longer table gets a search field, and its head stays in view
VERDICTS = ("confirmed", "refuted", "depends", "inconclusive")
NO_NUMBER = {"", "none", "nan", "inf", "-inf", "-"}  # cells that a numeric column may have beside numbers


class Column(NamedTuple):
    """A column of a shown table; a numeric one is sorted by its numbers and aligned to the right."""

    name: str
    numeric: bool


def page(template: str, context: Mapping[str, Any]) -> str:
    """The HTML of a page, from a template in `templates/` and its variables; texts in the variables are escaped."""
    style, script = (
        (resources.files("farback.report") / "templates" / name).read_text(encoding="utf-8")
        for name in ("page.css", "page.js")
    )
    digest = b64encode(sha256(script.encode()).digest()).decode()
    own = {"style": Markup(style), "script": Markup(script), "script_hash": f"sha256-{digest}"}
    return _environment().get_template(template).render(**context, **own)


def inline(text: object) -> Markup:
    """Markdown of one line: emphasis, code and links."""
    return Markup(_markdown().renderInline(str(text)))


def blocks(text: str) -> Markup:
    """Markdown with paragraphs, lists and tables."""
    return Markup(_markdown().render(text))


def columns(shown: pd.DataFrame) -> list[Column]:
    """The columns of a table of texts."""
    described = []
    for index, name in enumerate(shown.columns):  # by index, since two columns may have one name
        cells = [str(cell).strip() for cell in shown.iloc[:, index]]
        numbers = {cell for cell in cells if NUMBER.match(cell) and len(cell.split(" (")[0]) <= LONGEST}
        described.append(Column(str(name), bool(numbers) and set(cells) - numbers <= NO_NUMBER))
    return described


def wordy(shown: pd.DataFrame) -> bool:
    """Whether a table has long sentences; on a phone its cells are then stacked."""
    return any(len(str(cell)) > WORDY for row in shown.itertuples(index=False) for cell in row)


def verdict(cell: object) -> str:
    """The verdict with which a cell begins, such as "depends" for "depends on the optimizer"; empty without one."""
    first = re.match(r"\w*", str(cell).lstrip("*"))
    return first[0] if first and first[0] in VERDICTS else ""


def long(shown: pd.DataFrame) -> bool:
    """Whether a table has so many rows that a reader needs to search it."""
    return len(shown) > LONG


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("farback.report"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=True,
    )
    environment.filters |= {
        function.__name__: function for function in (inline, blocks, columns, wordy, outcome, verdict, long)
    }
    return environment


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.add_render_rule("link_open", _link)
    return parser


def _link(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, environment: EnvType) -> str:
    """A link; a link to the Markdown of another page leads to its HTML file instead."""
    target = str(tokens[at].attrGet("href"))
    if target.endswith("/report.md"):
        tokens[at].attrSet("href", f"{target.removesuffix('.md')}.html")
    return renderer.renderToken(tokens, at, options, environment)

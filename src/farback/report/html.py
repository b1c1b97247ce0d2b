"""Pages for the browser: each is one file, with its figures, style and script in it, that asks no network for anything.

Texts come from configs and experiments. They are Markdown, as in `report.md`: what looks like HTML in them is shown
and not obeyed, and pictures of theirs are not fetched. The policy of each page (CSP) says the same to the browser.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from farback.report.analysis import outcome

NUMBER = re.compile(r"[\[(]?\s*(?:[<>]=?|[≤≥~])?\s*[-+−]?\d")  # how a cell begins that sorts by its number
LONGEST = 32  # characters of a cell that is a number with its interval; what is longer is prose that begins with one
WORDY = 160  # characters of a cell that makes its table one of words
WORDLESS = ("", "none", "nan", "inf", "-inf", "-")  # what may stand between numbers


@dataclass(frozen=True)
class Column:
    """A column of a shown table; the cells of a numeric one sort by their numbers and stand to the right."""

    name: str
    numeric: bool


def page(template: str, context: Mapping[str, Any]) -> str:
    """A page for the browser; everything in the context is escaped.

    Args:
        template: in `templates/`.
        context: what it wants.
    """
    script = _file("page.js")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    own = {"style": Markup(_file("page.css")), "script": Markup(script), "script_hash": f"sha256-{digest}"}
    return _environment().get_template(template).render(**context, **own)


def inline(text: object) -> Markup:
    """Markdown of one line: emphasis, code and links."""
    return Markup(_markdown().renderInline(str(text)))


def blocks(text: str) -> Markup:
    """Markdown with paragraphs, lists and tables."""
    return Markup(_markdown().render(text))


def columns(shown: pd.DataFrame) -> list[Column]:
    """The columns of a table of texts."""
    found = []
    for at, name in enumerate(shown.columns):  # two of them may have one name
        cells = [str(cell).strip() for cell in shown.iloc[:, at]]
        numbers = [bool(NUMBER.match(cell)) and len(cell) <= LONGEST for cell in cells]
        others = {cell for cell, number in zip(cells, numbers, strict=True) if not number}
        found.append(Column(str(name), any(numbers) and others <= set(WORDLESS)))
    return found


def wordy(shown: pd.DataFrame) -> bool:
    """Whether a table holds sentences: on a phone its cells then stand one below the other."""
    return any(len(str(cell)) > WORDY for row in shown.itertuples(index=False) for cell in row)


def rows(shown: pd.DataFrame) -> list[tuple[str, ...]]:
    """The cells of a table of texts."""
    return [tuple(map(str, row)) for row in shown.itertuples(index=False)]


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("farback.report"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=True,
    )
    made.filters |= {"inline": inline, "blocks": blocks, "columns": columns, "rows": rows, "wordy": wordy}
    made.filters["outcome"] = outcome
    return made


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    made.add_render_rule("link_open", _link)
    return made


def _link(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, environment: EnvType) -> str:
    """A link; one to another page's Markdown leads to the page for the browser, which lies beside it."""
    to = str(tokens[at].attrGet("href"))
    if to.endswith("/report.md"):
        tokens[at].attrSet("href", f"{to.removesuffix('.md')}.html")
    return renderer.renderToken(tokens, at, options, environment)


@cache
def _file(name: str) -> str:
    """A file beside the templates."""
    return (resources.files("farback.report") / "templates" / name).read_text(encoding="utf-8")

"""`farback list` and `farback schema`: what there is to name in a config."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farback.cli.app import Json, app
from farback.cli.completion import kinds
from farback.cli.console import Printer, echo, said
from farback.records.entry_points import KINDS

if TYPE_CHECKING:
    from rich.table import Table

    from farback.cli.plugin_info import Entry

WIDTH = 80  # characters of a line where the output is not a terminal
Kind = Annotated[
    str | None,
    typer.Argument(
        help="tasks, cells, inits, encoders, optimizers or measures (default: the names of all)", autocompletion=kinds
    ),
]


@app.command("list")
def list_(
    kind: Kind = None,
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="as a Markdown table")] = False,
    into: Annotated[
        Path | None, typer.Option(help="write that table between the markers of a page: --into README.md")
    ] = None,
) -> None:
    """List the plug-ins of a kind: what each is, its parameters, its source."""
    from farback.cli import plugin_info
    from farback.records.record import UserError

    if kind is None:
        if into is not None or as_markdown:
            raise UserError(f"a table is of one kind: choose from {', '.join(KINDS)}")
        if as_json:
            every = {package: [one.plain() for one in plugin_info.entries(package)] for package in KINDS}
            Printer(as_json).document(every)
        else:
            echo("\n".join(f"{package:12}{', '.join(plugin_info.family(package).names())}" for package in KINDS))
        return
    package, printer = plugin_info.kind_of(kind), Printer(as_json)
    found = plugin_info.entries(package)
    if into is not None:
        with said(into):
            into.write_text(replaced(into.read_text(encoding="utf-8"), package, found, str(into)), encoding="utf-8")
        echo(f"wrote {into}")
    elif as_json:
        printer.document([one.plain() for one in found])
    elif as_markdown:
        echo(markdown(package, found))
    elif printer.is_terminal:
        printer.print(table(package, found))
    else:
        echo(text(found))


def text(found: Sequence[Entry], width: int = WIDTH) -> str:
    """Plug-ins as plain lines: the name in front of the first, the rest indented below it."""
    indent = max(len(one.name) for one in found) + 2
    lines = []
    for one in found:
        parts = [one.line, *map(str, one.parameters), *([f"Source: {one.source}"] if one.source else [])]
        parts += [f"From: {one.package}"] * bool(one.package) + [one.error] * bool(one.error)
        hanging = " " * indent
        body = [line for part in parts for line in textwrap.wrap(part, width - indent, subsequent_indent="  ")]
        lines += [f"{one.name:{indent}}{body[0]}", *(hanging + line for line in body[1:])]
    return "\n".join(lines)


def table(package: str, found: Sequence[Entry]) -> Table:
    """The same for a terminal."""
    from rich.box import HORIZONTALS
    from rich.table import Table
    from rich.text import Text

    drawn = Table(show_lines=True, box=HORIZONTALS)
    drawn.add_column(KINDS[package], style="bold", no_wrap=True)
    drawn.add_column("what it is, and its source", ratio=3)
    drawn.add_column("parameters", ratio=2)
    for one in found:
        what = Text(one.line)
        if one.source:
            what.append(f"\n{one.source}", style="dim")
        if one.package:
            what.append(f"\nfrom {one.package}", style="dim")
        if one.error:
            what.append(f"\n{one.error}", style="red")
        drawn.add_row(one.name, what, Text("\n".join(map(str, one.parameters))))
    return drawn


def markdown(package: str, found: Sequence[Entry]) -> str:
    """The same for a page."""
    import pandas as pd

    from farback.report import analysis

    rows = [
        {
            KINDS[package]: f"`{one.name}`",
            "what it is": one.line,
            "parameters": "; ".join(f"`{p.name}` = {p.default} ({p.allowed})" for p in one.parameters),
            "source": one.source,
        }
        for one in found
        if not one.error
    ]
    return analysis.markdown(pd.DataFrame(rows))


def replaced(page: str, package: str, found: Sequence[Entry], path: str) -> str:
    """A page with the table of a kind between its markers, as `between` finds them."""
    return between(page, package, markdown(package, found), path)


def between(page: str, name: str, text: str, path: str) -> str:
    """A page with a text between its markers, `<!-- cells: begin ... -->` and `<!-- cells: end -->`.

    Raises:
        UserError: the page has no such markers, or not one pair of them.
    """
    from farback.records.record import UserError

    places = re.compile(rf"(<!-- {name}: begin\b[^>]*-->\n)(.*?)(<!-- {name}: end -->)", re.DOTALL)
    if len(places.findall(page)) != 1:
        raise UserError(f"{path}: needs one pair of lines <!-- {name}: begin --> and <!-- {name}: end -->")
    return places.sub(lambda pair: f"{pair[1]}\n{text}\n\n{pair[3]}", page)


@app.command()
def schema(
    output: Annotated[Path, typer.Argument(help="the file to write")] = Path("configs/schema.json"),
) -> None:
    """Write the JSON Schema of a config, with which editors complete and check."""
    with said(output):
        output.write_text(schema_text(), encoding="utf-8")
    echo(f"wrote {output}")


def schema_text() -> str:
    """The JSON Schema of a config, with every plug-in that is installed."""
    from farback.experiment import schema as json_schema

    return json.dumps(json_schema(), indent=1) + "\n"


def refresh_schema(beside: Path) -> None:
    """Bring a schema that lies beside a config, or above `claims/`, up to date, for it lists the plug-ins."""
    folder = beside.parent.parent if beside.parent.name == "claims" else beside.parent
    path = folder / "schema.json"
    if path.exists() and path.read_text(encoding="utf-8") != (text := schema_text()):
        path.write_text(text, encoding="utf-8")

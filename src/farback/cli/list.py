"""`farback list` and `farback schema`: the components that a config can name."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farback.cli import shared_options as shared
from farback.cli.completion import kinds
from farback.cli.console import Printer, echo, file_errors
from farback.records.entry_points import KINDS
from farback.records.own_files import use_project
from farback.records.parts import PROJECT, misnamed, parts

if TYPE_CHECKING:  # importing these at run time would slow `--help` down
    from farback.cli.plugin_info import ComponentInfo

WIDTH = 80  # characters per line if the output is not a terminal
Kind = Annotated[
    str | None,
    typer.Argument(
        help="tasks, cells, inits, encoders, optimizers, schedules or measures (default: the names of all)",
        autocompletion=kinds,
    ),
]


def list_(
    kind: Kind = None,
    as_json: shared.Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="print a Markdown table")] = False,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="write the Markdown table into a page: --into docs/reference/components.md"),
    ] = None,
) -> None:
    """List the components of a kind, each with a description, its parameters and its source."""
    from farback.cli import plugin_info
    from farback.records.user_error import UserError
    from farback.system.project import project_folder

    use_project(project_folder())
    printer = Printer(as_json)
    if kind is None:
        if into is not None or as_markdown:
            raise UserError(f"--markdown and --into need a kind: one of {', '.join(KINDS)}")
        if as_json:
            printer.document({package: [one.plain() for one in plugin_info.components(package)] for package in KINDS})
        else:
            lines = [f"{package:12}{', '.join(plugin_info.family(package).names())}" for package in KINDS]
            own = [part.value for package in KINDS for part in parts(package).values()]
            lines += ["", f"of {PROJECT}: {', '.join(own)}"] if own else []
            echo("\n".join([*lines, *(hint.removeprefix("; ") for package in KINDS if (hint := misnamed(package)))]))
        return
    package = plugin_info.package_of(kind)
    found = plugin_info.components(package)
    if into is not None:
        with file_errors(into):
            page = into.read_text(encoding="utf-8")
            into.write_text(between(page, package, markdown(package, found), str(into)), encoding="utf-8")
        echo(f"wrote {into}")
    elif as_json:
        printer.document([one.plain() for one in found])
    elif as_markdown:
        echo(markdown(package, found))
    else:
        echo(text(found, printer.width if printer.is_terminal else WIDTH))


def text(found: Sequence[ComponentInfo], width: int = WIDTH) -> str:
    """Components as text: each name is followed by a block of indented lines."""
    indent = max(len(one.name) for one in found) + 2
    room = max(width - indent, WIDTH // 4)  # a terminal may be narrower than the longest name
    lines = []
    for one in found:
        parts = [one.line, *map(str, one.parameters), *([f"Source: {one.source}"] if one.source else [])]
        parts += [f"From: {one.package}"] * bool(one.package) + [one.error] * bool(one.error)
        body = [
            line for part in parts for line in textwrap.wrap(part, room, subsequent_indent="  ", break_on_hyphens=False)
        ]
        lines += [f"{one.name:{indent}}{body[0]}", *(" " * indent + line for line in body[1:])]
    return "\n".join(lines)


def markdown(package: str, found: Sequence[ComponentInfo]) -> str:
    """Components as a Markdown table."""
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


def between(page: str, name: str, text: str, path: str) -> str:
    """The page with `text` inserted between its markers, `<!-- cells: begin ... -->` and `<!-- cells: end -->`.

    Raises:
        UserError: the page does not have exactly one pair of these markers.
    """
    from farback.records.user_error import UserError

    places = re.compile(rf"(<!-- {name}: begin\b[^>]*-->\n)(.*?)(<!-- {name}: end -->)", re.DOTALL)
    if len(places.findall(page)) != 1:
        raise UserError(f"{path}: must contain the lines <!-- {name}: begin --> and <!-- {name}: end --> once")
    return places.sub(lambda pair: f"{pair[1]}\n{text}\n\n{pair[3]}", page)


def schema(
    output: Annotated[Path, typer.Argument(help="the file to write")] = Path("configs/schema.json"),
) -> None:
    """Write the JSON Schema of configs, which editors use to complete and check them."""
    from farback.system.project import project_folder

    use_project(project_folder())
    with file_errors(output):
        output.write_text(schema_text(), encoding="utf-8")
    echo(f"wrote {output}")


def schema_text() -> str:
    """The JSON Schema of a config, with every component of farback, of the project in use and of other packages."""
    from farback.experiment import schema as json_schema

    return json.dumps(json_schema(), indent=1) + "\n"


def refresh_schema(config: Path) -> None:
    """Update schema.json in the folder of a config (above `claims/`) for the installed components, if it exists.

    A file that git tracks is left as it is; `farback schema` writes it.
    """
    from farback.system.tracked_files import tracked

    folder = config.parent.parent if config.parent.name == "claims" else config.parent
    path = folder / "schema.json"
    if not path.exists() or path.name in tracked(folder):
        return
    if path.read_text(encoding="utf-8") != (new := schema_text()):
        path.write_text(new, encoding="utf-8")

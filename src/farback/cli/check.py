"""`farback check`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from farback.cli import shared_options as shared
from farback.cli.console import Printer

Size = Annotated[int, typer.Option(min=1, metavar="NUMBER")]


def check(
    path: Annotated[str, typer.Argument(metavar="MODULE:CLASS", help="mine:MyRNN is the class MyRNN of mine.py")],
    options: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="KEY=VALUE", help="a further argument of the class, as `with:` in a config"),
    ] = None,
    inputs: Size = 4,
    hidden: Size = 8,
    as_json: shared.Json = False,
) -> None:
    """Check that a torch module of yours can be a cell; exit code 1 if it breaks a law.

    The class is imported from the project that contains the current folder, or from an installed package. A class that
    takes a number of outputs by name, such as MyModel(inputs, outputs), is checked as a whole network.
    """
    from farback.cells.module import ModuleCell
    from farback.cells.support.made_module import takes_outputs
    from farback.networks.module_laws import laws
    from farback.networks.module_network import ModuleNetwork
    from farback.records.own_files import use_project
    from farback.records.user_error import UserError
    from farback.system.project import project_folder

    use_project(project_folder())
    printer = Printer(as_json)
    try:
        values = {"class": path, "with": _values(options or [])}
        cell = ModuleCell.model_validate(values)
        is_network = takes_outputs(cell.make)
        cell = ModuleNetwork.model_validate(values) if is_network else cell
    except ValueError as error:
        from farback.experiment.errors import reason

        raise UserError(reason(error)) from None
    found = laws(cell, inputs, hidden)
    rows = [[law.name, "holds" if law.holds else "[bold red]fails[/]", _plain(law.found)] for law in found]
    kind, second = ("network", "outputs") if is_network else ("cell", "hidden units")
    title = f"{cell.label()} as a {kind} with {inputs} inputs and {hidden} {second}"
    printer.table(title, ["law", "", "found"], rows, text_columns=3)
    broken = [law for law in found if not law.holds]
    printer.document({"laws": [asdict(law) for law in found], "broken": len(broken)})
    if broken:
        printer.print(f"{len(broken)} of {len(found)} laws do not hold", style="red", highlight=False)
    given = f", with: {cell.options}" if cell.options else ""
    if not any(law.needed for law in broken):
        printer.say(f"use it in a config: {kind}: {{name: module, class: {path!r}{given}}}")
    if broken:
        raise typer.Exit(1)


def _values(options: list[str]) -> dict[str, object]:
    """The options as a mapping; values are YAML, as for `--set`."""
    from ruamel.yaml import YAML

    from farback.records.user_error import UserError

    values = {}
    for text in options:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--with takes KEY=VALUE, such as decay=0.9, got {text!r}")
        values[key] = YAML(typ="safe", pure=True).load(value)
    return values


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)

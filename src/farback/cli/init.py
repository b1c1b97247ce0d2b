"""`farback init`."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from farback.cli.console import echo, file_errors
from farback.cli.list import schema_text
from farback.cli.new import starter
from farback.records.own_files import use_project

# Each written file and its source in `farback/starter`, where a file named .gitignore would hide files from git
STARTER = {
    "configs/first.yaml": "configs/first.yaml",
    "experiments/first.py": "experiments/first.py",
    "Makefile": "Makefile",
    ".gitignore": "gitignore",
}
EXAMPLE = "parts/cells/leaky.py"  # what `farback new cell leaky` writes
SCHEMA = "configs/schema.json"  # generated for the installed components


def init(
    folder: Annotated[Path, typer.Argument(help="the project's folder; created if missing", file_okay=False)] = Path(),
) -> None:
    """Write a small first experiment: config, script, Makefile, a cell to change. Never overwrites existing files."""
    from farback.records.user_error import UserError

    existing = [name for name in (*STARTER, EXAMPLE, SCHEMA) if os.path.lexists(folder / name)]
    if existing:
        raise UserError(f"{folder}: use another folder, because these files are there already: {', '.join(existing)}")
    use_project(folder)
    for name in (*STARTER, EXAMPLE, SCHEMA):  # the schema last, because it lists the example
        text = _text(name)
        path = folder / name
        with file_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        echo(f"wrote {os.path.normpath(path)}")
    inside = f"cd {folder} && " if folder != Path() else ""
    echo(f"\nnext: {inside}farback run first        (36 small networks: under a minute on 2 cores)")


def _text(name: str) -> str:
    """The text of a file to write."""
    if name == SCHEMA:
        return schema_text()
    if name == EXAMPLE:
        return starter("cell", "leaky")
    return (files("farback") / "starter" / STARTER[name]).read_text("utf-8")

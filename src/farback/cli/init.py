"""`farback init`."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from farback.cli.console import echo, file_errors
from farback.cli.list import schema_text

# Each written file and its source in `farback/starter`, where a file named .gitignore would hide files from git
STARTER = {
    "configs/first.yaml": "configs/first.yaml",
    "experiments/first.py": "experiments/first.py",
    "Makefile": "Makefile",
    ".gitignore": "gitignore",
}
SCHEMA = "configs/schema.json"  # generated for the installed components


def init(
    folder: Annotated[Path, typer.Argument(help="the project's folder; created if missing", file_okay=False)] = Path(),
) -> None:
    """Write a small first experiment: config, script and Makefile. Never overwrites existing files."""
    from farback.records.record import UserError

    existing = [name for name in (*STARTER, SCHEMA) if os.path.lexists(folder / name)]
    if existing:
        raise UserError(f"{folder}: use another folder, because these files are there already: {', '.join(existing)}")
    texts = {name: (files("farback") / "starter" / source).read_text("utf-8") for name, source in STARTER.items()}
    for name, text in {**texts, SCHEMA: schema_text()}.items():
        path = folder / name
        with file_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        echo(f"wrote {os.path.normpath(path)}")
    inside = f"cd {folder} && " if folder != Path() else ""
    echo(f"\nnext: {inside}farback run first        (36 small networks: under a minute on 2 cores)")

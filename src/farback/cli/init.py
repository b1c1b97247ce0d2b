"""`farback init`: the files of a project of one's own."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from farback.cli.app import app
from farback.cli.console import echo, said
from farback.cli.list import schema_text

# What is written, and from which file of `farback/starter`: one called .gitignore would act in the package itself.
STARTER = {
    "configs/first.yaml": "configs/first.yaml",
    "experiments/first.py": "experiments/first.py",
    "Makefile": "Makefile",
    ".gitignore": "gitignore",
}
SCHEMA = "configs/schema.json"  # made for the plug-ins that are installed


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="where; it is made if it is not there", file_okay=False)] = Path(),
) -> None:
    """Write a small experiment to begin with: config, script, Makefile. No file is ever overwritten."""
    from farback.records.record import UserError

    there = [name for name in (*STARTER, SCHEMA) if os.path.lexists(folder / name)]
    if there:
        raise UserError(f"{folder}: has {', '.join(there)} already, and nothing is overwritten: name another folder")
    texts = {name: (files("farback") / "starter" / source).read_text("utf-8") for name, source in STARTER.items()}
    for name, text in {**texts, SCHEMA: schema_text()}.items():
        path = folder / name
        with said(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        echo(f"wrote {os.path.normpath(path)}")
    inside = f"cd {folder} && " if folder != Path() else ""
    echo(f"\nnext: {inside}farback run first        (36 small networks: under a minute on 2 cores)")

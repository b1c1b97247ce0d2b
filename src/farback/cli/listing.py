"""`farback list` and `farback schema`: what there is to name in a config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from farback.cli.app import app


@app.command("list")
def list_(kind: Annotated[str, typer.Argument(help="tasks, cells, inits, encoders or measures")]) -> None:
    """List the plug-ins of a kind, a line each."""
    import importlib

    kinds = ["tasks", "cells", "inits", "encoders", "measures"]
    if kind not in kinds:
        from farback.component import choices

        raise typer.BadParameter(f"unknown kind {kind!r}; {choices(kind, kinds)}")
    family = importlib.import_module(f"farback.{kind}.base").FAMILY
    width = max(map(len, family.names()))
    for member in family.members():
        first = (member.__doc__ or "").strip().splitlines()[0]
        typer.echo(f"{member.model_fields['name'].default:{width}}  {first}")


@app.command()
def schema(
    output: Annotated[Path, typer.Argument(help="the file to write")] = Path("configs/schema.json"),
) -> None:
    """Write the JSON Schema of a config, with which editors complete and check."""
    output.write_text(_schema_text(), encoding="utf-8")
    typer.echo(f"wrote {output}")


def _schema_text() -> str:
    from farback.experiment import schema as json_schema

    return json.dumps(json_schema(), indent=1) + "\n"


def refresh_schema(beside: Path) -> None:
    """Bring a schema that lies beside a config up to date, for it lists the plug-ins."""
    path = beside.with_name("schema.json")
    if path.exists() and path.read_text(encoding="utf-8") != (text := _schema_text()):
        path.write_text(text, encoding="utf-8")

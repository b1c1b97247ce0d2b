"""`farback new`: a commented file for a component of the project, to be changed by its author."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from farback.cli.completion import components, started_kinds
from farback.cli.console import echo, file_errors
from farback.cli.list import refresh_schema
from farback.records.entry_points import KINDS
from farback.records.own_files import PARTS, use_project

STARTER = "starter"  # the name in the files of `farback/starter/parts`
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def new(
    kind: Annotated[
        str,
        typer.Argument(help="cell, task, init, encoder, optimizer, schedule or measure", autocompletion=started_kinds),
    ],
    name: Annotated[str, typer.Argument(help="the name in configs, and of the file: farback new cell slow")],
) -> None:
    """Write a small working component into parts/ of the project, as a start for your own."""
    from farback.records.user_error import UserError, choices
    from farback.system.project import CONFIGS, project_folder

    kinds = started_kinds("")
    kind = KINDS.get(kind, kind)
    if kind not in kinds:
        raise UserError(f"unknown kind {kind!r}; {choices(kind, kinds)}")
    project = project_folder()
    use_project(project)
    package = next(package for package, singular in KINDS.items() if singular == kind)
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or name == "base":
        raise UserError(
            f"{name!r} cannot be the name of a {kind}: use lower-case letters, digits and _, such as slow_{kind}"
        )
    path = project / PARTS / package / f"{name}.py"
    if path.exists():
        raise UserError(f"{path} exists already, and is not overwritten: use another name")
    if name in components(package):
        raise UserError(f"there is a {kind} of the name {name} already: use another name")
    with file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(starter(kind, name))
    refresh_schema(project / CONFIGS / "any.yaml")
    echo(f"wrote {PARTS}/{package}/{name}.py" + (f" in {project}" if project != Path.cwd() else ""))
    field = f"{kind}: {name}" if kind != "measure" else f"measures: [retention, {name}]"
    echo(f"\nnext: write `{field}` in a config; `farback show {kind} {name}` prints what it is")


def starter(kind: str, name: str) -> str:
    """The text of a starter file, with the name of the component in the place of `starter`."""
    text = (files("farback") / "starter" / PARTS / f"{kind}.py").read_text("utf-8")
    title = "".join(word.capitalize() for word in name.split("_"))
    if re.search(rf"\b{title}\b", text):  # a class that the file imports
        title += kind.capitalize()
    return re.sub(rf"\b{STARTER}\b", name, text).replace(STARTER.capitalize(), title)

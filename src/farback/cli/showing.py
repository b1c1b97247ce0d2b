"""`farback show`: all there is to know of one plug-in, with its numbers at a size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farback.cli.app import app

if TYPE_CHECKING:
    from farback.cells.base import Cell
    from farback.cli.catalogue import Entry
    from farback.encoders.base import Encoder
    from farback.inits.base import Init
    from farback.tasks.base import Task

Line = tuple[str, str]


@app.command()
def show(
    kind: Annotated[str, typer.Argument(help="task, cell, init, encoder or measure")],
    name: Annotated[str, typer.Argument(help="its name: farback show cell lstm")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="a field of it: --set nonlinearity=relu, --set lag=40")
    ] = None,
    hidden: Annotated[int, typer.Option(min=1, help="hidden units, for the shapes of a cell")] = 32,
    inputs: Annotated[int, typer.Option(min=1, help="inputs, for the shapes of a cell or an encoder")] = 8,
    lag: Annotated[int | None, typer.Option(min=0, help="for the chance level and ladder of a task")] = None,
) -> None:
    """Show one plug-in: its docstring with equations and source, fields, shapes, chance level."""
    from farback.cli import catalogue

    package = catalogue.kind_of(kind)
    found = catalogue.entry(catalogue.plugin(package, name))
    one = built(package, name, [*(settings or []), *([f"lag={lag}"] if lag is not None and package == "tasks" else [])])
    facts: Iterator[Line]
    if package == "cells":
        facts = of_cell(one, inputs, hidden)
    elif package == "tasks":
        facts = of_task(one)
    elif package == "inits":
        facts = of_init(one)
    elif package == "encoders":
        facts = of_encoder(one, inputs)
    else:
        facts = iter(())
    typer.echo(page(f"{catalogue.KINDS[package]} {name}", found, list(facts)))


def page(title: str, found: Entry, facts: list[Line]) -> str:
    """The docstring, the fields, and what was found out: plain text."""
    fields = [(one.name, f"{one.default} ({one.allowed})") for one in found.parameters] or [("", "none")]
    lines = [title, "", found.text, *([f"From: {found.package}"] if found.package else []), ""]
    for heading, rows in (("fields", fields), ("", facts)):
        width = max((len(name) for name, _ in rows), default=0)
        lines += [heading] * bool(heading)
        lines += [f"{'  ' * bool(heading)}{name:{width}}  {text}".rstrip() for name, text in rows]
        lines.append("")
    return "\n".join(lines).rstrip()


def built(package: str, name: str, settings: list[str]) -> Any:
    """The plug-in with some fields set, each "key=value" with a YAML value.

    Raises:
        UserError: a field that it does not have, or a value that the field does not take.
    """
    from pydantic import ValidationError

    from farback.cli.catalogue import family
    from farback.component import UserError, choices
    from farback.experiment.loading import parse

    values: dict[str, Any] = {"name": name}
    known = [field for field in family(package).plugin(name).model_fields if field != "name"]
    for text in settings:
        key, equals, written = text.partition("=")
        if not equals or key not in known:
            has = choices(key, known) if known else f"{name} has no fields"
            raise UserError(f"--set {text}: write field=value; {has}")
        values[key] = parse(written, f"--set {text}", lines=False).plain
    try:
        return family(package).build(values)
    except ValidationError as error:
        first = error.errors()[0]
        place, got = ".".join(map(str, first["loc"])), f", got {first['input']!r}"
        said = first["msg"].removeprefix("Value error, ").replace("Input should", "must")
        raise UserError(f"{place or name}: {said}{got if place else ''}") from None


def of_cell(cell: Cell, inputs: int, hidden: int) -> Iterator[Line]:
    """Label, gates, how it is computed, shapes and counts of one layer."""
    from farback.component import UserError
    from farback.network import Architecture

    yield "in figures", cell.label()
    if len(cell.gates) > 1:
        yield "gates", ", ".join(cell.gates)
    if cell.keep is not None:
        yield "gate that keeps", cell.keep
    if cell.write is not None or cell.keep is not None:
        yield "gate that writes", cell.write or f"tied to {cell.keep}"
    yield "computed", f"fused kernel {cell.kernel!r}" if cell.kernel else "step by step"
    try:
        cell.check(hidden, inputs)
    except ValueError as error:
        raise UserError(f"{error}; see --hidden and --inputs") from None
    layer = Architecture(cell, inputs, hidden, outputs=0)
    yield f"one layer of {hidden} units and {inputs} inputs", ""
    for name, shape in cell.parameters(inputs, hidden).items():
        yield f"  {name}", " x ".join(map(str, shape)) + (" (drawn, never trained)" if name in cell.frozen else "")
    yield "  trained parameters", f"{layer.parameter_count}"
    yield "  numbers of state", f"{layer.state_count}"
    yield "  FLOPs a step", f"{layer.flops_per_step}"


def of_task(task: Task) -> Iterator[Line]:
    """Inputs, outputs, length, chance and ladder at the task's lag."""
    import numpy as np

    from farback.tasks.answers import skill

    chance = task.chance()
    yield "inputs a step", f"{task.inputs}"
    yield "answer", f"{task.answer}, {task.answer.outputs} outputs"
    yield f"at lag {task.lag}", f"{task.sample(np.random.default_rng(0), 1).input_BTI.shape[1]} steps a sequence"
    yield "smallest lag", f"{task.least}"
    yield "mixed lags", "one network can be asked at all of them" if task.mixes else "no: each lag is another question"
    yield "chance", f"accuracy {chance.accuracy:.6g}, loss {chance.loss:.6g}"
    yield "ladder: what partial memory scores", ""
    for rung in task.ladder():
        scores = f"accuracy {rung.accuracy:.4g}, loss {rung.loss:.4g}, skill {skill(rung.loss, chance):.3g}"
        yield f"  {rung.remembered}", scores


def of_init(init: Init) -> Iterator[Line]:
    """The cells that it goes with, at their defaults."""
    from farback import cells
    from farback.network import Architecture

    fits, refuses = [], []
    for cell in (member() for member in cells.base.FAMILY.members()):
        try:
            Architecture(cell, 8, 32, 0).check(init)
            fits.append(cell.name)
        except ValueError:
            refuses.append(cell.name)
    yield "in figures", init.label()
    yield "goes with", ", ".join(fits)
    yield "not with", ", ".join(refuses) or "none: it goes with all of them"


def of_encoder(encoder: Encoder, inputs: int) -> Iterator[Line]:
    """Shapes at a number of inputs."""
    yield f"of {inputs} inputs", f"{encoder.width(inputs)} numbers for the first cell"
    for name, shape in encoder.parameters(inputs).items():
        yield f"  {name}", " x ".join(map(str, shape))
    yield "  FLOPs a step", f"{encoder.flops(inputs)}"

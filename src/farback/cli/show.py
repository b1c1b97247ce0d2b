"""`farback show`: all there is to know of one plug-in, with its numbers at a size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farback.cli.app import Json, app
from farback.cli.completion import names, one_kind
from farback.cli.console import Printer, echo
from farback.records.entry_points import KINDS

if TYPE_CHECKING:
    from farback.cli.plugin_info import Entry, Facts

Line = tuple[str, str]


@app.command()
def show(
    kind: Annotated[
        str, typer.Argument(help="task, cell, init, encoder, optimizer or measure", autocompletion=one_kind)
    ],
    name: Annotated[str, typer.Argument(help="its name: farback show cell lstm", autocompletion=names)],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="a field of it: --set nonlinearity=relu, --set lag=40")
    ] = None,
    hidden: Annotated[int, typer.Option(min=1, help="hidden units, for the shapes of a cell")] = 32,
    inputs: Annotated[int, typer.Option(min=1, help="inputs, for the shapes of a cell or an encoder")] = 8,
    lag: Annotated[int | None, typer.Option(min=0, help="for the chance level and ladder of a task")] = None,
    as_json: Json = False,
) -> None:
    """Show one plug-in: its docstring with equations and source, fields, shapes, chance level."""
    from farback.cli import plugin_info

    package = plugin_info.kind_of(kind)
    found = plugin_info.entry(plugin_info.plugin(package, name))
    one = built(package, name, [*(settings or []), *([f"lag={lag}"] if lag is not None and package == "tasks" else [])])
    known = plugin_info.of(package, one, inputs, hidden)
    if as_json:
        Printer(as_json).document({"kind": KINDS[package], **found.plain(), "facts": known})
    else:
        echo(page(f"{KINDS[package]} {name}", found, list(told(package, known))))


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

    from farback.cli.plugin_info import family
    from farback.experiment.yaml_tree import parse
    from farback.records.record import UserError, choices

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


def told(package: str, facts: Facts) -> Iterator[Line]:
    """The facts in words."""
    words = {"cells": told_of_cell, "tasks": told_of_task, "inits": told_of_init, "encoders": told_of_encoder}
    return words[package](facts) if package in words else iter(())


def told_of_cell(facts: Facts) -> Iterator[Line]:
    """Label, gates, how it is computed, shapes and counts of one layer."""
    yield "in figures", facts["label"]
    if len(facts["gates"]) > 1:
        yield "gates", ", ".join(facts["gates"])
    if facts["keeps"] is not None:
        yield "gate that keeps", facts["keeps"]
    if facts["writes"] is not None or facts["keeps"] is not None:
        yield "gate that writes", facts["writes"] or f"tied to {facts['keeps']}"
    yield "computed", f"fused kernel {facts['kernel']!r}" if facts["kernel"] else "step by step"
    yield f"one layer of {facts['hidden']} units and {facts['inputs']} inputs", ""
    for name, shape in facts["shapes"].items():
        yield f"  {name}", " x ".join(map(str, shape)) + (" (drawn, never trained)" if name in facts["frozen"] else "")
    yield "  trained parameters", f"{facts['parameters']}"
    yield "  numbers of state", f"{facts['state']}"
    yield "  FLOPs a step", f"{facts['flops']}"


def told_of_task(facts: Facts) -> Iterator[Line]:
    """Inputs, outputs, length, chance and ladder at the task's lag."""
    yield "inputs a step", f"{facts['inputs']}"
    yield "answer", f"{facts['answer']}, {facts['outputs']} outputs"
    yield f"at lag {facts['lag']}", f"{facts['steps']} steps a sequence"
    yield "smallest lag", f"{facts['smallest_lag']}"
    mixes = "one network can be asked at all of them" if facts["mixes"] else "no: each lag is another question"
    yield "mixed lags", mixes
    yield "chance", f"accuracy {facts['chance']['accuracy']:.6g}, loss {facts['chance']['loss']:.6g}"
    yield "ladder: what partial memory scores", ""
    for rung in facts["ladder"]:
        scores = f"accuracy {rung['accuracy']:.4g}, loss {rung['loss']:.4g}, skill {rung['skill']:.3g}"
        yield f"  {rung['remembered']}", scores


def told_of_init(facts: Facts) -> Iterator[Line]:
    """The cells that it goes with, at their defaults."""
    yield "in figures", facts["label"]
    yield "goes with", ", ".join(facts["fits"])
    yield "not with", ", ".join(facts["refuses"]) or "none: it goes with all of them"


def told_of_encoder(facts: Facts) -> Iterator[Line]:
    """Shapes at a number of inputs."""
    yield f"of {facts['inputs']} inputs", f"{facts['width']} numbers for the first cell"
    for name, shape in facts["shapes"].items():
        yield f"  {name}", " x ".join(map(str, shape))
    yield "  FLOPs a step", f"{facts['flops']}"

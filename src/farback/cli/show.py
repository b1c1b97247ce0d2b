"""`farback show`: prints one component's documentation, and its shapes and counts at given sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farback.cli import shared_options as shared
from farback.cli.completion import names, singular_kinds
from farback.cli.console import Printer, echo
from farback.records.entry_points import KINDS
from farback.records.own_files import use_project

if TYPE_CHECKING:  # importing these at run time would slow `--help` down
    from farback.cli.plugin_info import ComponentInfo, Facts

Row = tuple[str, str]


def show(
    kind: Annotated[
        str,
        typer.Argument(help="task, cell, init, encoder, optimizer, schedule or measure", autocompletion=singular_kinds),
    ],
    name: Annotated[str, typer.Argument(help="its name: farback show cell lstm", autocompletion=names)],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="set a field: --set nonlinearity=relu, --set lag=40"),
    ] = None,
    hidden: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="hidden units, for the shapes of a cell")] = 32,
    inputs: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="inputs, for the shapes of a cell or an encoder")
    ] = 8,
    lag: Annotated[
        int | None, typer.Option(min=0, metavar="NUMBER", help="lag, for the chance level and ladder of a task")
    ] = None,
    as_json: shared.Json = False,
) -> None:
    """Show one component: its docstring with equations and source, fields, shapes, chance level."""
    from farback.cli import plugin_info
    from farback.system.project import project_folder

    use_project(project_folder())
    package = plugin_info.package_of(kind)
    spec = plugin_info.family(package).meant(name) or {"name": name}
    name = spec.pop("name")
    settings = [*(f"{field}={value}" for field, value in spec.items()), *(settings or [])]
    info = plugin_info.component_info(plugin_info.component_class(package, name))
    lag_setting = [f"lag={lag}"] if lag is not None and package == "tasks" else []
    given = [*settings, *lag_setting]
    incomplete = not given and any(one.default == plugin_info.NEEDED for one in info.parameters)
    facts = {} if incomplete else plugin_info.facts(package, _component(package, name, given), inputs, hidden)
    if as_json:
        Printer(as_json).document({"kind": KINDS[package], **info.plain(), "facts": facts})
    else:
        echo(_page(f"{KINDS[package]} {name}", info, list(ROWS[package](facts)) if facts and package in ROWS else []))


def _page(title: str, info: ComponentInfo, facts: list[Row]) -> str:
    """The docstring, the fields and the facts as text."""
    fields = [(one.name, f"{one.default} ({one.allowed})") for one in info.parameters] or [("", "none")]
    lines = [title, "", info.text, *([f"From: {info.package}"] if info.package else []), "", "fields"]
    for indent, rows in (("  ", fields), ("", facts)):
        width = max((len(name) for name, _ in rows), default=0)
        lines += [f"{indent}{name:{width}}  {text}".rstrip() for name, text in rows]
        lines.append("")
    return "\n".join(lines).rstrip()


def _component(package: str, name: str, settings: list[str]) -> Any:
    """The component with fields set by "field=value", where value is YAML. Raises UserError: a setting is wrong."""
    from pydantic import ValidationError

    from farback.cli.plugin_info import component_class, family
    from farback.experiment.yaml_tree import parse
    from farback.records.user_error import UserError, choices

    values: dict[str, Any] = {"name": name}
    fields = [field for field in component_class(package, name).model_fields if field != "name"]
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals or field not in fields:
            hint = choices(field, fields) if fields else f"{name} has no fields"
            raise UserError(f"--set {setting}: write field=value; {hint}")
        values[field] = parse(value, f"--set {setting}", lines=False).plain
    try:
        return family(package).build(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ").replace("Input should", "must")
        raise UserError(f"{place}: {message}, got {first['input']!r}" if place else f"{name}: {message}") from None


def _shapes(facts: Facts) -> Iterator[Row]:
    frozen = facts.get("frozen", ())
    for name, shape in facts["shapes"].items():
        yield f"  {name}", " x ".join(map(str, shape)) + (" (drawn, never trained)" if name in frozen else "")


def _cell(facts: Facts) -> Iterator[Row]:
    yield "in figures", facts["label"]
    if len(facts["gates"]) > 1:
        yield "gates", ", ".join(facts["gates"])
    if facts["keeps"] is not None:
        yield "gate that keeps", facts["keeps"]
    if facts["writes"] is not None or facts["keeps"] is not None:
        yield "gate that writes", facts["writes"] or f"tied to {facts['keeps']}"
    yield "computed", f"fused kernel {facts['kernel']!r}" if facts["kernel"] else "without a compiled kernel"
    yield f"one layer of {facts['hidden']} units and {facts['inputs']} inputs", ""
    yield from _shapes(facts)
    yield "  trained parameters", f"{facts['parameters']}"
    yield "  numbers of state", f"{facts['state']}"
    yield "  FLOPs a step", f"{facts['flops']}"


def _task(facts: Facts) -> Iterator[Row]:
    yield "inputs a step", f"{facts['inputs']}"
    yield "answer", f"{facts['answer']}, {facts['outputs']} outputs"
    yield f"at lag {facts['lag']}", f"{facts['steps']} steps a sequence"
    yield "smallest lag", f"{facts['smallest_lag']}"
    yield "mixed lags", "one network can train on all lags" if facts["mixes"] else "no: each lag is a different problem"
    yield "chance", f"accuracy {facts['chance']['accuracy']:.6g}, loss {facts['chance']['loss']:.6g}"
    yield "ladder: the scores of partial memory", ""
    for rung in facts["ladder"]:
        scores = f"accuracy {rung['accuracy']:.4g}, loss {rung['loss']:.4g}, skill {rung['skill']:.3g}"
        yield f"  {rung['remembered']}", scores


def _init(facts: Facts) -> Iterator[Row]:
    yield "in figures", facts["label"]
    yield "goes with", ", ".join(facts["fits"])
    yield "not with", ", ".join(facts["refuses"]) or "none: it goes with all cells"


def _encoder(facts: Facts) -> Iterator[Row]:
    yield f"output for {facts['inputs']} inputs", f"{facts['width']} numbers"
    yield from _shapes(facts)
    yield "  FLOPs a step", f"{facts['flops']}"


ROWS = {"cells": _cell, "tasks": _task, "inits": _init, "encoders": _encoder}

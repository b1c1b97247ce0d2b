"""What the plug-ins say of themselves, as plain values: read from their docstrings and fields, kept nowhere else."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from farback.records.component import Component
from farback.records.entry_points import KINDS
from farback.records.record import UserError, choices

if TYPE_CHECKING:
    from farback.cells.base import Cell
    from farback.encoders.base import Encoder
    from farback.inits.base import Init
    from farback.tasks.base import Task

ELSEWHERE = {"tasks": ("lag",)}  # fields that a trial has in their place


@dataclass(frozen=True)
class Parameter:
    """A field of a plug-in: its name, its default as a config writes it, and what is allowed, in words."""

    name: str
    default: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.name} = {self.default} ({self.allowed})"


@dataclass(frozen=True)
class Entry:
    """A plug-in.

    Attributes:
        name: as a config names it.
        line: the first line of its docstring.
        parameters: its fields.
        source: the last paragraph of its docstring, where that says so.
        text: the whole docstring.
        package: the package that brings it, and its version; nothing for farback's own.
        error: why it cannot be used, where it cannot.
    """

    name: str
    line: str
    parameters: tuple[Parameter, ...]
    source: str
    text: str
    package: str = ""
    error: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "parameters": [asdict(one) for one in self.parameters]}


def kind_of(word: str) -> str:
    """The package of a kind, by its name in singular or plural.

    Raises:
        UserError: there is no such kind; the message names the nearest.
    """
    for package, kind in KINDS.items():
        if word in (package, kind):
            return package
    raise UserError(f"unknown kind {word!r}; {choices(word, list(KINDS))}")


def family(package: str) -> Any:
    """The family of a kind."""
    return importlib.import_module(f"farback.{package}.base").FAMILY


def entries(package: str) -> list[Entry]:
    """Every plug-in of a kind, by name; those of other packages that cannot be used, and why, are among them."""
    own = family(package)
    found = [entry(member, ELSEWHERE.get(package, ())) for member in own.members()]
    found += [Entry(name, "cannot be used", (), "", "", error=error) for name, error in own.broken().items()]
    hidden = "is not used: farback has one of that name"
    found += [Entry(one.name, hidden, (), "", "", one.package, f"{one.value} {hidden}") for one in own.hidden()]
    return sorted(found, key=lambda one: (one.name, one.error))


def plugin(package: str, name: str) -> type[Component]:
    """The class of one plug-in.

    Raises:
        UserError: there is none of that name; the message names the nearest.
    """
    try:
        found: type[Component] = family(package).plugin(name)
    except ValueError as error:
        raise UserError(str(error)) from None
    return found


def entry(member: type[Component], elsewhere: tuple[str, ...] = ()) -> Entry:
    """What a plug-in says of itself, less some fields."""
    text = inspect.getdoc(member) or ""
    schema = member.model_json_schema()
    defaults = member.model_fields
    parameters = tuple(
        Parameter(name, written(defaults[name].get_default(call_default_factory=True)), allowed(field, schema))
        for name, field in schema["properties"].items()
        if name != "name" and name not in elsewhere
    )
    line = " ".join(text.partition("\n\n")[0].split())
    name = str(member.model_fields["name"].default)
    return Entry(name, line, parameters, source(text), text, member.family.maker(name))


def source(text: str) -> str:
    """The paragraph of a docstring that names its source, on one line, without the word."""
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.startswith("Source:"):
            return " ".join(paragraph.removeprefix("Source:").split())
    return ""


def written(value: Any) -> str:
    """A default as a config writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Component):
        return value.label()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def allowed(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a field admits, in words, from its JSON Schema: "relu, tanh", "an integer from 1 on, or null"."""
    if "$ref" in field:
        return allowed(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if "anyOf" in field or "oneOf" in field:
        options = [allowed(one, schema) for one in field.get("anyOf", field.get("oneOf", ()))]
        return ", or ".join(dict.fromkeys(sorted(options, key=lambda option: option == "null")))
    if "enum" in field or "const" in field:
        return ", ".join(written(one) for one in field.get("enum", [field.get("const")]))
    kind = field.get("type", "")
    if kind == "array":
        return f"a list of: {allowed(field.get('items', {}), schema)}"
    if kind in ("integer", "number"):
        return f"{'a number' if kind == 'number' else 'an integer'}{_range(field)}"
    return {"boolean": "true, false", "null": "null", "string": "text", "object": "a mapping"}.get(kind, "anything")


def _range(field: Mapping[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    above, below = field.get("exclusiveMinimum"), field.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}" if abs(high) < 1e6 else f" from {low:g} on"
    words = [f"from {low:g} on" if low is not None else "", f"above {above:g}" if above is not None else ""]
    words += [f"up to {high:g}" if high is not None else "", f"below {below:g}" if below is not None else ""]
    return "".join(f" {word}" for word in words if word)


Facts = dict[str, Any]


def of(package: str, one: Any, inputs: int, hidden: int) -> Facts:
    """The facts of a plug-in of any kind; of a measure there are none."""
    kinds: dict[str, Callable[[], Facts]] = {
        "cells": lambda: of_cell(one, inputs, hidden),
        "tasks": lambda: of_task(one),
        "inits": lambda: of_init(one),
        "encoders": lambda: of_encoder(one, inputs),
    }
    return kinds[package]() if package in kinds else {}


def of_cell(cell: Cell, inputs: int, hidden: int) -> Facts:
    """Label, gates, how it is computed, shapes and counts of one layer.

    Raises:
        UserError: the cell cannot have such a layer.
    """
    from farback.networks.network import Architecture
    from farback.records.record import UserError

    try:
        cell.check(hidden, inputs)
    except ValueError as error:
        raise UserError(f"{error}; see --hidden and --inputs") from None
    layer = Architecture(cell, inputs, hidden, outputs=0)
    return {
        "label": cell.label(),
        "gates": list(cell.gates),
        "keeps": cell.keep,
        "writes": cell.write,
        "kernel": None if cell.kernel is None else str(cell.kernel),
        "inputs": inputs,
        "hidden": hidden,
        "shapes": {name: list(shape) for name, shape in cell.parameters(inputs, hidden).items()},
        "frozen": list(cell.frozen),
        **layer.counts,
    }


def of_task(task: Task) -> Facts:
    """Inputs, outputs, length, chance and ladder at the task's lag."""
    import numpy as np

    from farback.tasks.support.answers import skill

    chance = task.chance()
    ladder = [
        {"remembered": rung.remembered, "accuracy": rung.accuracy, "loss": rung.loss, "skill": skill(rung.loss, chance)}
        for rung in task.ladder()
    ]
    return {
        "inputs": task.inputs,
        "answer": str(task.answer),
        "outputs": task.answer.outputs,
        "lag": task.lag,
        "steps": task.sample(np.random.default_rng(0), 1).input_BTI.shape[1],
        "smallest_lag": task.least,
        "mixes": task.mixes,
        "chance": {"accuracy": chance.accuracy, "loss": chance.loss},
        "ladder": ladder,
    }


def of_init(init: Init) -> Facts:
    """The cells that it goes with, at their defaults."""
    from farback import cells
    from farback.networks.network import Architecture

    fits, refuses = [], []
    for cell in (member() for member in cells.base.FAMILY.members()):
        try:
            Architecture(cell, 8, 32, 0).check(init)
            fits.append(cell.name)
        except ValueError:
            refuses.append(cell.name)
    return {"label": init.label(), "fits": fits, "refuses": refuses}


def of_encoder(encoder: Encoder, inputs: int) -> Facts:
    """Shapes at a number of inputs."""
    shapes = {name: list(shape) for name, shape in encoder.parameters(inputs).items()}
    return {"inputs": inputs, "width": encoder.width(inputs), "shapes": shapes, "flops": encoder.flops(inputs)}

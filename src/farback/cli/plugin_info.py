"""Reads the documentation of a component, as plain values, from its docstring and its fields."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from farback.records.component import Component
from farback.records.entry_points import KINDS
from farback.records.parts import PROJECT
from farback.records.user_error import UserError, choices

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from farback.cells.base import Cell
    from farback.encoders.base import Encoder
    from farback.inits.base import Init
    from farback.tasks.base import Task

TRIAL_FIELDS = {"tasks": ("lag",)}  # fields of a component that a config sets beside it, as a field of the trial
NEEDED = "needed"  # in place of the default of a field that has none
HIDDEN = "is not used, because farback has a component of this name"
Facts = dict[str, Any]


@dataclass(frozen=True)
class ComponentField:
    """A field of a component: its name, its default as in a config, and the allowed values in words."""

    name: str
    default: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.name} = {self.default} ({self.allowed})"


@dataclass(frozen=True)
class ComponentInfo:
    """The documentation of a component.

    Attributes:
        line: first paragraph of the docstring.
        source: the paragraph of the docstring that starts with "Source:".
        text: the whole docstring.
        package: the package that defines the component, with its version, or the project's file; empty for farback's.
        error: why the component cannot be used; empty if it can be used.
    """

    name: str
    line: str
    parameters: tuple[ComponentField, ...] = ()
    source: str = ""
    text: str = ""
    package: str = ""
    error: str = ""

    def plain(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def package_of(kind: str) -> str:
    """The package of a kind, given in singular or plural: "cells" for "cell".

    Raises:
        UserError: there is no such kind.
    """
    for package, singular in KINDS.items():
        if kind in (package, singular):
            return package
    raise UserError(f"unknown kind {kind!r}; {choices(kind, list(KINDS))}")


def family(package: str) -> Any:
    """The `Family` of a package of components."""
    return importlib.import_module(f"farback.{package}.base").FAMILY


def components(package: str) -> list[ComponentInfo]:
    """Every component of a package, sorted by name, including unusable ones of the project and of other packages."""
    own = family(package)
    found = [component_info(member, TRIAL_FIELDS.get(package, ())) for member in own.members()]
    found += [ComponentInfo(name, "cannot be used", error=error) for name, error in own.broken().items()]
    found += [
        ComponentInfo(one.name, HIDDEN, package=one.package, error=f"{one.value} {HIDDEN}") for one in own.hidden()
    ]
    return sorted(found, key=lambda one: (one.name, one.error))


def component_class(package: str, name: str) -> type[Component]:
    """The class of a component.

    Raises:
        UserError: there is no component of this name.
    """
    try:
        found: type[Component] = family(package).plugin(name)
    except ValueError as error:
        raise UserError(str(error)) from None
    return found


def component_info(member: type[Component], without: tuple[str, ...] = ()) -> ComponentInfo:
    """The documentation of a component; `without` names fields to leave out."""
    text = inspect.getdoc(member) or ""
    schema = member.model_json_schema()
    fields = member.model_fields
    parameters = tuple(
        ComponentField(name, _default(fields[name]), allowed(field, schema))
        for name, field in schema["properties"].items()
        if name != "name" and name not in without
    )
    line = " ".join(text.partition("\n\n")[0].split())
    sources = [part for part in re.split(r"\n\s*\n", text) if part.startswith("Source:")]
    source = " ".join(sources[0].removeprefix("Source:").split()) if sources else ""
    name = str(fields["name"].default)
    maker = f"{PROJECT} ({member.own_file.name})" if member.own_file else member.family.maker(name)
    return ComponentInfo(name, line, parameters, source, text, maker)


def _default(field: FieldInfo) -> str:
    return NEEDED if field.is_required() else written(field.get_default(call_default_factory=True))


def written(value: Any) -> str:
    """A default as it is written in a config."""
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
    """The values that a field's JSON Schema allows, in words: "relu, tanh", "an integer from 1 on, or null"."""
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


def facts(package: str, component: Any, inputs: int, hidden: int) -> Facts:
    """Numbers that describe a component at given sizes, as JSON; empty for optimizers, schedules and measures."""
    if package == "cells":
        return cell_facts(component, inputs, hidden)
    if package == "tasks":
        return task_facts(component)
    if package == "inits":
        return init_facts(component)
    return encoder_facts(component, inputs) if package == "encoders" else {}


def cell_facts(cell: Cell, inputs: int, hidden: int) -> Facts:
    """Label, gates, kernel, parameter shapes and counts of one layer.

    Raises:
        UserError: the cell cannot have this size.
    """
    from farback.networks.network import Architecture

    try:
        cell.check(hidden, inputs)
    except ValueError as error:
        raise UserError(f"{error}; change --hidden or --inputs") from None
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


def task_facts(task: Task) -> Facts:
    """Inputs, outputs, length, chance and ladder (scores of partial memory) at the task's lag."""
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


def init_facts(init: Init) -> Facts:
    """Label, and which cells (with default fields) the initialisation fits and which it refuses."""
    from farback.networks.network import Architecture

    fits, refuses = [], []
    for cell in (member() for member in family("cells").members()):
        try:
            Architecture(cell, 8, 32, 0).check(init)
            fits.append(cell.name)
        except ValueError:
            refuses.append(cell.name)
    return {"label": init.label(), "fits": fits, "refuses": refuses}


def encoder_facts(encoder: Encoder, inputs: int) -> Facts:
    """Outputs, parameter shapes and FLOPs for a number of inputs."""
    shapes = {name: list(shape) for name, shape in encoder.parameters(inputs).items()}
    return {"inputs": inputs, "width": encoder.width(inputs), "shapes": shapes, "flops": encoder.flops(inputs)}

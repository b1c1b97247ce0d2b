"""Small random sweeps over every field of a trial: an axis for each field of each component, combined at random."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from farback import cells, encoders, inits, measures, optimizers, schedules, tasks
from farback.records.component import Component, Family
from farback.trials.trial import Trial

FAMILIES: dict[str, Family[Any]] = {
    name: module.base.FAMILY
    for name, module in {
        "task": tasks,
        "cell": cells,
        "init": inits,
        "encoder": encoders,
        "optimizer": optimizers,
        "schedule": schedules,
        "measures": measures,
    }.items()
}
SMALL = {  # fields of components that decide how long a training takes
    "sequences": 8,
    "max_lag": 4,
    "lags": [1, 2],
    "length": 4,
}
BASE = {
    "task": {"name": "recall", "symbols": 2, "filler": "blank"},
    "cell": {"name": "elman"},
    "init": {"name": "torch"},
    "encoder": {"name": "identity"},
    "optimizer": {"name": "adam"},
    "schedule": {"name": "constant"},
    "hidden": 4,
    "batch": 4,
    "steps": 4,
    "evaluate_every": 2,
    "measures": [{"name": "retention", "sequences": 8}],
}
NEEDS = {"kernel_recovery": "kernel", "maps": "lightning"}  # measures of one task, with the task
TRIAL_AXES: dict[str, list[Any]] = {
    "hidden": [2, 4],
    "match": [{"parameters": 200}, {"state": 4}, {"flops": 300}],
    "depth": [1, 2],
    "block": [None, {"norm": "rms", "residual": True}, {"conv": 4, "gate": "silu"}, {"mlp": 2}],
    "bias": [True, False],
    "bidirectional": [False, True],
    "initial_state": ["zeros", "learned"],
    "dropout": [0.0, 0.5],
    "recurrent_dropout": [0.0, 0.5],
    "truncate": [None, 1, 2],
    "clip": [None, 1.0, 0.5],
    "batch": [2, 4],
    "steps": [0, 1, 4],
    "evaluate_every": [1, 2, 100],
    "stop": ["sustained", "never"],
    "seed": [0, 1],
    "lag": [0, 1, 3],
    "train_lags": ["fixed", {"uniform": [1, 3]}, {"log_uniform": [1, 3]}, {"curriculum": [1, 3]}],
}


@dataclass(frozen=True)
class Axis:
    """A path with its levels, and what the base must hold for them."""

    path: str
    levels: list[Any]
    base: dict[str, Any] = field(default_factory=dict)

    @property
    def part(self) -> str:
        """The field of a trial that the axis changes."""
        return "hidden" if self.path == "match" else self.path.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.path} {self.levels}"


def small(schema: dict[str, Any], definitions: dict[str, Any]) -> list[Any]:
    """Small values that a JSON schema may allow."""
    if "$ref" in schema:
        return small(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema or "oneOf" in schema:
        found = [small(one, definitions) for one in schema.get("anyOf", schema.get("oneOf"))]
        return [values[at] for at in range(2) for values in found if at < len(values)]
    if "enum" in schema:
        return list(schema["enum"])
    if "const" in schema:
        return [schema["const"]]
    match schema.get("type"):
        case "boolean":
            return [True, False]
        case "integer":
            return [1, 2, 3, 4, 0, 8]
        case "number":
            return [0.5, 0.9, 0.01, 1.0, 2.0, 0.0]
        case "array":
            items = small(schema.get("items", {}), definitions)
            return [items[:2], items[:1], []]
        case "null":
            return [None]
        case "object":
            return small_objects(schema, definitions)
    return []


def small_objects(schema: dict[str, Any], definitions: dict[str, Any]) -> list[Any]:
    """A mapping with its required keys."""
    keys = schema.get("required", [])
    return [{key: (small(schema["properties"][key], definitions) or [None])[0] for key in keys}]


def spec(made: type[Component]) -> dict[str, Any]:
    """A component by name, small."""
    own = {name: value for name, value in SMALL.items() if name in made.model_fields}
    for kept in (own, {}):
        try:
            made.model_validate({"name": name_of(made), **kept})
        except ValueError:
            continue
        return {"name": name_of(made), **kept}
    return {"name": name_of(made)}


def name_of(made: type[Component]) -> str:
    return str(made.model_fields["name"].default)


def accepted(made: type[Component], values: dict[str, Any]) -> bool:
    try:
        made.model_validate(values)
    except ValueError:
        return False
    return True


def axes() -> Iterator[Axis]:
    """An axis for each field of a trial, for each component of every kind, and for each field of each component."""
    assert {*TRIAL_AXES, *FAMILIES, "network"} == {*Trial.model_fields}  # a network needs a class of the user's
    for path, levels in TRIAL_AXES.items():
        yield Axis(path, levels, {"depth": 2} if path == "dropout" else {})
    for path, family in FAMILIES.items():
        for made in family.members():
            if any(field.is_required() for field in made.model_fields.values()):
                continue  # such as a table, which needs a file
            own = spec(made)
            several = path == "measures"
            needed = {"task": {"name": NEEDS[name_of(made)]}} if name_of(made) in NEEDS else {}
            yield Axis(path, [[own], []] if several else [own, BASE[path]], needed)
            schema = TypeAdapter(made).json_schema()
            for name, part in schema["properties"].items():
                if name == "name" or (path, name) == ("task", "lag"):
                    continue
                levels = [v for v in small(part, schema.get("$defs", {})) if accepted(made, {**own, name: v})]
                levels = [value for at, value in enumerate(levels) if value not in levels[:at]][:3]
                if not levels:
                    continue
                if several:
                    yield Axis(path, [[{**own, name: value}] for value in levels], {path: [own], **needed})
                else:
                    yield Axis(f"{path}.{name}", levels, {path: own})


AXES = list(axes())


def lag_axes(least: int) -> list[dict[str, Any]]:
    """Axes of lags from the smallest lag of a task on."""
    return [
        *([{"lag": [least, least + 1]}] * 3),
        {"lag": [0]},
        {"lag": [0, 2]},
        {"lag": [least + 2]},
        {"train_lags": [{"uniform": [least, least + 2]}]},
        {"train_lags": [{"log_uniform": [least, least + 2]}, "fixed"], "lag": [least + 2]},
        {"train_lags": [{"curriculum": [least, least + 2]}, {"uniform": [least, least + 2]}]},
        {"lag": {"adaptive": [least, 4 * least], "precision": 2.0, "limit": 12}},
    ]


def least_lag(spec: dict[str, Any]) -> int:
    """The smallest lag above 0 that a task accepts."""
    made = tasks.base.FAMILY.plugin(spec["name"])
    return next((lag for lag in range(1, 100) if accepted(made, {**spec, "lag": lag})), 1)


def drawn(first: Axis, seed: int) -> dict[str, Any]:
    """A config whose sweep has this axis, with further axes, lags and seeds drawn at random."""
    rng = random.Random(f"{first} {seed}")
    axes = {first.part: first}
    for other in rng.sample(AXES, rng.choice([0, 1, 1, 2])):
        if not other.base.keys() & axes.keys():
            axes.setdefault(other.part, other)
    base = BASE | {part: spec for axis in axes.values() for part, spec in axis.base.items()}
    levels = {axis.path: axis.levels for axis in axes.values()}
    if "match" in levels:
        del base["hidden"]
    if rng.random() < 0.8:
        base["measures"] = with_retention(base["measures"])
        if "measures" in levels:
            levels["measures"] = [with_retention(level) for level in levels["measures"]]
    elif "measures" not in levels:
        base["measures"] = []
    least = max(map(least_lag, [base["task"], *levels.get("task", [])]))
    others: dict[str, Any] = dict(rng.choice(lag_axes(least)))
    if not isinstance(others.get("lag"), dict):  # adaptive lags choose their seeds themselves
        others["seed"] = list(range(rng.choice([1, 1, 2, 3])))
    if rng.random() < 0.15:
        others["tune"] = {"optimizer.lr": [0.001, 0.01]}
    if rng.random() < 0.15 and len(levels) > 1:
        count = min(map(len, levels.values()))
        zipped = {"zip": {path: own[:count] for path, own in levels.items()}}
    else:
        zipped = levels
    grids = [zipped | {path: own for path, own in others.items() if path not in levels}]
    if rng.random() < 0.2:
        grids.append({"cell": ["gru"], "lag": rng.choice([[least, least + 1], [0], [least + 2]])})
    return {"base": base, "sweep": grids}


def with_retention(taken: list[Any]) -> list[Any]:
    """The measures, with retention."""
    return taken if any(one["name"] == "retention" for one in taken) else [*taken, *BASE["measures"]]

"""What a config says under `executor:`."""

from __future__ import annotations

from pydantic import ValidationError

from farback.experiment.loading import Entry
from farback.experiment.messages import Located, located
from farback.experiment.problems import Problem, shown
from farback.placement import Placement


def placed(entry: Entry | None, problems: list[Problem]) -> Placement | None:
    """The executor that a config names: a name, or a mapping with `name`. What is wrong goes into `problems`."""
    if entry is None:
        return None
    value = entry.node.plain
    if not isinstance(value, str | dict):
        message = f"must be the name of an executor or a mapping with its name, got {shown(value)}"
        problems.append(Problem(str(entry.node.mark), "executor", message))
        return None
    try:
        return Placement.model_validate({"name": value} if isinstance(value, str) else value)
    except ValidationError as error:
        whole = Located(entry.key, "executor", "")
        found = [located(each, entry.node, entry.key, whole, Placement, "executor") for each in error.errors()]
        problems += [Problem(str(one.mark), one.path, one.message) for one in dict.fromkeys(found)]
        return None

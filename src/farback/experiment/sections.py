"""Reads `claims:` and `executor:` of a config."""

from __future__ import annotations

from collections import Counter

from pydantic import ValidationError

from farback.experiment.errors import record_problems
from farback.experiment.problems import Problem, shown
from farback.experiment.yaml_tree import Entry, Node
from farback.records.claim import Claim
from farback.records.execution import Placement


def claims_section(entry: Entry | None, problems: list[Problem]) -> tuple[Claim, ...]:
    """The claims that a config lists. What is wrong goes into `problems`."""
    if entry is None:
        return ()
    if not isinstance(entry.node.value, tuple) or not entry.node.value:
        message = f"must be a list of at least one claim, got {shown(entry.node.plain)}"
        problems.append(Problem(str(entry.node.mark), "claims", message))
        return ()
    found = [_claim(node, f"claims[{index}]", problems) for index, node in enumerate(entry.node.value)]
    claims = tuple(claim for claim in found if claim is not None)
    for name, count in Counter(claim.id for claim in claims).items():
        if count > 1:
            problems.append(Problem(str(entry.key), "claims", f"{count} claims have the id {shown(name)}"))
    if len({claim.needs for claim in claims}) > 1:
        message = "the claims of one config all need a GPU, or none of them does: make two configs"
        problems.append(Problem(str(entry.key), "claims", message))
    return claims


def _claim(node: Node, path: str, problems: list[Problem]) -> Claim | None:
    if not isinstance(node.value, dict):
        problems.append(Problem(str(node.mark), path, f"must be a mapping, got {shown(node.plain)}"))
        return None
    try:
        return Claim.model_validate(node.plain)
    except ValidationError as error:
        problems += record_problems(error, node, node.mark, path, Claim)
        return None


def executor_section(entry: Entry | None, problems: list[Problem]) -> Placement | None:
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
        problems += record_problems(error, entry.node, entry.key, "executor", Placement)
        return None

"""What a config says under `claims:`."""

from __future__ import annotations

from collections import Counter

from pydantic import ValidationError

from farback.claim import Claim
from farback.experiment.loading import Entry, Node
from farback.experiment.messages import Located, located
from farback.experiment.problems import Problem, shown


def claimed(entry: Entry | None, problems: list[Problem]) -> tuple[Claim, ...]:
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
        whole = Located(node.mark, path, "")
        found = [located(each, node, node.mark, whole, Claim, path) for each in error.errors()]
        problems += [Problem(str(one.mark), one.path, one.message) for one in dict.fromkeys(found)]
        return None

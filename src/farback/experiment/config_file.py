"""Reads the top-level keys of a config file."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, WithJsonSchema

from farback.experiment.errors import record_problems
from farback.experiment.problems import Problems, one_line, shown
from farback.experiment.yaml_tree import Node
from farback.records.claim import Claim
from farback.records.execution import Placement
from farback.records.record import Record, Several, named
from farback.system import devices
from farback.system.project import NAME, name_problem

CHECKPOINT_SECONDS = 60.0  # a checkpoint costs next to nothing, and a minute of training is soon repeated


def _seconds(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"the time must be a number of seconds, 0 or more, got {shown(value)}")
    return value


def _device(text: str) -> str:
    if not re.fullmatch(devices.FORM, text):
        raise ValueError(f"the device must be {devices.ALLOWED}, got {shown(text)}")
    return text


def _claims_agree(claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
    for name, count in Counter(claim.id for claim in claims).items():
        if count > 1:
            raise ValueError(f"{count} claims have the id {shown(name)}: give each its own")
    if len({claim.needs for claim in claims}) > 1:
        raise ValueError("some of these claims need a GPU and others do not: split them into two configs")
    return claims


class ConfigFile(Record):
    """The keys of a config file. `base`, `sweep` and `search` are checked when the trials are made.

    Attributes:
        name: the file's name without .yaml, which is also the default.
        question: the question that the experiment answers, in one sentence.
        base: the settings that every trial shares.
        sweep: grids of trials; without a sweep, the base is the only trial.
        search: a hyper-parameter search instead of a sweep (docs/search.md).
        claims: published statements that the experiment checks (docs/claims.md). They do not affect training.
        checkpoint_seconds: seconds between checkpoints of a running training. It does not affect results.
        executor: where trials are trained, as a name or a mapping (docs/scale.md). It does not affect results.
        memory: megabytes that an update may keep for its backward pass; by default half of the memory of each core. It
            does not affect results: beyond it, the backward pass computes steps again (docs/scale.md).
        device: `cpu`, `cuda`, or `cuda:1` for the second GPU. The device is not part of a trial's identity.
    """

    name: Annotated[Any, WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})] = ""
    question: Annotated[str, AfterValidator(one_line)] = ""
    base: dict[str, Any] | None = None
    sweep: Any = None
    search: Any = None
    claims: Annotated[Several[Claim], Field(min_length=1), AfterValidator(_claims_agree)] = ()
    checkpoint_seconds: Annotated[float, Field(ge=0), BeforeValidator(_seconds)] = CHECKPOINT_SECONDS
    executor: (
        Annotated[
            Placement,
            BeforeValidator(named, json_schema_input_type=Placement | Placement.model_fields["name"].annotation),
        ]
        | None
    ) = None
    memory: Annotated[int, Field(ge=1)] | None = None
    device: Annotated[str, AfterValidator(_device), Field(json_schema_extra={"pattern": f"^({devices.FORM})$"})] = (
        devices.CPU
    )


def config_file(document: Node, path: Path, problems: Problems) -> ConfigFile:
    """The top-level keys of the config at `path`. If they are wrong, adds to `problems` and returns defaults."""
    problem = name_problem(path)
    if problem is not None:
        problems.add(document.mark.source, "", f"{problem}; got {shown(path.stem)}")
    name = document.entries.get("name")
    if name is not None and name.node.plain != path.stem:
        message = f"must equal the file's name, {shown(path.stem)}, because results are stored under it"
        problems.add(name.node.mark, "name", f"{message}; got {shown(name.node.plain)}")
    try:
        return ConfigFile.model_validate(document.plain)
    except ValidationError as error:
        problems += record_problems(error, document, document.mark, "", ConfigFile)
        return ConfigFile()

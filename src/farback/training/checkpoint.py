"""Checkpoints: the state of a replica as bytes, and replicas that resume from it, bit for bit.

The bytes are a safetensors file. Its arrays are the weights, the optimizer's moments, the training values since the
last evaluation, and the scores and the progress so far. Its text is JSON: the trial's key, counters, and the state of
the random generator before the current block of training batches, which a resumed trial draws again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from farback.system import safetensors
from farback.training.replicas import Replica, Replicas
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Progress

FORMAT = 1  # raised when checkpoints of an older format can no longer be resumed
THEN = ", then "  # joins values, such as processors, of the processes that trained one trial in turn


Content = tuple[safetensors.Arrays, dict[str, Any]]  # the arrays and the JSON of a checkpoint


def checkpoint(replicas: Replicas, r: int, count: int, provenance: Mapping[str, str]) -> Checkpoint:
    """The checkpoint of replica `r` after `count` updates, with the provenance of this process."""
    replica = replicas.each[r]
    arrays: safetensors.Arrays = {"theta": replicas.theta_RP[r].cpu().numpy()}
    arrays |= {f"moments.{name}": value[r].cpu().numpy() for name, value in replicas.moments.items()}
    for name, values in vars(replicas.window).items():
        if values:
            arrays[f"window.{name}"] = torch.cat([value[:, r] for value in values]).cpu().numpy()
    names: dict[str, int] = {}
    arrays |= _columns("rows", [(f"{row[0]}/{row[3]}", row[1], row[2], row[4]) for row in replica.rows], names)
    progress = [
        (name, event.step, number, value)
        for number, event in enumerate(replica.shown)
        for name, value in event.metrics.items()
    ]
    arrays |= _columns("shown", progress, names)
    fields = {
        "format": FORMAT,
        "key": replica.trial.key,
        "step": count,
        "successes": replica.successes,
        "finite": replica.finite,
        "place": replicas.training.states[r],
        "taken": replicas.training.taken,
        "names": list(names),
        "made": joined_provenance(replica.before, provenance),
    }
    return Checkpoint(replica.trial.key, count, safetensors.packed(arrays, json.dumps(fields)))


def read(key: str, state: bytes) -> Content:
    """The content of the checkpoint of a trial. Raises ValueError: it is damaged, or of another trial or format."""
    arrays, text = safetensors.unpacked(state)
    fields = json.loads(text)
    if fields.get("format") != FORMAT:
        raise ValueError(f"the checkpoint has format {fields.get('format')}, but this release reads format {FORMAT}")
    if fields["key"] != key:
        raise ValueError(f"the checkpoint belongs to trial {fields['key']}")
    return arrays, fields


def replicas(cohort: Cohort, device: str = "cpu", memory: int | None = None) -> Replicas:
    """The replicas of a cohort, in the state of its checkpoints if it has some; `memory` as of `Replicas`.

    Raises:
        ValueError: a checkpoint cannot be read, or does not fit its trial.
    """
    made = Replicas(cohort.trials, device, memory)
    if not cohort.start:
        return made
    saved = [read(one.key, one.state) for one in cohort.start]
    for name, value in {"theta": made.theta_RP, **{f"moments.{n}": v for n, v in made.moments.items()}}.items():
        value.copy_(torch.from_numpy(np.stack([arrays[name] for arrays, _ in saved])))
    made.training.resume([fields["place"] for _, fields in saved], saved[0][1]["taken"], cohort.step)
    for name, values in vars(made.window).items():
        if f"window.{name}" in saved[0][0]:
            value_UR = torch.from_numpy(np.stack([arrays[f"window.{name}"] for arrays, _ in saved], 1)).to(device)
            values.append(value_UR)
    for replica, content in zip(made.each, saved, strict=True):
        _restore(replica, *content)
    return made


def joined_provenance(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """The provenance of a trial that several processes trained: values that changed are listed in order."""
    joined = dict(now)
    for name, value in now.items():
        earlier = before.get(name, value)
        if name != "pid":
            joined[name] = earlier if earlier.split(THEN)[-1] == value else earlier + THEN + value
    return joined


def _restore(replica: Replica, arrays: safetensors.Arrays, fields: dict[str, Any]) -> None:
    """Restore what a replica holds besides its tensors."""
    replica.successes, replica.finite, replica.before = fields["successes"], fields["finite"], fields["made"]
    for name, step, lag, value in _rows("rows", arrays, fields["names"]):
        measure, _, statistic = name.partition("/")
        replica.rows.append((measure, step, lag, statistic, value))
    events: dict[int, Progress] = {}
    for name, step, number, value in _rows("shown", arrays, fields["names"]):
        events.setdefault(number, Progress(replica.trial.key, step, {})).metrics[name] = value
    replica.shown = list(events.values())


def _columns(table: str, rows: Sequence[tuple[str, int, int, float]], names: dict[str, int]) -> safetensors.Arrays:
    """Rows of (name, step, lag, value) as arrays. `names` gives each name its number; new names are added."""
    return {
        f"{table}.name": np.array([names.setdefault(row[0], len(names)) for row in rows], dtype="<i4"),
        f"{table}.step": np.array([row[1] for row in rows], dtype="<i8"),
        f"{table}.lag": np.array([row[2] for row in rows], dtype="<i8"),
        f"{table}.value": np.array([row[3] for row in rows], dtype="<f8"),
    }


def _rows(table: str, arrays: safetensors.Arrays, names: Sequence[str]) -> list[tuple[str, int, int, float]]:
    """The inverse of `_columns`."""
    columns = [arrays[f"{table}.{column}"].tolist() for column in ("name", "step", "lag", "value")]
    return [(names[name], step, lag, value) for name, step, lag, value in zip(*columns, strict=True)]

"""Checkpoints: a replica as bytes, and replicas that go on from these, bit for bit.

The bytes are safetensors. Their arrays are the weights, the optimizer's moments, the training values since the last
evaluation, and the scores and the progress so far; their text is JSON: the trial's key, counters, and where the stream
of training data is. Batches already drawn are not kept: the stream goes back to before its block, and draws it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from farback.system import safetensors
from farback.training.replicas import Replica, Replicas, Window
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Progress

FORMAT = 1  # of what follows: raised when checkpoints written before can no longer be gone on from
THEN = ", then "  # between the processors, say, of a trial that went on on another machine


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was read: `said` is its JSON part."""

    arrays: safetensors.Arrays
    said: dict[str, Any]

    @property
    def made(self) -> dict[str, str]:
        """What made it, as in a result's provenance."""
        return dict(self.said["made"])


def checkpoint(replicas: Replicas, r: int, count: int, made: Mapping[str, str]) -> Checkpoint:
    """A replica after `count` updates.

    Args:
        replicas: with the others of its cohort.
        r: which.
        count: updates done.
        made: what trains it, as in a result's provenance.
    """
    replica, window = replicas.each[r], replicas.window
    arrays: safetensors.Arrays = {"theta": replicas.theta_RP[r].cpu().numpy()}
    arrays |= {f"moments.{name}": value[r].cpu().numpy() for name, value in replicas.moments.items()}
    for name, values in _windows(window):
        if values:
            arrays[f"window.{name}"] = torch.stack([value[r] for value in values]).cpu().numpy()
    names: dict[str, int] = {}
    arrays |= _columns("rows", [(f"{row[0]}/{row[3]}", row[1], row[2], row[4]) for row in replica.rows], names)
    shown = [
        (name, event.step, at, value) for at, event in enumerate(replica.shown) for name, value in event.metrics.items()
    ]
    arrays |= _columns("shown", shown, names)
    said = {
        "format": FORMAT,
        "key": replica.trial.key,
        "step": count,
        "successes": replica.successes,
        "finite": replica.finite,
        "place": replicas.training.places[r],
        "taken": replicas.training.taken,
        "names": list(names),
        "made": joined(replica.before, made),
    }
    return Checkpoint(replica.trial.key, count, safetensors.packed(arrays, json.dumps(said)))


def read(key: str, state: bytes) -> Saved:
    """The checkpoint of a trial.

    Raises:
        ValueError: it cannot be read, or is another trial's, or of another format.
    """
    arrays, text = safetensors.unpacked(state)
    said = json.loads(text)
    if said.get("format") != FORMAT:
        raise ValueError(f"it has the format {said.get('format')}, and this release reads {FORMAT}")
    if said["key"] != key:
        raise ValueError(f"it is of trial {said['key']}")
    return Saved(arrays, said)


def replicas(cohort: Cohort, device: str = "cpu") -> Replicas:
    """The replicas of a cohort, where they go on from.

    Raises:
        ValueError: a checkpoint cannot be read, or does not fit its trial.
    """
    found = Replicas(cohort.trials, device)
    if not cohort.start:
        return found
    saved = [read(one.key, one.state) for one in cohort.start]
    for name, value in {"theta": found.theta_RP, **{f"moments.{n}": v for n, v in found.moments.items()}}.items():
        value.copy_(torch.from_numpy(np.stack([one.arrays[name] for one in saved])))
    found.training.go_on([one.said["place"] for one in saved], saved[0].said["taken"])
    for name, values in _windows(found.window):
        if f"window.{name}" in saved[0].arrays:
            value_NR = torch.from_numpy(np.stack([one.arrays[f"window.{name}"] for one in saved], 1)).to(device)
            values.extend(value_NR.unbind())
    for replica, one in zip(found.each, saved, strict=True):
        _restore(replica, one)
    return found


def joined(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """One provenance of what several processes made in turn: where they differ, all are said."""
    return {name: value if name == "pid" else _joined(before.get(name, value), value) for name, value in now.items()}


def _joined(before: str, now: str) -> str:
    return before if before.split(THEN)[-1] == now else before + THEN + now


def _restore(replica: Replica, saved: Saved) -> None:
    """What is remembered of a trial beside its tensors."""
    said, names = saved.said, saved.said["names"]
    replica.successes, replica.finite, replica.before = said["successes"], said["finite"], saved.made
    for name, step, lag, value in _listed("rows", saved.arrays, names):
        measure, _, statistic = name.partition("/")
        replica.rows.append((measure, step, lag, statistic, value))
    events: dict[int, Progress] = {}
    for name, step, at, value in _listed("shown", saved.arrays, names):
        events.setdefault(at, Progress(replica.trial.key, step, {})).metrics[name] = value
    replica.shown = list(events.values())


def _windows(window: Window) -> list[tuple[str, list[torch.Tensor]]]:
    return [("loss", window.loss), ("norm", window.norm), ("over", window.over)]


def _columns(table: str, rows: Sequence[tuple[str, int, int, float]], names: dict[str, int]) -> safetensors.Arrays:
    """Rows of a name, two whole numbers and a value as columns; `names` grows by those that are new."""
    return {
        f"{table}.name": np.array([names.setdefault(row[0], len(names)) for row in rows], dtype="<i4"),
        f"{table}.step": np.array([row[1] for row in rows], dtype="<i8"),
        f"{table}.lag": np.array([row[2] for row in rows], dtype="<i8"),
        f"{table}.value": np.array([row[3] for row in rows], dtype="<f8"),
    }


def _listed(table: str, arrays: safetensors.Arrays, names: Sequence[str]) -> list[tuple[str, int, int, float]]:
    columns = [arrays[f"{table}.{column}"].tolist() for column in ("name", "step", "lag", "value")]
    return [(names[name], step, lag, value) for name, step, lag, value in zip(*columns, strict=True)]

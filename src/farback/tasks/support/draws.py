"""The sequences that a farback trial is trained, validated and tested on, as batches and as NumPy arrays.

Shapes: N sequences, T steps, I inputs, C bits of an answer.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from farback.records.record import named
from farback.system.random_streams import stream
from farback.tasks.base import FAMILY, Batch, Task
from farback.tasks.support.mixed_lags import Mixed, TrainLags, drawn_lags

BLOCK_NUMBERS = 1_000_000  # inputs that are drawn at once for training: fewer calls, with bounded memory
TEST_NUMBERS = 250_000  # numbers of the input of one forward pass; the states have many times as many
UNITS = 16  # one bit of an answer takes as much memory as this many numbers of the input
BATCH = 32  # sequences per update of a trial, by default
Purpose = Literal["train", "validation", "test"]
LAGS: TypeAdapter[Mixed | Literal["fixed"]] = TypeAdapter(TrainLags)


def batches_per_draw(task: Task, batch: int) -> int:
    """How many batches of training sequences are drawn at once."""
    numbers = task.sample(stream(0, "probe"), 1).input_BTI.numel() * batch
    return max(1, min(16, BLOCK_NUMBERS // max(1, numbers)))


def retention_batches(task: Task, sequences: int, seed: int, every_lag: bool = False) -> Iterator[Batch]:
    """Test sequences, in parts of limited size; the size depends on the task alone.

    In each sequence an answer needs exactly the task's lag, unless `every_lag`.
    """
    rng = stream(seed, "test", task.lag)
    example = task.sample(stream(0, "probe"), 1)
    numbers = example.input_BTI.numel()
    if example.target_BT.ndim > 2:  # each bit of an answer may have hidden units of its own
        numbers += UNITS * example.target_BT.numel()
    size = max(1, min(sequences, TEST_NUMBERS // max(1, numbers)))
    for start in range(0, sequences, size):
        count = min(size, sequences - start)
        yield task.sample(rng, count) if every_lag else task.sample_exact(rng, count)


def arrays(
    task: str | Mapping[str, Any] | Task,
    lag: int | None = None,
    count: int = 1000,
    seed: int = 0,
    *,
    purpose: Purpose = "train",
    lags: Literal["fixed"] | Mapping[str, Any] | Mixed = "fixed",
) -> dict[str, NDArray[Any]]:
    """Sequences of a task as NumPy arrays, to train and test a model outside of farback; `score` scores its answers.

    Each purpose has a random stream of its own, so that no test sequence is drawn from the stream of the training
    data; a task with finite data (`digits`) uses separate data. Equal arguments give equal arrays. They are what a
    farback trial of this task and seed sees:

    - `train`: the sequences that it is trained on, in order, with a `batch` of 32. So the first ones of a larger
      `count` are those of a smaller one.
    - `validation`: with a `count` of 256, those that it is validated on.
    - `test`: those on which `measures.retention` tests it at this lag with `sequences` = `count`. An answer of each
      sequence needs exactly this lag. With mixed lags they are drawn as for training, and no trial is tested on them.

    Args:
        task: a name, `{"name": ..., parameter: value}`, or a `Task`.
        lag: readout step minus cue step; by default the task's own, or the largest of `lags`.
        count: the number of sequences, N.
        seed: the seed of the streams, as in a trial.
        purpose: what the sequences are for.
        lags: `{"uniform": [1, 80]}` or `{"log_uniform": [1, 80]}` draw the lag of each sequence, as `train_lags` of a
            config; all are padded to the length that the largest lag needs. The lags of `{"curriculum": [1, 80]}` grow
            as in a training whose updates use `count` sequences in all.

    Returns:
        `x` (N, T, I), float32. `y` (N, T), the answers: int64 for classes, float32 for numbers; (N, T, C) float32 for
        bits; 0 where nothing is asked. `lag` (N, T), int64: the lag that the answer needs, -1 where nothing is asked.
        `mask` (N, T), bool: the asked steps, `lag >= 0`.

    Raises:
        ValueError: an unknown task, a wrong parameter, an impossible lag, lags that the task cannot mix, or a `count`,
            `seed` or `purpose` that is not allowed.
    """
    mixed = LAGS.validate_python(lags)
    own = at_lag(task, mixed.bounds[1] if lag is None and isinstance(mixed, Mixed) else lag)
    if isinstance(mixed, Mixed):
        mixed.check(own, "lags")
    count, seed = at_least("count", count, 1), at_least("seed", seed, 0)
    if purpose not in get_args(Purpose):
        raise ValueError(f"purpose must be one of {', '.join(get_args(Purpose))}, got {purpose!r}")
    parts = list(_drawn(own, count, seed, purpose, mixed if isinstance(mixed, Mixed) else None))
    x, y, lag_NT = (torch.cat(tensors)[:count].numpy() for tensors in zip(*parts, strict=True))
    return {"x": x, "y": y, "lag": lag_NT, "mask": lag_NT >= 0}


def _drawn(task: Task, count: int, seed: int, purpose: Purpose, mixed: Mixed | None) -> Iterator[Batch]:
    """At least `count` sequences, in the parts in which a trial draws them."""
    own = task if purpose == "train" else task.held_out(purpose)
    if purpose == "test" and mixed is None:
        yield from retention_batches(own, count, seed)
        return
    training = purpose == "train"
    rng, size = stream(seed, purpose), BATCH * batches_per_draw(own, BATCH) if training else count
    for start in range(0, count, size):
        if mixed is not None:
            first = start // BATCH + 1 if training else None  # the number of the update
            yield own.sample(
                rng, size, drawn_lags(mixed, rng, size, batch=BATCH, steps=-(-count // BATCH), first=first)
            )
        else:
            yield own.sample(rng, size) if training else own.sample_exact(rng, size)


def at_lag(task: str | Mapping[str, Any] | Task, lag: int | None) -> Task:
    """The task that is described, at a lag if one is given.

    Raises:
        ValueError: an unknown task, a wrong parameter, an impossible lag, or two different lags.
    """
    if lag is None or isinstance(task, Task):
        own = FAMILY.build(task)
        return own if lag is None else own.at(lag)
    spec = dict(named(task))
    if spec.get("lag", lag) != lag:
        raise ValueError(f"lag is {lag} and the lag of the task is {spec['lag']}: keep one of them")
    return FAMILY.build({**spec, "lag": lag})


def at_least(name: str, value: Any, least: int) -> int:
    """A whole number as an int. Raises ValueError: it is something else, or smaller than `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(f"{name} must be a whole number of {least} or more, got {value!r}")
    return number

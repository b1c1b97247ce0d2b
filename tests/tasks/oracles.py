"""What each task should have asked and what partial memory would have answered, in plain loops over the inputs.

An oracle reads one sequence `x`, shape (T, I), with the task's fields and the lag asked for, and returns the asked
steps as `{step: (answer, lag)}`. A partial oracle gives, for one rung of the ladder, the probabilities (classes) or
the value (real numbers) that a model with that much memory would put out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Asked = dict[int, tuple[float, int]]


def shown(x: Array) -> list[int]:
    """The symbol at each step of one-hot rows; -1 for a row of zeros."""
    return [int(np.flatnonzero(row)[0]) if row.any() else -1 for row in x]


def recall(task: Any, x: Array, lag: int) -> Asked:
    flags = [t for t in range(len(x)) if x[t, -1] == 1]
    assert len(flags) == 1
    if task.filler == "same":
        cues = [t for t in range(len(x)) if x[t, task.symbols] == 1]
    else:
        cues = [t for t in range(len(x)) if x[t, : task.symbols].any()]
    assert len(cues) == 1
    for row in x:
        assert row[: task.symbols + (task.distractors if task.filler == "noise" else 0)].sum() <= 1
    return {flags[0]: (int(np.flatnonzero(x[cues[0], : task.symbols])[0]), flags[0] - cues[0])}


def nback(task: Any, x: Array, lag: int) -> Asked:
    symbol = shown(x)
    return {t: (symbol[t - lag], lag) for t in range(len(x)) if t - lag >= 0}


def copy(task: Any, x: Array, lag: int) -> Asked:
    symbol = shown(x)
    go = symbol.index(task.symbols + 1)
    cues = [t for t in range(go) if symbol[t] > 0]
    assert cues == list(range(task.length))
    assert all(s == 0 for s in symbol[task.length : go] + symbol[go + 1 :])
    asked: Asked = {go + 1 + j: (symbol[s], go + 1 + j - s) for j, s in enumerate(cues)}
    if task.blanks == "asked":
        asked = {**dict.fromkeys(range(go + 1), (0, 0)), **asked}
    return asked


def adding(task: Any, x: Array, lag: int) -> Asked:
    marks = [t for t in range(len(x)) if x[t, 1] == 1]
    assert len(marks) == 2
    assert 0 <= marks[0] < lag <= marks[1] < 2 * lag
    end = 2 * lag - 1
    return {end: (float(x[marks[0], 0] + x[marks[1], 0]), end - marks[0])}


def temporal_order(task: Any, x: Array, lag: int) -> Asked:
    symbol = shown(x)
    end = symbol.index(7)
    assert symbol[0] == 6
    assert all(s == -1 for s in symbol[end + 1 :])
    cues = [t for t in range(end) if symbol[t] in (4, 5)]
    assert len(cues) == task.relevant
    assert all(s in (0, 1, 2, 3) for t, s in enumerate(symbol[1:end], 1) if t not in cues)
    order = int("".join("01"[symbol[t] - 4] for t in cues), 2)
    return {end: (order, end - cues[0])}


def parity(task: Any, x: Array, lag: int) -> Asked:
    bit = shown(x)
    if task.form == "running":
        return {lag: (sum(bit[: lag + 1]) % 2, lag)}
    return {t: (sum(bit[t - lag : t + 1]) % 2, lag) for t in range(len(x)) if t - lag >= 0}


def selective_copy(task: Any, x: Array, lag: int) -> Asked:
    symbol = shown(x)
    markers = [t for t in range(len(x)) if symbol[t] == task.alphabet - 1]
    cues = [t for t in range(len(x)) if 0 < symbol[t] < task.alphabet - 1]
    assert markers == list(range(lag, lag + task.tokens))
    assert len(cues) == task.tokens
    return {t: (symbol[s] - 1, t - s) for t, s in zip(markers, cues, strict=True)}


ORACLES: dict[str, Callable[[Any, Array, int], Asked]] = {
    "recall": recall,
    "nback": nback,
    "copy": copy,
    "adding": adding,
    "temporal_order": temporal_order,
    "parity": parity,
    "selective_copy": selective_copy,
}


# Partial memory --------------------------------------------------------------------------------------------------
# Each takes the task, the answers (B, N) of the asked steps that need memory, the inputs (B, T, I), which rung, and a
# generator; it returns (B, N, classes) probabilities, or (B, N) values.


def known(answer_BN: Array, classes: int) -> Array:
    return np.eye(classes)[answer_BN]


def recall_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Keeps the lowest bits of the cue: which candidates are left, not which of them. The last rung is the cue."""
    if rung == len(task.ladder()) - 1:
        return known(answer_BN, task.symbols)
    candidate = np.arange(task.symbols)
    alike = candidate[None, None, :] % 2**rung == (answer_BN % 2**rung)[..., None]
    return alike / alike.sum(-1, keepdims=True)


def first_symbols(task: Any, answer_BN: Array, remembered: int, classes: int, first: int) -> Array:
    guess = np.zeros(classes)
    guess[first:] = 1 / (classes - first)
    keeps = np.arange(answer_BN.shape[1])[None, :, None] < remembered
    return np.where(keeps, known(answer_BN, classes), guess)


def copy_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    return first_symbols(task, answer_BN, [0, 1, 5, 9, 10][rung], task.symbols + 1, 1)  # length 10


def selective_copy_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    return first_symbols(task, answer_BN, [0, 1, 2, 4][rung], task.alphabet - 2, 0)  # 4 tokens


def nback_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    keeps = rng.random(answer_BN.shape) < rung / 4
    return np.where(keeps[..., None], known(answer_BN, task.symbols), 1 / task.symbols)


def adding_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Knows the first `rung` marked numbers, and takes the mean, a half, for each other."""
    number_B2 = x_BTI[..., 0][x_BTI[..., 1] == 1].reshape(-1, 2)
    return np.where(np.arange(2)[None, :] < rung, number_B2, 0.5).sum(1, keepdims=True)


def temporal_order_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Keeps the last `rung` of the symbols, which are the lowest bits of the class."""
    alike = np.arange(2**task.relevant)[None, None, :] % 2**rung == (answer_BN % 2**rung)[..., None]
    return alike / alike.sum(-1, keepdims=True)


def parity_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Misses one bit: whatever it puts in its place, the two answers are equally likely."""
    return known(answer_BN, 2) if rung else np.full((*answer_BN.shape, 2), 0.5)


PARTIAL: dict[str, Callable[[Any, Array, Array, int, np.random.Generator], Array]] = {
    "recall": recall_in_part,
    "copy": copy_in_part,
    "selective_copy": selective_copy_in_part,
    "nback": nback_in_part,
    "adding": adding_in_part,
    "temporal_order": temporal_order_in_part,
    "parity": parity_in_part,
}

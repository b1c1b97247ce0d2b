"""The correct answers of each task, and the outputs of models with partial memory, in plain loops over the inputs.

An oracle takes one sequence `x`, shape (T, I), the task and the lag, and returns the asked steps as
`{step: (answer, lag)}`. A partial oracle computes, for one rung of the ladder, the probabilities (classes) or the value
(real numbers) of a model with that much memory.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

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
        assert row[: task.symbols + (task.distractors if task.filler in ("noise", "counted") else 0)].sum() <= 1
    return {flags[0]: (int(np.flatnonzero(x[cues[0], : task.symbols])[0]), flags[0] - cues[0])}


def nback(task: Any, x: Array, lag: int) -> Asked:
    symbol = shown(x)
    return {t: (symbol[t - lag], lag) for t in range(len(x)) if t - lag >= 0}


def copy(task: Any, x: Array, lag: int) -> Asked:
    symbol = shown(x) if task.layout == "arjovsky" else [int(row[0]) for row in x]
    go = symbol.index(task.symbols + 1)
    cues = [t for t in range(go) if symbol[t] > 0]
    assert cues == list(range(task.length))
    after = [0] * task.length if task.layout == "arjovsky" else [task.symbols + 1] * task.length
    assert symbol[go + 1 : go + 1 + task.length] == after
    assert all(s == 0 for s in symbol[task.length : go] + symbol[go + 1 + task.length :])
    asked: Asked = {go + 1 + j: (symbol[s], go + 1 + j - s) for j, s in enumerate(cues)}
    if task.blanks == "asked":
        asked = {**dict.fromkeys(range(go + 1), (0, 0)), **asked}
    return asked


def adding(task: Any, x: Array, lag: int) -> Asked:
    marks = [t for t in range(len(x)) if x[t, 1] == 1]
    assert len(marks) == 2
    assert 0 <= marks[0] < lag <= marks[1] < 2 * lag - 1
    end = 2 * lag - 1
    total = float(x[marks[0], 0] + x[marks[1], 0])
    return {end: (total if task.numbers == "unit" else 0.5 + total / 4, end - marks[0])}


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


def group(task: Any, x: Array, lag: int) -> Asked:
    """Sums modulo n, or permutations applied one after the other to each number, the last one first."""
    element, kind, n = shown(x), task.group[0], int(task.group[1:])
    if kind == "z":
        products = [sum(element[: t + 1]) % n for t in range(lag + 1)]
    else:
        listed = [
            p for p in itertools.permutations(range(n)) if kind == "s" or round(np.linalg.det(np.eye(n)[list(p)])) == 1
        ]
        places = [list(range(n)) for _ in range(lag + 1)]
        for t in range(lag + 1):
            for p in reversed(element[: t + 1]):
                places[t] = [listed[p][i] for i in places[t]]
        products = [listed.index(tuple(p)) for p in places]
    return {t: (products[t], t) for t in range(lag + 1) if task.asked == "every" or t == lag}


def induction(task: Any, x: Array, lag: int) -> Asked:
    symbol = shown(x)
    first, second = (t for t in range(len(x)) if symbol[t] == task.symbols)
    assert first <= task.before
    return {second: (symbol[first + 1], second - first - 1)}


def selective_copy(task: Any, x: Array, lag: int) -> Asked:
    symbol = shown(x)
    markers = [t for t in range(len(x)) if symbol[t] == task.alphabet - 1]
    cues = [t for t in range(len(x)) if 0 < symbol[t] < task.alphabet - 1]
    assert markers == list(range(lag, lag + task.tokens))
    assert len(cues) == task.tokens
    return {t: (symbol[s] - 1, t - s) for t, s in zip(markers, cues, strict=True)}


def multiplication(task: Any, x: Array, lag: int) -> Asked:
    marks = [t for t in range(len(x)) if x[t, 1] == 1]
    assert len(marks) == 2
    assert 0 <= marks[0] < lag <= marks[1] < 2 * lag - 1
    end = 2 * lag - 1
    return {end: (float(x[marks[0], 0] * x[marks[1], 0]), end - marks[0])}


def match(task: Any, x: Array, lag: int) -> Asked:
    flags = [t for t in range(len(x)) if x[t, -1] == 1]
    cues = [t for t in range(len(x)) if x[t, : task.symbols].any()]
    assert flags == [lag]
    assert cues == [0, lag]
    return {lag: (int((x[0, : task.symbols] == x[lag, : task.symbols]).all()), lag)}


def flipflop(task: Any, x: Array, lag: int) -> Asked:
    write, ignore, read = (x[:, task.symbols + place] for place in range(3))
    assert ((write + ignore + read) == 1).all()
    assert np.flatnonzero(read).tolist() == [lag]
    assert write[0] == 1
    last = max(t for t in range(lag) if write[t])
    assert not x[lag, : task.symbols].any()
    return {lag: (int(np.flatnonzero(x[last, : task.symbols])[0]), lag - last)}


def assoc(task: Any, x: Array, lag: int) -> Asked:
    """All steps that may be the query of a key: an even number of steps before the last.

    A random symbol can equal a key, so `agree` only checks that one of the steps of each key is asked.
    """
    symbol = shown(x)
    half, pairs = task.vocabulary // 2, task.pairs
    keys, values = symbol[0 : 2 * pairs : 2], symbol[1 : 2 * pairs : 2]
    assert len(set(keys)) == len(set(values)) == pairs
    assert all(1 <= key < half for key in keys)
    assert all(half <= value < task.vocabulary for value in values)
    return {
        t: (values[keys.index(symbol[t])] - half, t - 2 * keys.index(symbol[t]) - 1)
        for t in range(2 * pairs, lag + 2)
        if symbol[t] in keys and (lag + 1 - t) % 2 == 0
    }


def delay(task: Any, x: Array, lag: int) -> Asked:
    return {t: (float(x[t - lag, 0]), lag) for t in range(lag, len(x))}


def hold(task: Any, x: Array, lag: int) -> Asked:
    assert np.flatnonzero(x[:, 1]).tolist() == [0]
    assert np.flatnonzero(x[:, 2]).tolist() == [lag]
    return {lag: (float(x[0, 0]), lag)}


def kernel(task: Any, x: Array, lag: int) -> Asked:
    w = task.weights()
    return {t: (sum(w[k] * float(x[t - k, 0]) for k in range(lag + 1)), lag) for t in range(lag, len(x))}


@functools.cache
def loaded() -> Any:
    return load_digits()


def digits(task: Any, x: Array, lag: int) -> Asked:
    """The digit of the image of scikit-learn with these pixels."""
    assert np.flatnonzero(x[:, 1]).tolist() == [lag]
    assert not x[64:, 0].any()
    images = loaded()
    place = range(64) if task.order == "rows" else np.random.default_rng(task.permutation).permutation(64)
    same = (np.round(16 * x[:64, 0]) == images.data[:, list(place)]).all(1)
    (answer,) = set(images.target[same].tolist())
    return {lag: (answer, lag)}


ORACLES: dict[str, Callable[[Any, Array, int], Asked]] = {
    "recall": recall,
    "nback": nback,
    "copy": copy,
    "adding": adding,
    "temporal_order": temporal_order,
    "parity": parity,
    "group": group,
    "induction": induction,
    "selective_copy": selective_copy,
    "multiplication": multiplication,
    "match": match,
    "flipflop": flipflop,
    "assoc": assoc,
    "delay": delay,
    "hold": hold,
    "kernel": kernel,
    "digits": digits,
}


# Partial memory --------------------------------------------------------------------------------------------------
# Arguments: the task, the answers (B, N) of the asked steps that need memory, the inputs (B, T, I), the index of the
# rung, and a generator. They return (B, N, classes) probabilities, or (B, N) values.


def known(answer_BN: Array, classes: int) -> Array:
    return np.eye(classes)[answer_BN]


def recall_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Remembers the lowest bits of the cue, so that some candidates are left. The last rung is the cue."""
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
    """Knows the first `rung` marked numbers, and uses the mean, a half, for the others."""
    number_B2 = x_BTI[..., 0][x_BTI[..., 1] == 1].reshape(-1, 2)
    if task.numbers == "symmetric":
        return 0.5 + np.where(np.arange(2)[None, :] < rung, number_B2, 0).sum(1, keepdims=True) / 4
    return np.where(np.arange(2)[None, :] < rung, number_B2, 0.5).sum(1, keepdims=True)


def temporal_order_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Remembers the last `rung` symbols, which are the lowest bits of the class."""
    alike = np.arange(2**task.relevant)[None, None, :] % 2**rung == (answer_BN % 2**rung)[..., None]
    return alike / alike.sum(-1, keepdims=True)


def parity_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Misses one bit, so that both answers are equally likely."""
    return known(answer_BN, 2) if rung else np.full((*answer_BN.shape, 2), 0.5)


def all_or_nothing(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Misses one element, or the symbol, so that all answers are equally likely."""
    classes = task.answer.classes
    return known(answer_BN, classes) if rung else np.full((*answer_BN.shape, classes), 1 / classes)


def multiplication_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Knows the first `rung` marked numbers, and uses a half for the others."""
    number_B2 = x_BTI[..., 0][x_BTI[..., 1] == 1].reshape(-1, 2)
    return np.where(np.arange(2)[None, :] < rung, number_B2, 0.5).prod(1, keepdims=True)


def match_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Remembers the lowest bits of the sample. A test with other bits is different; else Bayes' rule decides."""
    sample_B, test_B = (x_BTI[:, step, : task.symbols].argmax(1) for step in (0, -1))
    last = rung == len(task.ladder()) - 1
    like_B = (sample_B == test_B) if last else sample_B % 2**rung == test_B % 2**rung
    n = 1 if last else task.symbols // 2**rung
    same_B = np.where(like_B, 1 / (1 + (n - 1) / (task.symbols - 1)), 0.0)
    return np.stack([1 - same_B, same_B], 1)[:, None]


def flipflop_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Knows the last m steps before the reading one, and guesses if none of them writes."""
    m = int(task.ladder()[rung].amount)
    wrote_B = x_BTI[:, task.lag - m : task.lag, task.symbols].any(1)
    return np.where(wrote_B[:, None, None], known(answer_BN, task.symbols), 1 / task.symbols)


def assoc_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Knows nothing; the set of values; also the keys of the first half of the pairs (4 pairs); everything."""
    classes = task.vocabulary // 2
    if rung == 0:
        return np.full((*answer_BN.shape, classes), 1 / classes)
    bound = [0, 2, 4][rung - 1]
    value_BD = x_BTI[:, 1 : 2 * task.pairs : 2].argmax(2) - classes
    left_BK = known(value_BD[:, bound:], classes).sum(1)
    guess_BK = left_BK / np.maximum(1, left_BK.sum(1, keepdims=True))
    known_BN = (answer_BN[:, :, None] == value_BD[:, None, :bound]).any(2)
    return np.where(known_BN[..., None], known(answer_BN, classes), guess_BK[:, None])


def delay_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    return np.where(rng.random(answer_BN.shape) < rung / 4, answer_BN, 0.0)


def hold_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Keeps `rung` bits of the number's place in its range, or (last rung) the number."""
    if rung == len(task.ladder()) - 1:
        return answer_BN
    cell_BN = np.floor((answer_BN / np.sqrt(12) + 0.5) * 2**rung)
    return ((cell_BN + 0.5) / 2**rung - 0.5) * np.sqrt(12)


def kernel_in_part(task: Any, answer_BN: Array, x_BTI: Array, rung: int, rng: np.random.Generator) -> Array:
    """Knows the last m inputs, including the present one."""
    m, w = int(task.ladder()[rung].amount), task.weights()
    return np.stack([sum(w[k] * x_BTI[:, t - k, 0] for k in range(m)) for t in range(task.lag, x_BTI.shape[1])], axis=1)


PARTIAL: dict[str, Callable[[Any, Array, Array, int, np.random.Generator], Array]] = {
    "recall": recall_in_part,
    "copy": copy_in_part,
    "selective_copy": selective_copy_in_part,
    "nback": nback_in_part,
    "adding": adding_in_part,
    "temporal_order": temporal_order_in_part,
    "parity": parity_in_part,
    "group": all_or_nothing,
    "induction": all_or_nothing,
    "multiplication": multiplication_in_part,
    "match": match_in_part,
    "flipflop": flipflop_in_part,
    "assoc": assoc_in_part,
    "delay": delay_in_part,
    "hold": hold_in_part,
    "kernel": kernel_in_part,
}

"""A finite data set: windows, disjoint parts, kinds of answers and scales of the sequences that a file holds.

Shapes: R steps in all sequences of a file, I inputs, C targets, N sequences (or windows), B sequences of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from farback.records.user_error import UserError
from farback.tasks.base import Batch, Lags, batch
from farback.tasks.support.answers import Answer, Bits, OneOf, Within
from farback.tasks.support.array_files import read_arrays
from farback.tasks.support.data_files import Array, Layout, Steps, content_digest, files_of
from farback.tasks.support.data_parts import check_split, parts, parts_of_windows, shifted, units, usual_split, windows
from farback.tasks.support.table_files import read_tables

MOST_CLASSES = 20  # whole numbers with more different values are taken as numbers

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class DataSet:
    """Sequences with answers, in three disjoint parts.

    Attributes:
        input_RI, target_RC: inputs and answers (C = 1 unless the answers are bits), in the units of training.
        asked_R: at which steps an answer is asked.
        lag_R: the lag that each answer needs; None if the file does not say.
        first_N, steps_N: the first step of each sequence, and how many it has.
        part_N: the part of each sequence, an index of `PARTS`.
        whole: whether only the last step of a sequence is asked.
        answer: the kind of answers.
        text: what the data are, for pages.
    """

    input_RI: NDArray[np.float32]
    target_RC: Array
    asked_R: NDArray[np.bool_]
    lag_R: NDArray[np.int64] | None
    first_N: NDArray[np.int64]
    steps_N: NDArray[np.int64]
    part_N: NDArray[np.int64]
    whole: bool
    answer: Answer
    text: str

    @property
    def steps(self) -> int:
        """The number of steps of the longest sequence, T."""
        return int(self.steps_N.max())

    def asked(self, n_N: Lags) -> tuple[Lags, NDArray[np.bool_], NDArray[np.bool_]]:
        """Of some sequences: the row of each step, which steps they have, and which are asked; each (N, T)."""
        step_T = np.arange(self.steps)
        last_N1 = self.steps_N[n_N][:, None] - 1
        row_NT = self.first_N[n_N][:, None] + np.minimum(step_T, last_N1)
        asked_NT = (step_T == last_N1) if self.whole else (step_T <= last_N1)
        return row_NT, step_T <= last_N1, asked_NT & self.asked_R[row_NT]

    @lru_cache(maxsize=256)  # noqa: B019 - data sets are few, and kept by a cache themselves
    def own(self, part: Part, lag: int | None = None, exact: bool = False) -> Lags:
        """The sequences of a part; with a lag, those with an answer that needs at most (or exactly) this lag."""
        n_N = np.flatnonzero(self.part_N == PARTS.index(part))
        if lag is None or self.lag_R is None:
            return n_N
        row_NT, _, asked_NT = self.asked(n_N)
        lag_NT = self.lag_R[row_NT]
        return n_N[(asked_NT & ((lag_NT == lag) if exact else (lag_NT <= lag))).any(1)]

    def batch(self, n_B: Lags, lag_B: Lags) -> Batch:
        """These sequences as a batch; only answers that need at most the lag of their sequence are asked."""
        row_BT, inside_BT, asked_BT = self.asked(n_B)
        input_BTI = np.where(inside_BT[..., None], self.input_RI[row_BT], np.float32(0))
        lag_BT = np.broadcast_to(lag_B[:, None], row_BT.shape)
        if self.lag_R is not None:
            asked_BT &= self.lag_R[row_BT] <= lag_B[:, None]
            lag_BT = self.lag_R[row_BT]
        target_BTC = np.where(asked_BT[..., None], self.target_RC[row_BT], self.target_RC.dtype.type(0))
        target_BT = target_BTC if isinstance(self.answer, Bits) else target_BTC[..., 0]
        return batch(input_BTI, target_BT, np.where(asked_BT, lag_BT, -1))


@lru_cache(maxsize=8)
def data_set(path: Path, digest: str, layout: Layout) -> DataSet:
    """The data of a file with this digest.

    Raises:
        UserError: the file has changed since the digest was taken.
        ValueError: the file cannot be used with this layout; the message says why.
    """
    files = files_of(path)
    if files[0].suffix == ".npz":
        _refuse(path, columns=layout.columns, asked=layout.asked, missing=layout.missing == "carry")
        steps = read_arrays(path)
    elif layout.columns is None:
        raise ValueError(f"{path} is a table: columns must name its columns, at least the target")
    else:
        steps = read_tables(files, layout.columns, layout.window is not None, layout.missing, layout.asked)
    if content_digest(path) != digest:
        raise UserError(f"{path} has changed since the config was read: run the command again")
    return _made(steps, layout, path)


def _refuse(path: Path, **fields: Any) -> None:
    for name, value in fields.items():
        if value:
            raise ValueError(f"{name} is for .csv and .parquet files, and {path} holds arrays: leave it out")


def _made(steps: Steps, layout: Layout, path: Path) -> DataSet:
    split = layout.split or usual_split(steps, layout)
    check_split(steps, layout, split)
    whole = steps.whole
    first_N, steps_N = steps.first_N, steps.steps_N
    if layout.window is not None:
        steps, whole = shifted(steps, layout.ahead), layout.asked != "every"
        first_N, series_N = windows(steps, layout.window, layout.ahead)
        steps_N = np.full(len(first_N), layout.window)
        if split == "time":
            part_N = parts_of_windows(steps, first_N, layout.window + layout.ahead)
            first_N, steps_N, part_N = (each[part_N >= 0] for each in (first_N, steps_N, part_N))
        else:
            part_N = parts(units(steps, split), split)[series_N]
    else:
        part_N = parts(units(steps, split), split)
    target_RC, answer, kind = _answers(steps.target_RC, steps.asked_R, layout, path)
    sequences = (first_N, steps_N, part_N, whole)
    made = DataSet(steps.input_RI.astype(np.float32), target_RC, steps.asked_R, steps.lag_R, *sequences, answer, "")
    made, dropped = _with_answers(made)
    _check_parts(made, path)
    made = _scaled(made, steps.input_RI, layout)
    return _with(made, text=_text(made, layout, path, split, kind, dropped))


def _with(made: DataSet, **changes: Any) -> DataSet:
    return DataSet(**{**vars(made), **changes})


def _with_answers(made: DataSet) -> tuple[DataSet, int]:
    """The data set without sequences that ask nothing, and their number."""
    if made.whole:
        kept_N = made.asked_R[made.first_N + made.steps_N - 1]
    else:
        before_R = np.r_[0, np.cumsum(made.asked_R)]
        kept_N = before_R[made.first_N + made.steps_N] > before_R[made.first_N]
    if kept_N.all():
        return made, 0
    kept = {name: getattr(made, name)[kept_N] for name in ("first_N", "steps_N", "part_N")}
    return _with(made, **kept), int((~kept_N).sum())


def _check_parts(made: DataSet, path: Path) -> None:
    """Raise ValueError if a part has no sequence, or one class only."""
    for part in PARTS:
        n_N = made.own(part)
        if not len(n_N):
            rows = len(made.asked_R)
            what = f"no sequence of {made.steps} steps with an answer"
            raise ValueError(f"{path}: the {part} part has {what} (the parts are 60, 20 and 20 % of {rows} steps)")
        row_NT, _, asked_NT = made.asked(n_N)
        target = made.target_RC[row_NT[asked_NT]]
        if (target == target[0]).all():
            value = target[0].tolist()
            raise ValueError(f"{path}: all answers of the {part} part are equal ({value}): there is nothing to learn")


# Answers and scales ----------------------------------------------------------------------------------------------


def _answers(target_RC: Array, asked_R: Array, layout: Layout, path: Path) -> tuple[Array, Answer, str]:
    """The answers as class indices, numbers or bits; their kind; and the kind in words."""
    target_NC = target_RC[asked_R]
    number_NC = pd.DataFrame(target_NC).apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    numeric = bool(np.isfinite(number_NC).all())
    kind = layout.answers if layout.answers != "inferred" else _kind(target_NC, number_NC, numeric)
    words = kind if layout.answers != "inferred" else f"{kind} (inferred from their values; `answers` states it)"
    if kind != "classes" and not numeric:
        value = target_NC[~np.isfinite(number_NC).all(1)][0].tolist()
        raise ValueError(f"{path}: answers: {kind} need finite numbers, got {value}")
    if target_RC.shape[1] > 1 and kind != "bits":
        raise ValueError(f"{path}: {target_RC.shape[1]} targets at once can only be bits, not {kind}")
    if kind == "bits":
        if not np.isin(number_NC, (0, 1)).all():
            value = number_NC[~np.isin(number_NC, (0, 1))][0]
            raise ValueError(f"{path}: bits (the only kind of several targets) need zeros and ones, got {value:g}")
        made = np.zeros(target_RC.shape, dtype=np.float32)
        made[asked_R] = number_NC
        rate = float(np.clip(number_NC.mean(), 0.01, 0.99))
        return made, Bits(target_RC.shape[1], rate), f"{target_RC.shape[1]} {words}"
    if kind == "numbers":
        values = np.zeros(target_RC.shape, dtype=np.float64)
        values[asked_R] = number_NC
        return values, Within(layout.tolerance), words
    label_N, names = pd.factorize(number_NC[:, 0] if numeric else target_NC[:, 0].astype(str), sort=True)
    if len(names) < 2:
        raise ValueError(f"{path}: all answers are {names[0]}: there is nothing to learn")
    labels = np.zeros(target_RC.shape, dtype=np.int64)
    labels[asked_R, 0] = label_N
    return labels, OneOf(len(names)), f"{len(names)} {words}"


def _kind(target_NC: Array, number_NC: Array, numeric: bool) -> str:
    """Bits if there are several targets; classes if texts, or whole numbers with few different values; else numbers."""
    if target_NC.shape[1] > 1:
        return "bits"
    if not numeric:
        return "classes"
    values = np.unique(number_NC)
    return "classes" if len(values) <= MOST_CLASSES and (values == np.floor(values)).all() else "numbers"


def _scaled(made: DataSet, raw_RI: NDArray[np.float64], layout: Layout) -> DataSet:
    """Inputs and numbers with mean 0 and standard deviation 1 in the training part; missing inputs are the mean."""
    row_NT, inside_NT, asked_NT = made.asked(made.own("train"))
    seen_RI = raw_RI[np.unique(row_NT[inside_NT])]
    mean_I, sd_I = _mean_and_sd(seen_RI)
    none = layout.scale == "none"
    filled_RI = np.where(np.isnan(raw_RI), mean_I, raw_RI)
    input_RI = filled_RI if none else (filled_RI - mean_I) / sd_I
    target_RC = made.target_RC
    if isinstance(made.answer, Within):
        mean_C, sd_C = _mean_and_sd(target_RC[np.unique(row_NT[asked_NT])])
        target_RC = (target_RC if none else (target_RC - mean_C) / sd_C).astype(np.float32)
    return _with(made, input_RI=input_RI.astype(np.float32), target_RC=target_RC)


def _mean_and_sd(value_RI: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means and standard deviations of known values; 0 and 1 for a column without any, and 1 if it is constant."""
    known_RI = ~np.isnan(value_RI)
    count_I = np.maximum(1, known_RI.sum(0))
    mean_I = np.where(known_RI, value_RI, 0).sum(0) / count_I
    sd_I = np.sqrt((np.where(known_RI, value_RI - mean_I, 0) ** 2).sum(0) / count_I)
    return mean_I, np.where(sd_I > 0, sd_I, 1.0)


def _text(made: DataSet, layout: Layout, path: Path, split: str, kind: str, dropped: int) -> str:
    """What the data are, in sentences for pages."""
    counts = [len(made.own(part)) for part in PARTS]
    what = f"windows of {layout.window} rows" if layout.window else "sequences"
    ahead = f", {layout.ahead} row{'s' if layout.ahead != 1 else ''} ahead" if layout.window else ""
    order = {
        "index": "drawn once at random",
        "group": "drawn once at random by whole groups",
        "time": "the earliest for training and the latest for testing",
    }
    sentences = [
        f"The file {path.name} is finite: {counts[0]} {what} for training, {counts[1]} for validation and {counts[2]} "
        f"for testing are disjoint parts, {order[split]}.",
        f"The answers are {kind}{ahead}.",
    ]
    if layout.scale == "standard":
        numbers = " and answers" if isinstance(made.answer, Within) else ""
        sentences.append(f"Inputs{numbers} are in standard deviations of the training part.")
    if dropped:
        sentences.append(f"{dropped} {what} without an answer are left out.")
    if not layout.window and (twice := _repeated(made)):
        sentences.append(f"{twice} test sequences have the same inputs as a training sequence.")
    return " ".join(sentences)


def _repeated(made: DataSet) -> int:
    """How many test sequences have the inputs of a training sequence."""
    seen: dict[str, set[bytes]] = {}
    for part in ("train", "test"):
        rows = [(made.first_N[n], made.steps_N[n]) for n in made.own(part)]
        keys = [made.input_RI[first : first + steps].tobytes() for first, steps in rows]
        if part == "test":
            return sum(key in seen["train"] for key in keys)
        seen[part] = set(keys)
    return 0

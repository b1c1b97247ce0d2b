"""Scores of answers relative to chance, also of answers that a model outside of farback gave.

Shapes: N sequences, T steps, I inputs, M asked steps of all sequences, O outputs, C bits of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farback.system.random_streams import stream
from farback.tasks.base import Batch, Task
from farback.tasks.support.answers import Answer, Bits, Chance, OneOf, Within, skill
from farback.tasks.support.draws import at_lag

SMALLEST = 1e-300  # a probability below this counts as this, because the logarithm of 0 is not finite
SUM = 1e-3  # how far from 1 the sum of the probabilities of all classes may be: single precision and many classes


@dataclass(frozen=True)
class Scores:
    """Means over the answers that need one lag, for one network; all nan, and not remembered, if there are none."""

    accuracy: float
    loss: float
    skill: float
    remembered: bool


@dataclass(frozen=True)
class AnswerScores:
    """The scores of one model's answers.

    Attributes:
        skill: 0 = chance, 1 = perfect: `(chance - loss) / (chance - best)`. For real numbers it is R2, with the
            variance that the task has in theory.
        accuracy: the share of right answers; of numbers, those within the task's tolerance; of bits, the right bits.
        loss: the mean loss: cross-entropy in nats, or squared error.
        remembered: whether accuracy (classes) or skill (numbers, bits) is at least half-way from chance to perfect.
        by_lag: the same scores of the answers that need exactly this lag, as `measures.retention` computes them.

    The first four are means over all answers that need memory (a lag of 1 or more), or over all if none does.
    """

    skill: float
    accuracy: float
    loss: float
    remembered: bool
    by_lag: dict[int, Scores]


def scored(task: Task, accuracy: float, loss: float) -> Scores:
    """Mean scores relative to the task's chance level."""
    return _relative(task.answer, task.chance(), accuracy, loss)


def _relative(answer: Answer, chance: Chance, accuracy: float, loss: float) -> Scores:
    return Scores(accuracy, loss, skill(loss, chance), answer.remembered(accuracy, loss, chance))


def scored_steps(batch: Batch) -> Tensor:
    """Which steps are scored, (B, T): steps with an answer that needs memory, or all with an answer if none does."""
    needed = batch.lag_BT > 0
    return needed if bool(needed.any()) else batch.lag_BT >= 0


def score(
    task: str | Mapping[str, Any] | Task,
    answers: Any,
    arrays: Mapping[str, Any],
    *,
    lag: int | None = None,
    probabilities: bool = False,
) -> AnswerScores:
    """The scores of a model's answers to the sequences of `farback.tasks.arrays`, relative to chance.

    Args:
        task: the task as it was given to `arrays`. If it has a lag, or `lag` is given, the arrays must be of this lag.
        answers: an array or tensor of the answers at the asked steps in the order of `arrays["mask"]`, (M, O), such as
            `outputs[arrays["mask"]]`; or at every step, (N, T, O), of which only the asked steps count. O is one logit
            for each class or bit, or 1 for a number, which may be left out: (M,) or (N, T).
        arrays: what `arrays` returned, or the same rows of each of its arrays.
        lag: the lag that was given to `arrays`.
        probabilities: whether the answers are probabilities in place of logits: of each class, adding up to 1, or that
            each bit is one. A probability of zero counts as 1e-300.

    Raises:
        ValueError: an unknown task; arrays of another task or lag; or answers of the wrong shape, that are not finite,
            or not probabilities. Labels of classes are an error too, because they have no loss.
    """
    own = at_lag(task, lag)
    target_M, lag_NT = _checked(own, arrays, lag is not None or _has_lag(task))
    output_MO, lag_M = _outputs(own, answers, lag_NT >= 0, probabilities), lag_NT[lag_NT >= 0]
    correct_M = own.answer.correct(output_MO, target_M).double().numpy()
    loss_M = own.answer.loss(output_MO, target_M).double().numpy()

    def scores(some_M: NDArray[np.bool_], chance: Chance) -> Scores:
        return _relative(own.answer, chance, float(correct_M[some_M].mean()), float(loss_M[some_M].mean()))

    chances = {k: own.at(max(k, own.least)).held_out("test").chance() for k in np.unique(lag_M).tolist()}
    needed_M = lag_M >= min(1, max(chances))
    share = {k: float((lag_M[needed_M] == k).mean()) for k in chances}
    ends = [sum(share[k] * getattr(chances[k], end) for k in chances) for end in ("accuracy", "loss", "best")]
    every = scores(needed_M, Chance(*ends))
    by_lag = {k: scores(lag_M == k, chance) for k, chance in chances.items()}
    return AnswerScores(every.skill, every.accuracy, every.loss, every.remembered, by_lag)


def _has_lag(task: str | Mapping[str, Any] | Task) -> bool:
    return "lag" in task.model_fields_set if isinstance(task, Task) else isinstance(task, Mapping) and "lag" in task


def _checked(task: Task, arrays: Mapping[str, Any], lag_is_known: bool) -> tuple[Tensor, NDArray[np.int64]]:
    """Targets and lags. Raises ValueError: the arrays cannot be those of the task."""
    missing = [name for name in ("x", "y", "lag") if name not in arrays]
    if missing:
        raise ValueError(f"arrays must be what farback.tasks.arrays returns, but {' and '.join(missing)} is missing")
    example = task.sample(stream(0, "probe"), 1)
    steps, bits = example.input_BTI.shape[1], tuple(example.target_BT.shape[2:])
    hint = f"give score the task and the lag that arrays was given (here: {task.label()})"
    x_NTI, y, lag_NT = (np.asarray(arrays[name]) for name in ("x", "y", "lag"))
    if x_NTI.ndim != 3 or x_NTI.shape[2] != task.inputs:
        raise ValueError(f"x of {task.name} must have the shape (N, T, {task.inputs}), got {x_NTI.shape}; {hint}")
    if lag_is_known and x_NTI.shape[1] != steps:
        has = f"x has {x_NTI.shape[1]} steps, but {task.name} at lag {task.lag} has {steps}"
        raise ValueError(f"{has}; {hint}")
    for name, array, shape in (("lag", lag_NT, x_NTI.shape[:2]), ("y", y, (*x_NTI.shape[:2], *bits))):
        if array.shape != shape:
            raise ValueError(
                f"{name} must have the shape {shape}, because x has {x_NTI.shape}; got {array.shape}; {hint}"
            )
    if lag_NT.dtype.kind not in "iu" or not (lag_NT >= 0).any():
        raise ValueError("lag must be whole numbers, and 0 or more at one step at least: no step asks for an answer")
    target_M = torch.from_numpy(y[lag_NT >= 0]).to(example.target_BT.dtype)
    if isinstance(task.answer, OneOf) and not 0 <= int(target_M.min()) <= int(target_M.max()) < task.answer.classes:
        classes = f"classes from 0 to {task.answer.classes - 1}"
        raise ValueError(
            f"y of {task.name} must be {classes}, got {int(target_M.min())} to {int(target_M.max())}; {hint}"
        )
    return target_M, lag_NT.astype(np.int64)


def _outputs(task: Task, answers: Any, asked_NT: NDArray[np.bool_], probabilities: bool) -> Tensor:
    """The outputs at the asked steps, (M, O), as a farback network would give them: logits or numbers."""
    output = answers.detach().cpu() if isinstance(answers, Tensor) else np.array(answers)
    if isinstance(output, np.ndarray):
        if output.dtype.kind not in "fiu":
            raise ValueError(f"answers must be real numbers, got {type(answers).__name__} of {output.dtype}")
        output = torch.from_numpy(output)
    if output.dtype not in (torch.float32, torch.float64):
        output = output.float()
    outputs, asked = task.answer.outputs, int(asked_NT.sum())
    if outputs == 1 and tuple(output.shape) in ((asked,), asked_NT.shape):
        output = output[..., None]
    if tuple(output.shape) == (*asked_NT.shape, outputs):
        output = output[torch.from_numpy(asked_NT)]
    if tuple(output.shape) != (asked, outputs):
        each = {OneOf: "a logit for each class", Bits: "a logit for each bit"}.get(type(task.answer), "a number")
        raise ValueError(
            f"answers of {task.name} must have the shape {(asked, outputs)}, {each} at each asked step, "
            f"or {(*asked_NT.shape, outputs)} for all steps; got {tuple(output.shape)}"
        )
    wrong = (~torch.isfinite(output)).nonzero()
    if len(wrong):
        first = tuple(wrong[0].tolist())
        raise ValueError(f"answers must be finite; {len(wrong)} are not, the first is {output[first]:g} at {first}")
    return _logits(task, output, probabilities)


def _logits(task: Task, output_MO: Tensor, probabilities: bool) -> Tensor:
    """Logits of probabilities; other outputs unchanged."""
    if isinstance(task.answer, Within):
        if probabilities:
            raise ValueError(f"answers of {task.name} are numbers: leave out probabilities")
        return output_MO
    p_MO = output_MO.double()
    possible = bool(((p_MO >= 0) & (p_MO <= 1)).all())
    if isinstance(task.answer, OneOf):
        possible = possible and bool(((p_MO.sum(-1) - 1).abs() <= SUM).all())
        if possible and not probabilities:
            raise ValueError(
                "each row of answers is between 0 and 1 and adds up to 1: give probabilities=True, or logits"
            )
    if not probabilities:
        return output_MO
    if not possible:
        total = " and add up to 1 in each row" if isinstance(task.answer, OneOf) else ""
        raise ValueError(
            f"probabilities must be between 0 and 1{total}; answers are {p_MO.min():g} to {p_MO.max():g}, "
            f"and the rows add up to {p_MO.sum(-1).min():g} to {p_MO.sum(-1).max():g}"
        )
    log_MO = p_MO.clamp(min=SMALLEST).log()
    return log_MO if isinstance(task.answer, OneOf) else log_MO - (1 - p_MO).clamp(min=SMALLEST).log()

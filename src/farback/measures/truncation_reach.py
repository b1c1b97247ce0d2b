"""Truncation reach: how many steps back a network must see so that half of its full skill is there.

The network sees only the last steps before an answer, from lag k (its first input) to lag 0 (the step of the answer),
and starts there from its initial state. This needs neither a cue nor a known lag, so it applies to any data.

Shapes: B sequences, T steps, I inputs, O outputs, N answers (pairs of a sequence and a step).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from farback.measures.base import Floats, MeasureRow, Sampled, curve_rows, summary_rows
from farback.measures.support.long_samples import batches, parts, runs_in_parts
from farback.measures.support.numbers import array, real, require_finite, sequences, whole, whole_numbers
from farback.measures.support.own_mode import own_mode
from farback.measures.support.system import measured
from farback.measures.support.torch_systems import NetworkSystem
from farback.measures.support.windows import LongWindows, Windows
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Task
from farback.tasks.support.answers import Chance, OneOf, skill
from farback.tasks.support.scores import scored_steps

HALF = 0.5
ERRORS = 2.0  # the full skill must be above chance by this many standard errors, else no share of it is known
ROUNDING = 1e-9
CHECKED = 64  # sequences on which the assumptions about a callable are checked
STEPS = 1_000_000  # sequences times steps of a trial's measure; longer sequences are fewer,
FEWEST = 64  # but at least so many


@dataclass(frozen=True)
class TruncationReach:
    """The share of an answer that is there if only the inputs of the last k steps and of its own step are seen.

    Attributes:
        lag: the lag k = T - s of the first input that is seen; increasing. k = 0: the step of the answer alone.
        kept: the share of the full answer at each lag. With targets: the skill, divided by the skill of the full run;
            nan if the full run is not better than chance. Without: 1 - d(k) / d(0), where d is the distance to the
            full answers; 1 if these depend on the step of the answer alone. A share above 1 means that earlier inputs
            make the answers worse.
        skill: 0 = chance, 1 = perfect, at each lag; nan without targets.
    """

    lag: NDArray[np.int64]
    kept: Floats
    skill: Floats

    def reach(self, share: float = HALF) -> float:
        """The smallest tested lag from which on at least this share is kept, at this lag and all larger ones.

        It is inf if the largest tested lag keeps less, and nan if the shares are unknown.

        Raises:
            ValueError: a share outside (0, 1].
        """
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {share}")
        if np.isnan(self.kept).any():
            return math.nan
        short = np.flatnonzero(self.kept < share - ROUNDING)
        first = int(short[-1]) + 1 if len(short) else 0
        return float(self.lag[first]) if first < len(self.lag) else math.inf


@own_mode()
def truncation_reach(
    system: Any,
    inputs: Any = None,
    targets: Any = None,
    *,
    task: Task | None = None,
    asked: Any = None,
    classes: bool = False,
    chance: float | None = None,
    lags: Sequence[int] | None = None,
    answers: int = 1000,
    seed: int = 0,
) -> TruncationReach:
    """How much of a network's skill is there if it sees only the last steps before each answer.

    Without targets, d(k) is the distance between the answers after truncation and those of the full run: the root mean
    square over answers, of the output that differs most; with `classes`, the mean total variation distance.

    By default the lags are 0 to 3, four in every octave, and the longest; then bisection finds the smallest lag from
    which on half is kept. All this runs the network for at most N T (8 + log2 T) steps; windows run in batches of
    limited memory. A network that depends on later steps, such as a bidirectional one, also sees all steps after the
    answer, and runs for up to N T steps at each lag.

    Args:
        system: see `farback.measures.support.system`.
        inputs: (B, T, I), or (T, I) for one sequence.
        targets: the correct answers. (B,) classes, (B,) or (B, O) numbers: of the last step; (B, T) classes, (B, T) or
            (B, T, O) numbers: of every step, or of the steps `asked`.
        task: used in place of inputs and targets: N of its test sequences (if they are long, so many that they have
            10 ** 6 steps in all, but at least 64), their scored steps and the task's chance.
        asked: (B, T), true at the steps that count; by default every step with a target, or the last one.
        classes: whether outputs are logits of classes; a skill is then 1 - cross-entropy / chance, else R2.
        chance: the loss without memory, in nats, or as squared error summed over outputs; by default the loss of the
            best constant answer.
        lags: lags to test instead; a lag beyond an answer's first step gives the full run.
        answers: N, the largest number of answers; if more are asked, they are drawn at random.
        seed: the seed of these draws.

    Raises:
        ValueError: not a system, neither inputs nor a task or both, shapes that do not fit, a lag outside the
            sequences, or a step without an answer.

    Source: effective remembrance, Buitrago Ruiz and Gu 2025 (2507.02782), which has the distance as a function of the
        first step that is seen. Deviation: a share of the full answer, relative to what the last step alone gives.
    """
    if (inputs is None) == (task is None) or (task is not None and not (targets is None and asked is None)):
        raise ValueError("truncation_reach needs either inputs (with or without targets) or a task, which defines both")
    if (answers := whole("answers", answers)) < 1:
        raise ValueError(f"answers must be at least 1, got {answers}")
    if task is not None:
        return _on_task(system, task, _test_batch(task, answers, seed), answers, seed, lags)
    x_BTI = sequences(inputs)
    B, T, _ = x_BTI.shape
    wrapped, _ = measured(system, x_BTI[:CHECKED])
    values = None if targets is None else _values(targets, classes)
    per_step = values is not None and values.shape[:2] == (B, T)
    if values is not None and not per_step and (asked is not None or values.shape[:1] != (B,)):
        raise ValueError(f"targets must be those of {B} sequences, or of the steps {(B, T)}; got shape {values.shape}")
    row_N, step_N = _chosen(_asked(asked, B, T, per_step), answers, seed)
    windows = Windows(wrapped, x_BTI, row_N, step_N)
    if values is None:
        return _curve(_distances(windows, classes), windows, lags)
    target_N = torch.from_numpy(values)[(row_N, step_N) if per_step else row_N]
    require_finite("targets", target_N.double().numpy())
    loss_of, known = _losses(target_N, windows.outputs, classes)
    return _curve(_skills(windows, loss_of, known if chance is None else Chance(0.0, chance)), windows, lags)


Shares = Callable[[Tensor], tuple[float, float]]  # outputs of the answers (N, O) to the share kept and the skill


def _curve(shares: Shares, windows: Windows | LongWindows, lags: Sequence[int] | None) -> TruncationReach:
    """The shares at these lags, or at the lags of `octave_lags` with a bisection of the reach."""
    top = windows.steps - 1
    tested = sorted(set(octave_lags(top) if lags is None else whole_numbers("lags", lags)))
    if not tested or tested[0] < 0 or tested[-1] > top:
        raise ValueError(f"lags must lie between 0 and {top}, as sequences have {top + 1} steps; got {tested}")
    found = {lag: shares(windows.truncated(lag)) for lag in tested}

    def curve() -> TruncationReach:
        lag_K = sorted(found)
        kept_K, skill_K = np.array([found[lag] for lag in lag_K], dtype=np.float64).T
        return TruncationReach(np.array(lag_K), kept_K, skill_K)

    if lags is None and math.isfinite(reach := curve().reach()):
        high = int(reach)
        low = max((lag for lag in found if lag < high), default=high)
        while high - low > 1:
            middle = (low + high) // 2
            found[middle] = shares(windows.truncated(middle))
            low, high = (low, middle) if found[middle][0] >= HALF - ROUNDING else (middle, high)
    return curve()


def octave_lags(top: int) -> list[int]:
    """0 to 3, four lags in every octave (4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ...) up to `top`, and `top`."""
    fractions = {quarter << octave for quarter in (4, 5, 6, 7) for octave in range(top.bit_length())}
    return sorted(lag for lag in {0, 1, 2, 3, top, *fractions} if lag <= top)


def _skills(windows: Windows | LongWindows, loss_of: Callable[[Tensor], Tensor], chance: Chance) -> Shares:
    """The skill, and its share of the skill of the full run, which is unknown if that is not better than chance."""
    gain_N = (chance.loss - loss_of(windows.full_NO)).double()
    gain = float(gain_N.mean())
    error = _standard_error(gain_N.numpy(), windows.row_N.numpy())
    full = gain if gain > ERRORS * error and math.isfinite(gain) else math.nan

    def shares(output_NO: Tensor) -> tuple[float, float]:
        loss = float(loss_of(output_NO).double().mean())
        return (chance.loss - loss) / full, skill(loss, chance)

    return shares


def _standard_error(value_N: Floats, row_N: NDArray[np.int64]) -> float:
    """Of a mean over the answers of independent sequences; of one sequence, its answers count as independent."""
    row_N = row_N if row_N.min() < row_N.max() else np.arange(len(row_N))
    deviation_U = np.bincount(row_N, value_N - value_N.mean())  # of all answers of a sequence together
    count = len(np.unique(row_N))
    return float(np.sqrt(np.square(deviation_U).sum() * count / max(1, count - 1))) / len(value_N)


def _distances(windows: Windows, classes: bool) -> Shares:
    """The share of the distance between the answers at lag 0 and the full answers that is gone."""

    def answer(output_NO: Tensor) -> Tensor:
        return output_NO.softmax(1) if classes else output_NO

    def distance(output_NO: Tensor) -> float:
        change_NO = (answer(output_NO) - full_NO).abs()
        if classes:
            return float(change_NO.sum(1).mean()) / 2
        largest = change_NO.max()  # the square of a huge or tiny difference would overflow or vanish
        return float(largest * (change_NO / largest).square().mean(0).max().sqrt()) if largest else 0.0

    full_NO = answer(windows.full_NO)
    whole = distance(windows.truncated(0))
    if whole <= 100 * torch.finfo(full_NO.dtype).eps * float(full_NO.abs().max()):
        return lambda output_NO: (1.0, math.nan)
    return lambda output_NO: (1 - distance(output_NO) / whole, math.nan)


def _losses(target_N: Tensor, outputs: int, classes: bool) -> tuple[Callable[[Tensor], Tensor], Chance]:
    """The loss of each answer, and that of the best constant answer."""
    if classes:
        if target_N.dim() != 1 or int(target_N.min()) < 0 or int(target_N.max()) >= outputs:
            raise ValueError(f"targets must be classes from 0 to {outputs - 1}, one for each answer")
        share_C = target_N.bincount().double() / len(target_N)
        entropy = float(-(share_C * share_C.log()).nansum())
        return lambda output_NO: OneOf(outputs).loss(output_NO, target_N), Chance(float(share_C.max()), entropy)
    if target_N.numel() != len(target_N) * outputs:
        raise ValueError(f"targets must be {outputs} numbers for each answer, got shape {tuple(target_N.shape)}")
    target_NO = target_N.reshape(len(target_N), outputs)
    variance = float((target_NO - target_NO.mean(0)).square().sum(1).mean())
    return lambda output_NO: (output_NO - target_NO).square().sum(1), Chance(0.0, variance)


def _values(targets: Any, classes: bool) -> NDArray[Any]:
    if not classes:
        return real("targets", targets)
    shape = array(targets).shape
    return np.array(whole_numbers("targets", array(targets).ravel())).reshape(shape)


def _asked(asked: Any, B: int, T: int, per_step: bool) -> NDArray[np.bool_]:
    """The steps that count, (B, T): those asked, by default all with a target, or the last."""
    if asked is None:
        return np.asarray(np.full((B, T), per_step) | (np.arange(T) == T - 1))
    mask_BT = real("asked", asked) != 0
    if mask_BT.shape != (B, T) or not mask_BT.any():
        raise ValueError(f"asked must be (B, T), here {(B, T)}, and true somewhere; got shape {mask_BT.shape}")
    return np.asarray(mask_BT)


def _chosen(asked_BT: NDArray[np.bool_], answers: int, seed: int) -> tuple[Tensor, Tensor]:
    """The sequence and the step of each answer, (N,); a random part of them if there are more than `answers`."""
    row_N, step_N = np.nonzero(asked_BT)
    if len(row_N) > answers:
        rng = stream(seed, "measure", "truncation_reach")
        kept = np.sort(rng.choice(len(row_N), answers, replace=False))
        row_N, step_N = row_N[kept], step_N[kept]
    return torch.from_numpy(row_N), torch.from_numpy(step_N)


def _on_task(
    system: Any, task: Task, batch: Batch, answers: int, seed: int, lags: Sequence[int] | None = None
) -> TruncationReach:
    """The curve for scored steps of a batch, relative to the chance of the task on test data."""
    wrapped, _ = measured(system, batch.input_BTI[:CHECKED])
    row_N, step_N = _chosen(scored_steps(batch).numpy(), answers, seed)
    windows = Windows(wrapped, batch.input_BTI, row_N, step_N)
    return _of_task(windows, task, batch.target_BT[row_N, step_N], lags)


def _of_task(
    windows: Windows | LongWindows, task: Task, target_N: Tensor, lags: Sequence[int] | None = None
) -> TruncationReach:
    """The curve of the task's answers, relative to its chance on test data."""
    if windows.outputs != task.answer.outputs:
        raise ValueError(f"{task.name} needs {task.answer.outputs} outputs, the system has {windows.outputs}")
    target_N = target_N.to(windows.full_NO.dtype) if target_N.is_floating_point() else target_N
    chance = task.held_out("test").chance()
    return _curve(_skills(windows, lambda output_NO: task.answer.loss(output_NO, target_N), chance), windows, lags)


def _test_batch(task: Task, count: int, seed: int) -> Batch:
    """Test sequences with an answer; those of finite data at most once, because copies would hide how few there are."""
    own = task.held_out("test")
    T = own.sample(stream(0, "probe"), 1).input_BTI.shape[1]
    batch = own.sample(stream(seed, "test", "truncation_reach", own.lag), _fewer(count, T))
    kept_B = (batch.lag_BT >= 0).any(1)
    if own is not task:
        parts = [part.flatten(1).numpy() for part in batch]
        first = {tuple(part[b].tobytes() for part in parts): b for b in reversed(range(len(kept_B)))}
        kept_B &= torch.isin(torch.arange(len(kept_B)), torch.tensor(list(first.values())))
    if not kept_B.any():
        raise ValueError(f"{task.name} asks for no answer in {len(kept_B)} test sequences")
    return Batch(*(part[kept_B] for part in batch))


def _fewer(count: int, steps: int) -> int:
    """The number of sequences of so many steps."""
    return min(count, max(FEWEST, STEPS // steps))


class TruncationReachMeasure(Sampled):
    """The share of a trained network's skill that is there if it sees only the last k steps before each answer.

    `reach` is the smallest lag k from which on half of the full skill is there. It needs no lag of the task, so it also
    applies to data of one's own. As many answers are measured as there are `sequences`, drawn from all scored steps of
    these test sequences. Sequences have at most 10 ** 6 steps in all, but there are at least 64.

    Source: after the effective remembrance of Buitrago Ruiz and Gu 2025 (2507.02782).
    """

    sequences: Annotated[int, Field(ge=2, le=1_000_000)] = 512

    @own_mode()
    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are kept (nan if the full run is not better than chance) and skill for four lags in every octave,
        and reach.
        """
        longer = self.longer(task)
        if runs_in_parts(network, longer):
            result, top = self._in_parts(network, longer, seed), longer.lag
        else:
            batch = _test_batch(longer, self.sequences, seed)
            result, top = _on_task(network, longer, batch, self.sequences, seed), batch.input_BTI.shape[1] - 1
        shown = np.isin(result.lag, octave_lags(top))  # the same lags for every seed
        curves = {"kept": result.kept[shown], "skill": result.skill[shown]}
        return curve_rows(result.lag[shown], curves) + summary_rows(reach=result.reach())

    def _in_parts(self, network: Network, task: Task, seed: int) -> TruncationReach:
        """The curve of long sequences, which are drawn again for each lag."""
        steps = task.lag + 1
        fewer = self.model_copy(update={"sequences": _fewer(self.sequences, steps)})
        windows = LongWindows(NetworkSystem(network).double(), lambda: parts(fewer, network, task, seed), steps)
        for batch in batches(fewer, network, task, seed):
            target_N = batch.target_BT[:, -1]
        return _of_task(windows, task, target_N)

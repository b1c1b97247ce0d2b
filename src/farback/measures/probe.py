"""Linear probes: which past inputs a linear readout can decode from the state.

A network need not use what can be decoded from its state, and inputs can also be decoded from an untrained network.
Therefore every curve comes with two controls: an untrained network and shuffled answers.

Shapes: B sequences, T steps, I inputs, S numbers of the state, K lags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from farback import stats
from farback.measures.base import Floats, MeasureRow, Untrained, curve_rows
from farback.measures.support.lag_selection import AtLags, readout_steps, sorted_lags
from farback.measures.support.logistic_regression import Labels, logistic_regression, whitened
from farback.measures.support.long_samples import parts, runs_in_parts
from farback.measures.support.numbers import array, real, require_finite, scaled, sequences
from farback.measures.support.own_mode import own_mode
from farback.measures.support.regression import floats
from farback.measures.support.system import measured
from farback.measures.support.torch_systems import NetworkSystem
from farback.networks.module_copies import copied
from farback.networks.network import Network
from farback.stats.horizons import at_least
from farback.system.random_streams import stream
from farback.tasks.base import Task

CHUNK_NUMBERS = 4_000_000  # states of one forward pass
TEST_SHARE = 1 / 3
FEWEST = 30  # smallest number of sequences
LEAST_TRAIN, LEAST_TEST = 8, 4  # a class with fewer sequences than this is left out
MOST_CLASSES = 64  # if more distinct inputs occur at a step, inputs are treated as numbers instead of symbols


@dataclass(frozen=True)
class Probe:
    """Decoding scores on held-out sequences, which the probe was not fitted on.

    Attributes:
        lag: increasing.
        skill: 0 = chance, 1 = perfect: `1 - cross-entropy / ln classes` with equal weight per class, or R2 for numbers;
            nan if fewer than two classes occur often enough.
        accuracy: mean over classes of the share decoded correctly; nan for numbers.
        untrained_skill: skill on the untrained network; nan if there is none.
        shuffled_skill: skill on the measured network with the answers shuffled among sequences.
        classes: number of classes; 0 for numbers.
        horizon: from the largest lag with skill of at least 0.5 to the next tested lag whose skill is not nan; unknown
            if every skill is nan.
    """

    lag: NDArray[np.int64]
    skill: Floats
    accuracy: Floats
    untrained_skill: Floats
    shuffled_skill: Floats
    classes: Labels
    horizon: stats.Horizon


@own_mode()
def probe(
    system: Any,
    inputs: Any,
    symbols: Any = None,
    lags: Sequence[int] | None = None,
    *,
    step: Any = None,
    untrained: Any = None,
    features: Literal["h", "full"] = "h",
    seed: int = 0,
) -> Probe:
    """Decode the input k steps before the readout from the state at the readout.

    Symbols are decoded by multinomial logistic regression and numbers by ridge regression on whitened states, so the
    result does not depend on linear transformations of the state. Two thirds of the sequences are used for fitting, the
    others for scoring. All classes have the same weight.

    Args:
        system: see `farback.measures.support.system`.
        inputs: (B, T, I).
        symbols: the targets, (B, T): integers are classes, other numbers are targets of a regression. By default the
            target is the input itself: which of the distinct inputs occurred; or the value on the first channel, if
            more than 64 occur, or if they do not repeat: fewer than two sequences for each distinct input, or, for
            whole numbers, none twice.
        lags: by default all.
        step: readout step, one for all sequences or one for each; by default the last.
        untrained: the same network before training, as a control. For a plain `torch.nn.RNN`, `LSTM` or `GRU` it is
            drawn automatically.
        features: `h`, the states that the outputs are computed from, or `full`, all state carried from step to step.
        seed: the seed of the split into fitted and scored sequences, and of the shuffled control.

    Raises:
        ValueError: fewer than 30 sequences, shapes that do not fit, a lag or step outside the sequences, or symbols or
            states that are complex or not finite.

    Source: Alain and Bengio 2016 (1610.01644); the shuffled control after Hewitt and Liang 2019 (1909.03368).
    """
    x_BTI = sequences(inputs)
    if len(x_BTI) < FEWEST:
        raise ValueError(f"probe needs inputs (B, T, I) of {FEWEST} sequences or more, got {tuple(x_BTI.shape)}")
    B, T, _ = x_BTI.shape
    step_B = readout_steps(step, B, T)
    lags = sorted_lags(lags, step_B)
    symbol_BT = None if symbols is None else array(symbols)
    if symbol_BT is not None and symbol_BT.shape != (B, T):
        raise ValueError(f"symbols must have one value for each step, shape {(B, T)}; got {symbol_BT.shape}")
    if symbol_BT is not None and symbol_BT.dtype.kind in "fc":
        require_finite("symbols", real("symbols", symbol_BT))
    source = x_BTI.numpy() if symbol_BT is None else symbol_BT
    values = [source[np.arange(B), step_B.numpy() - lag] for lag in lags]
    if untrained is None and type(system) in (nn.RNN, nn.LSTM, nn.GRU):
        untrained = _reinitialised(system, seed)
    initial_BS = None if untrained is None else _states(untrained, x_BTI, step_B, features)
    return _decoded(_states(system, x_BTI, step_B, features), initial_BS, lags, values, seed)


def _decoded(
    state_BS: Floats, initial_BS: Floats | None, lags: list[int], values: Sequence[NDArray[Any]], seed: int
) -> Probe:
    """How well the values at each lag can be decoded from the states, and from those of the untrained network."""
    B, targets = len(state_BS), [_target(value_B) for value_B in values]
    rng = stream(seed, "measure", "probe")
    order_B = rng.permutation(B)
    split = order_B[: int(B * TEST_SHARE)], order_B[int(B * TEST_SHARE) :]
    shuffled = [target_B[rng.permutation(B)] for target_B in targets]
    own, control = np.array(_scores(state_BS, [*targets, *shuffled], *split)).reshape(2, len(lags), 3)
    initial = [_NO_SCORE] * len(lags) if initial_BS is None else _scores(initial_BS, targets, *split)
    return Probe(
        lag=np.array(lags),
        skill=own[:, 0],
        accuracy=own[:, 1],
        untrained_skill=np.array(initial)[:, 0],
        shuffled_skill=control[:, 0],
        classes=own[:, 2].astype(int),
        horizon=stats.largest_success(lags, at_least(own[:, 0], 0.5)).horizon,
    )


_Score = tuple[float, float, int]  # skill, accuracy, classes
_NO_SCORE: _Score = (float("nan"), float("nan"), 0)


def _target(value_B: NDArray[Any]) -> NDArray[Any]:
    """Classes 0, 1, ... (integers) or numbers (floats), one for each sequence."""
    if value_B.ndim == 2:
        distinct, label_B = np.unique(value_B, axis=0, return_inverse=True)
        # symbols occur more than once: real numbers do not, however few sequences there are
        most = len(value_B) - 1 if np.array_equal(distinct, np.round(distinct)) else len(value_B) // 2
        return label_B.reshape(-1) if len(distinct) <= min(most, MOST_CLASSES) else value_B[:, 0].astype(float)
    if np.issubdtype(value_B.dtype, np.floating):
        return value_B.astype(float)
    return np.unique(value_B, return_inverse=True)[1].reshape(-1)


def _states(system: Any, x_BTI: Tensor, step_B: Tensor, features: str) -> Floats:
    """The states at the readout steps, (B, S)."""
    wrapped, x_BTI = measured(system, x_BTI)
    with torch.no_grad():
        width = wrapped(x_BTI[:1])[1].shape[-1]
        size = max(1, CHUNK_NUMBERS // (x_BTI.shape[1] * max(width, x_BTI.shape[2])))
        parts = []
        for x, step in zip(torch.split(x_BTI, size), torch.split(step_B, size), strict=True):
            state_BTS = wrapped.trajectory(x) if features == "full" else wrapped(x)[1]
            parts.append(state_BTS[torch.arange(len(x)), step])
    return floats("states", torch.cat(parts), 2)


def _scores(state_BS: Floats, targets: list[NDArray[Any]], test: Labels, train: Labels) -> list[_Score]:
    """The score of each target, with a probe fitted on the sequences `train` and scored on `test`."""
    train_NG, test_MG = whitened(state_BS[train], state_BS[test])
    scores = [_NO_SCORE] * len(targets)
    symbolic = []
    for index, target_B in enumerate(targets):
        if np.issubdtype(target_B.dtype, np.floating):
            scores[index] = _regression_score(train_NG, target_B[train], test_MG, target_B[test])
            continue
        label_B, count = _frequent(target_B, test, train)
        if count > 1:
            symbolic.append((index, label_B, count))
    if symbolic:
        label_BP = np.stack([label_B for _, label_B, _ in symbolic], 1)
        count_P = np.array([count for _, _, count in symbolic])
        weight_NP = _balanced_weights(label_BP[train], count_P)
        log_p_MPC = logistic_regression(train_NG, label_BP[train], weight_NP, count_P, test_MG)
        for p, (index, label_B, count) in enumerate(symbolic):
            scores[index] = _class_score(log_p_MPC[:, p, :count], label_B[test])
    return scores


def _frequent(label_B: Labels, test: Labels, train: Labels) -> tuple[Labels, int]:
    """Labels renumbered among the classes that occur often enough (-1 for other classes), and their number."""
    size = int(label_B.max()) + 1
    often = np.bincount(label_B[train], minlength=size) >= LEAST_TRAIN
    often &= np.bincount(label_B[test], minlength=size) >= LEAST_TEST
    return np.where(often, np.cumsum(often) - 1, -1)[label_B], int(often.sum())


def _balanced_weights(label_NP: Labels, count_P: Labels) -> Floats:
    """Weights that give all classes of a problem the same total, summing to N; 0 for label -1."""
    weight_NP = np.zeros(label_NP.shape)
    for p, count in enumerate(count_P.tolist()):
        size_C = np.bincount(label_NP[label_NP[:, p] >= 0, p], minlength=count)
        weight_NP[:, p] = np.where(label_NP[:, p] >= 0, len(label_NP) / count / size_C[label_NP[:, p]], 0.0)
    return weight_NP


def _class_score(log_p_MC: Floats, label_M: Labels) -> _Score:
    kept = label_M >= 0
    log_p_MC, label_M = log_p_MC[kept], label_M[kept]
    count = log_p_MC.shape[1]
    loss_M, correct_M = -log_p_MC[np.arange(len(label_M)), label_M], log_p_MC.argmax(1) == label_M
    size_C, loss_C, correct_C = (np.bincount(label_M, weight, minlength=count) for weight in (None, loss_M, correct_M))
    return 1 - float((loss_C / size_C).mean()) / np.log(count), float((correct_C / size_C).mean()), count


def _regression_score(x_NG: Floats, y_N: Floats, test_MG: Floats, y_M: Floats) -> _Score:
    both = scaled(np.concatenate([y_N, y_M]))
    y_N, y_M = both[: len(y_N)], both[len(y_N) :]
    mean = y_N.mean()
    variation = float(np.square(y_M - mean).sum())
    if not variation or np.ptp(y_N) == 0:
        return _NO_SCORE
    slope_G = x_NG.T @ (y_N - mean) / (len(y_N) + 1)  # ridge regression, as whitened features are orthogonal
    return 1 - float(np.square(y_M - mean - test_MG @ slope_G).sum()) / variation, float("nan"), 0


def _reinitialised(module: nn.RNNBase, seed: int) -> nn.RNNBase:
    """A copy of a module with new initial parameters; torch's global generator is restored afterwards."""
    fresh = copied(module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh.reset_parameters()
    return fresh


class ProbeMeasure(AtLags):
    """Which inputs before the last scored step can be decoded from the state at that step, on the trial's own task.

    The target is the input at the lag: which of the possible inputs it was (for recall: which cue at the task's lag,
    which distractor at other lags), or the number on the first channel if inputs are numbers. Lags with only one
    possible input (such as the blanks of copy) have no rows; a task with only such lags has no rows at all.

    Source: Alain and Bengio 2016 (1610.01644); Hewitt and Liang 2019 (1909.03368).
    """

    needs_cell: ClassVar[bool] = True

    sequences: Annotated[int, Field(ge=FEWEST, le=1_000_000)] = 1000
    features: Literal["h", "full"] = "h"

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[MeasureRow]]:
        """The rows are skill, accuracy, untrained_skill, shuffled_skill by lag, and horizon (its lower end, or 0)."""
        if self.features == "full" and network.architecture.no_full_state:  # has no full state
            return [[] for _ in seeds]
        initial = untrained()
        return [
            self._replica_rows(network.replica(index), initial.replica(index), task, seed)
            for index, seed in enumerate(seeds)
        ]

    def _probe(self, network: Network, initial: Network, task: Task, seed: int) -> Probe:
        """The scores at the lags, all in the same sequences of the task."""
        features = self.features
        if not runs_in_parts(network, task):
            batch, last_B, lags = self.readouts(task, seed)
            x_BTI = batch.input_BTI
            return probe(network, x_BTI, None, lags, step=last_B, untrained=initial, features=features, seed=seed)
        lags = self.lags_below(task.lag, task.lag)
        values: dict[int, NDArray[Any]] = {}
        systems = [NetworkSystem(each).double() for each in (network, initial)]
        full_BS: list[Tensor | None] = [None, None]  # the full state of each system
        last_BH: list[Tensor | None] = [None, None]  # the states at its last step
        for first, x_BTI in parts(self, network, task, seed):
            at = {lag: task.lag - lag - first for lag in lags}
            values |= {lag: x_BTI[:, step].numpy().copy() for lag, step in at.items() if 0 <= step < x_BTI.shape[1]}
            for number, system in enumerate(systems):
                with torch.no_grad():
                    _, h_BTH, full_BS[number] = system.resume(x_BTI, full_BS[number])
                last_BH[number] = h_BTH[:, -1]
        state_BS, initial_BS = (floats("states", each, 2) for each in (full_BS if features == "full" else last_BH))
        return _decoded(state_BS, initial_BS, lags, [values[lag] for lag in lags], seed)

    def _replica_rows(self, network: Network, initial: Network, task: Task, seed: int) -> list[MeasureRow]:
        rows: list[MeasureRow] = []
        for one in self.alone(task):
            try:
                scores = one._probe(network, initial, one.longer(task), seed)
            except ValueError:  # states that are not finite, or too few sequences
                return []
            scored = np.isfinite(scores.skill)
            names = ("skill", "accuracy", "untrained_skill", "shuffled_skill")
            rows += curve_rows(scores.lag[scored], {name: getattr(scores, name)[scored] for name in names})
        return rows + self.horizon_row(rows, "skill", 0.5) if rows else []

"""Probes: which past inputs a linear readout can decode from the state.

What can be decoded is an upper bound of what is used, and a network that was never trained can be decoded too: that is
why every curve comes with two controls.

Shapes: B sequences, T steps, I inputs, S numbers of the state, K lags.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from farback import stats
from farback.measures.base import Row, Untrained
from farback.measures.support.asked_lags import AtLags, checked_lags, steps
from farback.measures.support.classifier import Labels, Whitening, logistic
from farback.measures.support.regression import Floats, floats
from farback.measures.support.system import measured, sequences
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Task

CHUNK_NUMBERS = 4_000_000  # states of one forward pass
TEST_SHARE = 1 / 3
FEWEST = 30  # sequences
LEAST_TRAIN, LEAST_TEST = 8, 4  # sequences of a class, below which it is left out
MOST_CLASSES = 64  # distinct inputs at a step, beyond which inputs are numbers and no symbols


@dataclass(frozen=True)
class Probe:
    """Decoding scores on sequences that the probe was not fitted on.

    Attributes:
        lag: increasing.
        skill: 0 = chance, 1 = perfect: `1 - CE / ln K` with every class counting alike, or R2 of a number; nan where
            fewer than two classes are met often enough.
        accuracy: mean over classes of the share that is named right; nan for numbers.
        untrained_skill: the same from the untrained network; nan without one.
        shuffled_skill: the same from the network measured, with the answers shuffled among sequences.
        classes: how many are told apart; 0 for numbers.
        horizon: from the largest lag with skill of a half to the next lag that was tested.
    """

    lag: NDArray[np.int64]
    skill: Floats
    accuracy: Floats
    untrained_skill: Floats
    shuffled_skill: Floats
    classes: Labels
    horizon: stats.Horizon


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
    """Decode what stood k steps before the readout from the state at the readout.

    Symbols by multinomial logistic regression, numbers by ridge regression, on whitened states: linear, and the same in
    any coordinates. Two thirds of the sequences are fitted, the others scored. Classes weigh alike.

    Args:
        system: see `farback.measures.support.system`.
        inputs: (B, T, I).
        symbols: what is decoded, (B, T): integers are symbols, other numbers are regressed on. Without it, the inputs
            themselves: which of the distinct inputs that occur at a step stood there, or, where they are too many
            (numbers, not symbols), the number on the first channel.
        lags: which lags; by default all.
        step: readout step, one for all sequences or one for each; by default the last.
        untrained: the same network before its training, a control. For a `torch.nn` module it is drawn anew.
        features: `h`, the states that the outputs are read from, or `full`, all that is carried on.
        seed: of the split and of the shuffled control.

    Raises:
        ValueError: fewer than 30 sequences, shapes that do not fit, a lag or step outside the sequences, or states
            that are not finite.

    Source: Alain and Bengio 2016 (1610.01644); the shuffled control after Hewitt and Liang 2019 (1909.03368).
    """
    x_BTI = sequences(inputs)
    if len(x_BTI) < FEWEST:
        raise ValueError(f"needs inputs (B, T, I) of {FEWEST} sequences or more, got {tuple(x_BTI.shape)}")
    B, T, _ = x_BTI.shape
    step_B = steps(step, B, T)
    wanted = checked_lags(lags, step_B)
    symbol_BT = None if symbols is None else torch.as_tensor(symbols).detach().cpu().numpy()
    if symbol_BT is not None and symbol_BT.shape != (B, T):
        raise ValueError(f"symbols must be one for each step, {(B, T)}; got {symbol_BT.shape}")
    row_B = np.arange(B)
    source = x_BTI.numpy() if symbol_BT is None else symbol_BT
    asked = [_question(source[row_B, step_B.numpy() - lag]) for lag in wanted]
    rng = stream(seed, "measure", "probe")
    order_B = rng.permutation(B)
    split = order_B[: int(B * TEST_SHARE)], order_B[int(B * TEST_SHARE) :]
    shuffled = [answer[rng.permutation(B)] for answer in asked]
    scores = _scores(_states(system, x_BTI, step_B, features), [*asked, *shuffled], *split)
    own, control = scores[: len(wanted)], scores[len(wanted) :]
    if untrained is None and isinstance(system, nn.RNNBase):
        untrained = _redrawn(system, seed)
    before = [_NOTHING] * len(wanted)
    if untrained is not None:
        before = _scores(_states(untrained, x_BTI, step_B, features), asked, *split)
    skill = np.array([score[0] for score in own])
    return Probe(
        lag=np.array(wanted),
        skill=skill,
        accuracy=np.array([score[1] for score in own]),
        untrained_skill=np.array([score[0] for score in before]),
        shuffled_skill=np.array([score[0] for score in control]),
        classes=np.array([score[2] for score in own]),
        horizon=stats.largest_success(wanted, skill >= 0.5).horizon,
    )


_Score = tuple[float, float, int]  # skill, accuracy, classes
_NOTHING: _Score = (float("nan"), float("nan"), 0)


def _question(value_B: NDArray[Any]) -> NDArray[Any]:
    """Classes 0, 1, ... (integers) or numbers (floats), one for each sequence."""
    if value_B.ndim == 2:
        distinct, label_B = np.unique(value_B, axis=0, return_inverse=True)
        return label_B.reshape(-1) if len(distinct) <= MOST_CLASSES else value_B[:, 0].astype(float)
    if np.issubdtype(value_B.dtype, np.floating):
        return value_B.astype(float)
    return np.unique(value_B, return_inverse=True)[1].reshape(-1)


def _states(system: Any, x_BTI: Tensor, step_B: Tensor, features: str) -> Floats:
    """The states at the readout steps, (B, S)."""
    face, x_BTI = measured(system, x_BTI)
    with torch.no_grad():
        width = face(x_BTI[:1])[1].shape[-1]
        size = max(1, CHUNK_NUMBERS // (x_BTI.shape[1] * max(width, x_BTI.shape[2])))
        parts = []
        for x, step in zip(torch.split(x_BTI, size), torch.split(step_B, size), strict=True):
            state_BTS = face.trajectory(x) if features == "full" else face(x)[1]
            parts.append(state_BTS[torch.arange(len(x)), step])
    return floats("states", torch.cat(parts), 2)


def _scores(state_BS: Floats, asked: list[NDArray[Any]], test: Labels, train: Labels) -> list[_Score]:
    """The scores of a probe for each question, fitted on some sequences and scored on others."""
    whitened = Whitening.of(state_BS[train])
    x, other = whitened(state_BS[train]), whitened(state_BS[test])
    scores = [_NOTHING] * len(asked)
    symbolic = []
    for at, answer_B in enumerate(asked):
        if np.issubdtype(answer_B.dtype, np.floating):
            scores[at] = _regressed(x, answer_B[train], other, answer_B[test])
            continue
        label_B, count = _frequent(answer_B, test, train)
        if count > 1:
            symbolic.append((at, label_B, count))
    if symbolic:
        label_BP = np.stack([label_B for _, label_B, _ in symbolic], 1)
        count_P = np.array([count for _, _, count in symbolic])
        weight_NP = _balanced(label_BP[train], count_P)
        log_p_MPC = logistic(x, label_BP[train], weight_NP, count_P, other)
        for p, (at, label_B, count) in enumerate(symbolic):
            scores[at] = _named(log_p_MPC[:, p, :count], label_B[test])
    return scores


def _frequent(label_B: Labels, test: Labels, train: Labels) -> tuple[Labels, int]:
    """Labels renumbered among the classes that are met often enough, -1 for the others; and how many those are."""
    size = int(label_B.max()) + 1
    often = np.bincount(label_B[train], minlength=size) >= LEAST_TRAIN
    often &= np.bincount(label_B[test], minlength=size) >= LEAST_TEST
    return np.where(often, np.cumsum(often) - 1, -1)[label_B], int(often.sum())


def _balanced(label_NP: Labels, count_P: Labels) -> Floats:
    """Weights under which the classes of a problem weigh alike, and N together; 0 where the label is -1."""
    weight_NP = np.zeros(label_NP.shape)
    for p, count in enumerate(count_P.tolist()):
        size_C = np.bincount(label_NP[label_NP[:, p] >= 0, p], minlength=count)
        weight_NP[:, p] = np.where(label_NP[:, p] >= 0, len(label_NP) / count / size_C[label_NP[:, p]], 0.0)
    return weight_NP


def _named(log_p_MC: Floats, label_M: Labels) -> _Score:
    kept = label_M >= 0
    log_p_MC, label_M = log_p_MC[kept], label_M[kept]
    count = log_p_MC.shape[1]
    loss_M, right_M = -log_p_MC[np.arange(len(label_M)), label_M], log_p_MC.argmax(1) == label_M
    size_C, loss_C, right_C = (np.bincount(label_M, of, minlength=count) for of in (None, loss_M, right_M))
    return 1 - float((loss_C / size_C).mean()) / np.log(count), float((right_C / size_C).mean()), count


def _regressed(x_NG: Floats, y_N: Floats, other_MG: Floats, y_M: Floats) -> _Score:
    centre = y_N.mean()
    spread = float(np.square(y_M - centre).sum())
    if not spread or np.ptp(y_N) == 0:
        return _NOTHING
    slope_G = x_NG.T @ (y_N - centre) / (len(y_N) + 1)  # ridge: whitened features are orthogonal
    return 1 - float(np.square(y_M - centre - other_MG @ slope_G).sum()) / spread, float("nan"), 0


def _redrawn(module: nn.RNNBase, seed: int) -> nn.RNNBase:
    """A fresh copy of a module; torch draws from its global generator alone, which is put back as it was."""
    fresh = copy.deepcopy(module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh.reset_parameters()
    return fresh


class ProbeMeasure(AtLags):
    """Which inputs before the last asked step can be decoded from the state there, on the trial's own task.

    What is decoded is the input itself: which of the inputs that occur at that lag it was (in recall: which distractor,
    or, at the lag asked, which cue), or, where inputs are numbers, the number on the first channel. A lag at which
    there is but one possible input (copy's blanks) has no rows, and a task that has no other lags has none at all.

    Source: Alain and Bengio 2016 (1610.01644); Hewitt and Liang 2019 (1909.03368).
    """

    sequences: Annotated[int, Field(ge=FEWEST, le=1_000_000)] = 1000
    features: Literal["h", "full"] = "h"

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows skill, accuracy, untrained_skill, shuffled_skill for each lag; horizon (its low end, or 0) for none.

        accuracy is nan where the input is a number. A net whose state is not finite has no rows, nor has the full state
        of a bidirectional one.
        """
        if self.features == "full" and network.architecture.bidirectional:
            return [[] for _ in seeds]
        drawn = untrained()
        return [
            self._rows(network.replica(index), drawn.replica(index), task, seed) for index, seed in enumerate(seeds)
        ]

    def _rows(self, network: Network, drawn: Network, task: Task, seed: int) -> list[Row]:
        batch, last_B, lags = self.asked(task, seed)
        if len(last_B) < FEWEST:
            return []
        settings: dict[str, Any] = {"step": last_B, "untrained": drawn, "features": self.features, "seed": seed}
        try:
            found = probe(network, batch.input_BTI, None, lags, **settings)
        except ValueError:  # states that are not finite
            return []
        names = ("skill", "accuracy", "untrained_skill", "shuffled_skill")
        rows = [
            Row(lag, name, float(getattr(found, name)[at]))
            for at, lag in enumerate(found.lag.tolist())
            if np.isfinite(found.skill[at])
            for name in names
        ]
        return [*rows, Row(-1, "horizon", max(0.0, found.horizon.low))] if rows else []

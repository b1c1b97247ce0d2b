"""One network at one lag: what four runs of the same sequences show, and what restores its answers.

Shapes: B sequences, K steps, H numbers of the top layer's state, S of the full state, O outputs, N sequences of all
runs (R runs).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farback.measures.base import Floats
from farback.measures.retention import retention
from farback.measures.support.cue_probe import decoded
from farback.measures.support.interventions import RUNS, Cued, answers, score, states
from farback.measures.support.separation import EARLY, losses, separation, size
from farback.measures.support.system import System
from farback.tasks.support.answers import OneOf

HALF = 0.5  # of the way from chance to perfect: remembered
CLEAR = 0.75  # of the way from chance to perfect: the probe decodes nearly all
RESOLUTION = 0.05  # noise in every number of the states that are decoded, relative to the separation of the cues
WRITTEN = 1e-3  # a smaller separation counts as none, unless the network itself answers from it
EVERY = 48  # up to this lag every step is looked at, beyond it about ten in an octave
TESTED = 256  # sequences at other lags
STEPS = 25_000  # sequences times steps of a patched run; longer sequences are fewer,
PATCHED = 64  # but at least so many
SHRUNK = 0.7  # a separation that is smaller than this, relative to the first, is restored to see what changes
STUCK = 1e-3  # states that vary less between sequences, and react little to a change of state, are stuck
PUSH = 0.1  # size of this change, relative to the state
GROWN = 1e6  # states that grow by this factor diverge

Rows = NDArray[np.int64]


class Case:
    """The four runs of a network, and further interventions where it fails.

    Attributes:
        steps: steps after the cue at which states are looked at.
        answer_B, blanked_B: what each answer adds to the score, as the sequences are and with blanks.
        probe_KB: what each sequence adds to the score of the probe, at each step.
        lags, scores: other lags, and the score there; empty before `fails` is called.
    """

    def __init__(self, system: System, data: Cued, trained: int | None, blank: object, seed: int) -> None:
        self.system, self.data, self.trained, self.seed = system, data, trained, seed
        self.lag, self.B = data.lag, len(data.input_BTI)
        self.x_NTI = data.runs(blank).to(system.cast(data.input_BTI[:1]).dtype)
        self.start_N = data.start_B.repeat(len(RUNS))
        output_NO, h_NH = answers(system, self.x_NTI, self.start_N + self.lag)
        own_BO, _, blanked_BO, _ = output_NO.chunk(len(RUNS))
        self.h_BH, self.answer_B, self.blanked_B = h_NH[: self.B], score(data, own_BO), score(data, blanked_BO)
        self.steps = grid(self.lag)
        self.early, self.last = self.steps.index(min(EARLY, self.lag) - 1) + 1, self.steps.index(self.lag - 1)
        state_KRBS = self._states(self.steps)
        self.own_KBS, self.blanked_BS = state_KRBS[:, 0], state_KRBS[-1, 2]
        finite_KRBS = state_KRBS.nan_to_num(0.0, 0.0, 0.0)
        moved_KBS = (finite_KRBS[:, 1] - finite_KRBS[:, 0])[: self.early]
        self.first = int(moved_KBS.square().sum((1, 2)).argmax())
        self.separation = separation(finite_KRBS, data.differs_B, self.first, self.last)
        self.written = size(self.separation.cue_KN[self.first])
        self.probe_KB = np.stack([self._decoded(state_BS) for state_BS in self.own_KBS])
        self.lags, self.scores, self.restored = np.array([], int), np.array([]), math.nan
        self.unread, self.timer = 0.0, False
        self.stuck: int | None = None
        differs_B = data.differs_B.numpy()
        self.pair_B = np.where(differs_B, np.cumsum(differs_B) - 1, -1)  # the place of each sequence among the pairs

    @property
    def fails(self) -> bool:
        """Whether it does not answer at the lag."""
        return float(self.answer_B.mean()) < HALF

    def intervene(self) -> None:
        """What is needed beside the four runs to say why it fails."""
        self.lags, self.scores = self._other_lags()
        self.unread, self.timer = self._unread(), self._is_timer()
        self.restored, self.stuck = self._restored(), self._stuck_from()

    def weights(self, row_B: Rows) -> dict[str, float]:
        """What each cause costs of the way from chance to perfect, on these sequences; causes may overlap."""
        if self.stuck is not None:
            return {"saturated": 1.0}
        own = float(self.answer_B[row_B].mean())
        written, kept = (np.nanmean(self.probe_KB[k][:, row_B], 1).max() for k in (slice(self.early), slice(-2, None)))
        kept, reads = min(written, kept), max(self.scores[self.lags < self.lag], default=math.nan)
        if self.written < WRITTEN and not reads >= HALF:
            written = kept = 0.0
        costs = self._losses(row_B)
        hindered = self.data.by_cue and float(self.blanked_B[row_B].mean()) >= HALF and not self.unread
        if hindered and kept >= HALF:  # the network reads what distractors do not hide from it
            costs["decays"] = 0.0
        if hindered or self.restored >= HALF or kept < HALF:
            kept = own
        written, kept, own = (float(np.clip(value, 0, 1)) for value in (written, kept, own))
        read = max(kept - own, self.unread if written - kept > HALF / 2 else 0.0)
        total = sum(costs.values())
        lost = {name: max(0.0, written - kept) * cost / total for name, cost in costs.items()} if total > 0 else {}
        return {"timer": 1.0, **lost} if self.timer else {"not_written": 1 - written, **lost, "not_read": read}

    def step(self, cause: str) -> int:
        """The step after the cue at which it is lost."""
        if self.stuck is not None:
            return self.steps[self.stuck]
        if cause == "not_written":
            return 0
        probe_K = np.nanmean(self.probe_KB, 1)
        lost = [k for k in range(self.first, len(self.steps)) if probe_K[k] < HALF]
        if cause in ("not_read", "timer") or not lost:
            return self.lag
        high = lost[0]
        between = list(range(self.steps[high - 1] + 1, self.steps[high])) if high else []
        if between:
            for step, state_BS in zip(between, self._states(between)[:, 0], strict=True):
                if float(np.nanmean(self._decoded(state_BS))) < HALF:
                    return step
        return self.steps[high]

    def patched(self) -> tuple[Rows, Floats]:
        """Scores for the donor's cue, if the state after a step is that of the blanked run with the donor's cue."""
        if not self.data.by_cue or not self._resumes():
            return np.array([], int), np.array([])
        steps = [step for step in grid(self.lag, 4) if step < self.lag]
        few_B = slice(0, min(self.B, max(PATCHED, STEPS // self.lag)))
        start, own, donor = int(self.start_N[0]), self.x_NTI[: self.B][few_B], self.x_NTI[3 * self.B :][few_B]
        target_B = self.data.target_B[self.data.donor_B][few_B]
        state, done, found = None, 0, []
        for step in steps:
            state, done = self.system.carry(donor[:, done : start + step + 1], state)[1], start + step + 1
            output_BO = self.system.carry(own[:, done : start + self.lag + 1], state)[0][:, -1].double()
            found.append(float(score(self.data, output_BO, target_B).mean()))
        return np.array(steps), np.array(found)

    def _states(self, steps: Sequence[int]) -> Tensor:
        """States at these steps, (K, R, B, S)."""
        state_KNS = states(self.system, self.x_NTI, self.start_N, steps)
        return state_KNS.view(len(steps), len(RUNS), self.B, -1)

    def _decoded(self, state_BS: Tensor) -> Floats:
        noise = max(RESOLUTION * self.written, 1e-12)
        own_BS = np.clip(state_BS.nan_to_num(0.0, 0.0, 0.0).numpy(), -1e9, 1e9)
        return decoded(own_BS, self.data.cue_B, self.data.cues, noise, self.seed)

    def _losses(self, row_B: Rows) -> dict[str, float]:
        apart, last = self.separation, self.last
        pair_N = self.pair_B[row_B][self.pair_B[row_B] >= 0]
        one, spread = (size(apart.distractors_KN[k, row_B]) for k in (min(1, last), last))
        written, late, blanked = (
            size(square_N[pair_N]) for square_N in (apart.written_N, apart.cue_KN[last], apart.blanked_KN[last])
        )
        return losses(written, one, late, blanked, spread)

    def _other_lags(self) -> tuple[Rows, Floats]:
        """Scores at other lags; none for a task that asks another question at each lag."""
        task, trained = self.data.task, self.trained
        wanted = {1, 2, 3, self.lag // 4, self.lag // 2, 3 * self.lag // 4}
        if trained is None:
            wanted |= set(grid(2 * self.lag, 4))
        else:
            wanted |= {trained, trained - 1, trained // 4, trained // 2, 3 * trained // 4}
        lags = sorted(lag for lag in wanted - {self.lag} if lag >= max(1, task.least))
        if not lags or not task.mixes:
            return np.array([], int), np.array([])
        curve = retention(self.system, task, lags, min(self.B, TESTED), self.seed)
        chance_K = np.array([task.at(lag).held_out("test").chance().accuracy for lag in lags])
        by_class = isinstance(task.answer, OneOf)
        return np.array(lags), np.nan_to_num((curve.accuracy - chance_K) / (1 - chance_K) if by_class else curve.skill)

    def _unread(self) -> float:
        """Which share of what the probe decodes the answers miss, at shorter lags at which it decodes nearly all.

        The least of these lags counts; a network that misses less than half of it can read.
        """
        probe = dict(zip(self.steps, np.nanmean(self.probe_KB, 1), strict=True))
        tested = [(probe.get(lag, 0.0), value) for lag, value in zip(self.lags.tolist(), self.scores, strict=True)]
        tested = [pair for lag, pair in zip(self.lags.tolist(), tested, strict=True) if lag < self.lag]
        clear = min(CLEAR, max((kept for kept, _ in tested), default=0.0))
        pairs = [pair for pair in tested if pair[0] >= max(HALF, clear)]
        if not pairs and self.data.by_cue:  # what distractors overwrite at once can be read with blanks only
            kept = float(np.nanmean(self._decoded(self.blanked_BS)))
            pairs = [(kept, self.blanked_B.mean())] if kept >= CLEAR else []
        least = min((float(1 - max(0.0, value) / kept) for kept, value in pairs), default=0.0)
        return least if least >= HALF else 0.0

    def _is_timer(self) -> bool:
        """Whether it answers at some lag, and at most half of the shorter lags, not at all of those close to it."""
        right = [lag for lag, value in zip(self.lags.tolist(), self.scores, strict=True) if value >= HALF]
        for lag in right if self.trained is None else {self.trained} & set(right):
            wrong = self.scores[self.lags < lag] < HALF
            close = self.scores[(self.lags < lag) & (self.lags >= lag // 2)] < HALF
            if len(wrong) >= 2 and wrong.mean() >= HALF and close.any():
                return True
        return False

    def _stuck_from(self) -> int | None:
        """The index of the step from which on states are stuck or not finite; None if they are not."""
        finite_K = torch.isfinite(self.own_KBS).all(-1).double().mean(1).numpy()
        if finite_K[-1] < HALF:
            return int(np.argmax(finite_K < HALF))
        length_K = self.own_KBS.square().mean((1, 2)).sqrt().nan_to_num(math.inf, math.inf).numpy()
        if length_K[-1] > GROWN * max(1.0, length_K[0]):
            return int(np.argmax(length_K > GROWN * max(1.0, length_K[0])))
        length = float(self.h_BH.square().mean().sqrt())
        if float(self.h_BH.std(0).mean()) > STUCK * max(length, STUCK) or not self._resumes():
            return None
        if float(np.nanmean(self.probe_KB[self.last])) >= HALF and length < HALF:
            return None  # the state keeps the cue, and is not shown
        state_BS, x_B1I = self._before_the_answer()
        push = PUSH * max(float(state_BS.double().square().mean().sqrt()), PUSH)
        random_BS = np.random.default_rng(self.seed).standard_normal(tuple(state_BS.shape))
        pushed_BS = state_BS + (push * torch.from_numpy(random_BS)).to(state_BS.dtype)
        pairs = zip(self.system.carry(x_B1I, state_BS), self.system.carry(x_B1I, pushed_BS), strict=True)
        answer, state = (float((after - before).double().square().mean().sqrt()) for before, after in pairs)
        shows = float(self.system(self.x_NTI[:16])[0].std((0, 1)).max()) > 1e-9  # else no answer depends on the state
        if (answer if shows else state) > 10 * STUCK * push:
            return None
        varies_K = self.own_KBS.std(1).mean(1).numpy()
        return int(np.argmax(varies_K <= STUCK * np.maximum(length_K, STUCK)))

    def _restored(self) -> float:
        """The score if the separation of the cues before the answer is what it was when the cue arrived."""
        late = size(self.separation.cue_KN[self.last])
        if not self._resumes() or not 0 < late < SHRUNK * self.written:
            return math.nan
        state_BS, x_B1I = self._before_the_answer()
        grown_BS = state_BS.mean(0) + (state_BS - state_BS.mean(0)) * (self.written / late)
        return float(score(self.data, self.system.carry(x_B1I, grown_BS)[0][:, -1].double()).mean())

    def _resumes(self) -> bool:
        """Whether the last step can be run alone, from a state."""
        return bool((self.start_N == self.start_N[0]).all()) and not self.system.unresumable(self.x_NTI[:2])

    def _before_the_answer(self) -> tuple[Tensor, Tensor]:
        """The full state before the step of the answer, (B, S), and the input of this step, (B, 1, I)."""
        end = int(self.start_N[0]) + self.lag
        x_BTI = self.x_NTI[: self.B]
        return self.system.carry(x_BTI[:, :end])[1], x_BTI[:, end : end + 1]


def grid(lag: int, each: int = 10) -> list[int]:
    """Steps from 0 to `lag`: with 10 for each octave all up to a lag of 48, else about so many, and the last two."""
    if lag <= EVERY and each == 10:
        return list(range(lag + 1))
    octaves = max(0.0, math.log2(max(lag, 4) / 4))
    steps = {0, 1, 2, 3, lag - 1, lag, *(round(4 * 2 ** (n / each)) for n in range(int(each * octaves) + 1))}
    return sorted(step for step in steps if 0 <= step <= lag)

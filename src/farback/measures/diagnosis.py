"""Diagnosis: why a network does not answer at a lag, found by intervention on its inputs and states.

Shapes: B sequences, K steps after the cue, I inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from farback.measures.base import Floats, Lag, Measure, MeasureRow, Untrained
from farback.measures.support.failing_case import HALF, Case
from farback.measures.support.interventions import cued
from farback.measures.support.learning_signal import Interval, learning_signal
from farback.measures.support.numbers import whole
from farback.measures.support.own_mode import own_mode
from farback.measures.support.separation import size
from farback.measures.support.system import System, measured
from farback.networks.network import Network
from farback.records.record import Several
from farback.tasks.base import Task

CAUSES = (
    "not_written",
    "decays",
    "drifts",
    "overwritten",
    "not_read",
    "timer",
    "saturated",
    "not_learnable",
)
NAMED = 0.15  # a cause with a smaller share is not named
LEAST = 50  # sequences
STEPS = 100_000  # sequences times steps; longer sequences are fewer,
FEWEST = 128  # but at least so many
DRAWS = 100  # bootstrap samples of the sequences
SURE = 0.9  # share of the samples in which one of the named causes is the largest


@dataclass(frozen=True)
class DiagnosisEvidence:
    """The measured numbers behind a diagnosis.

    Attributes:
        step: steps after the cue at which states were looked at, (K,); the last one is that of the answer.
        probe: how well the cue is decoded from the state, (K,): 0 at chance, 1 always.
        separation: how far another cue moves the state, (K,), with the same distractors.
        separation_blank: the same with blanks as distractors.
        spread: how far other distractors move it, (K,), in the directions in which the cue does.
        lag: other lags at which the network was tested,
        score: and its score there: 0 at chance, 0.5 if half-way, which counts as remembering, 1 if perfect.
        patched_step: steps after the cue at which the state was replaced by that of a run with another cue and blanks,
        patched: and the score of the answers for this other cue. It passes from the step on after which nothing more
            goes wrong. Empty if the network cannot resume from a state, or the answer does not follow from the cue.
        effects: estimate, low and high end of the 95 % interval over sequences: `answer`, the score at the lag;
            `blanked`, with blanks as distractors; `written` and `kept`, the probe just after the cue and before the
            answer; `restored`, the score after undoing the loss of separation in the last state; `share/CAUSE`, of
            what is found in inputs and states; `signal/start` and `signal/end`, of the gradient (see `diagnosis`).
    """

    step: NDArray[np.int64]
    probe: Floats
    separation: Floats
    separation_blank: Floats
    spread: Floats
    lag: NDArray[np.int64]
    score: Floats
    patched_step: NDArray[np.int64]
    patched: Floats
    effects: Mapping[str, Interval]


@dataclass(frozen=True)
class Diagnosis:
    """Why a network fails at a lag.

    Attributes:
        cause: the cause with the largest share; `none` if the network answers; `unknown` if the data do not tell.
            `not_written`: the states after the cue do not separate the cues. `decays`: their separation shrinks, with
            blanks as well. `drifts`: they stay apart, but distractors move them further. `overwritten`: distractors
            make the separation shrink, blanks do not. `not_read`: the cue can be decoded from the last state, the
            network's own answer is wrong. `timer`: the network answers at its trained lag, and not at shorter ones.
            `saturated`: units are stuck, or not finite. `not_learnable`: the gradient was noise at the start, and is.
        shares: the causes that act and their shares, which add up to 1; empty without a cause.
        step: the step after the cue at which the cue is lost: 0 if it is not written, the lag if it is not read.
        distinguishability: the separation of the cues before the answer, relative to the spread by distractors. Below
            about 1 the cues cannot be told apart; infinite if distractors do not move the state.
        evidence: the numbers behind it.
    """

    cause: str
    shares: Mapping[str, float]
    step: int | None
    distinguishability: float
    evidence: DiagnosisEvidence = field(repr=False)


@own_mode()
def diagnosis(
    system: Any,
    task: Task,
    lag: int | None = None,
    *,
    trained: int | None = None,
    untrained: Any = None,
    blank: Any = None,
    sequences: int = 512,
    seed: int = 0,
) -> Diagnosis:
    """Why a network does not answer at a lag: which of eight causes, and at which step after the cue.

    Four runs of the same sequences are compared: as they are; with the cue of another sequence; with blanks in place
    of all steps between cue and answer; with both. So each cause is found by what restores the answer or the state.

    Args:
        system: see `farback.measures.support.system`. All state that it carries is used; of a callable without a
            state, and of a bidirectional network, the states that its outputs are computed from.
        task: a task whose answers have known lags.
        lag: by default the task's lag.
        trained: the lag that the network was trained at; by default the task's lag, if this is another one, else
            unknown: then lags up to twice the lag are searched for one at which it answers.
        untrained: the same network before training. With it a failing network is `not_learnable` at the lag if the
            gradient of a batch of 32 there is mostly noise before training and after it: the part that comes from the
            cue is smaller than the standard deviation from batch to batch in its direction (95 %). What is lost in the
            trained network is then in the evidence only. Both must be modules or farback networks.
        blank: the inputs of a step at which nothing is shown, (I,); by default zeros.
        sequences: number of test sequences; fewer (at least 128) if they are long.
        seed: the seed of the sequences.

    Raises:
        ValueError: not a system, a task without known lags or with a constant cue, a lag below 1, or outputs that do
            not fit the task.

    Source: own. The comparison of separation and spread follows Chung, Choi and Kim 2026 (2605.07755), of which the
        abstract was read: states can be told apart while the spread within a class is small relative to the separation
        of classes.
    """
    return _diagnosed(system, task, lag, trained, untrained, blank, sequences, seed, patches=True)


def _diagnosed(
    system: Any,
    task: Task,
    lag: int | None,
    trained: int | None,
    untrained: Any,
    blank: Any,
    sequences: int,
    seed: int,
    *,
    patches: bool,
) -> Diagnosis:
    """A diagnosis, with or without the patched states, which take most of the time at long lags."""
    lag = task.lag if lag is None else whole("lag", lag)
    sequences = whole("sequences", sequences)
    if sequences < LEAST:
        raise ValueError(f"a diagnosis needs {LEAST} sequences or more, got {sequences}")
    data = cued(task, lag, min(sequences, max(FEWEST, STEPS // max(1, lag))), seed)
    wrapped, _ = measured(system, data.input_BTI[:2])
    if trained is None and task.lag != lag:
        trained = task.lag
    with torch.no_grad(), np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        case = Case(wrapped, data, trained if trained is None else whole("trained", trained), blank, seed)
        signals = {}
        if untrained is not None and case.fails:
            signals = _signals({"start": measured(untrained, data.input_BTI[:2])[0], "end": wrapped}, data.task, seed)
        return _found(case, signals, patches)


def _signals(systems: Mapping[str, System], task: Task, seed: int) -> dict[str, Interval]:
    """Signal to noise of the gradient, of the systems that have parameters."""
    found = {f"signal/{name}": learning_signal(system, task, seed) for name, system in systems.items()}
    return {name: signal for name, signal in found.items() if signal is not None}


def _found(case: Case, signals: Mapping[str, Interval], patches: bool) -> Diagnosis:
    """The causes, with intervals from sequences drawn again."""
    if case.fails:
        case.intervene()
    rng = np.random.default_rng(case.seed)
    rows = [rng.integers(case.B, size=case.B) for _ in range(DRAWS)]
    draws = [normalised(case.weights(row_B)) for row_B in rows] if case.fails else []
    shares = named(normalised(case.weights(np.arange(case.B)))) if case.fails else {}
    effects = _effects(case, rows)
    effects |= {f"share/{name}": (shares[name], *_ends([draw.get(name, 0.0) for draw in draws])) for name in shares}
    lost = {"decays", "overwritten", "drifts"} & set(shares)
    effects |= signals
    cause = _cause(effects["answer"], shares, draws)
    step = case.step(cause) if cause in CAUSES else None
    if cause in CAUSES and len(signals) == 2 and all(high < 1 for _, _, high in signals.values()):
        cause, shares = "not_learnable", {"not_learnable": 1.0}
    patched_step, patched = case.patched() if lost and patches else (np.array([], int), np.array([]))
    apart = case.separation
    cue_K, blank_K, spread_K = (
        np.array([size(square_N) for square_N in square_KN])
        for square_KN in (apart.cue_KN, apart.blanked_KN, apart.distractors_KN)
    )
    evidence = DiagnosisEvidence(
        step=np.array(case.steps),
        probe=np.nanmean(case.probe_KB, 1),
        separation=cue_K,
        separation_blank=blank_K,
        spread=spread_K,
        lag=case.lags,
        score=case.scores,
        patched_step=patched_step,
        patched=patched,
        effects=effects,
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(cue_K[case.last] / spread_K[case.last])
    return Diagnosis(cause, shares, step, ratio, evidence)


def _cause(answer: Interval, shares: Mapping[str, float], draws: Sequence[Mapping[str, float]]) -> str:
    """The largest cause; `unknown` if other sequences might show another, or that the network answers."""
    if answer[0] >= HALF:
        return "none" if answer[1] >= HALF else "unknown"
    if answer[2] >= HALF or not shares:
        return "unknown"
    same = [max(draw, key=lambda name: draw[name], default="") in shares for draw in draws]
    return next(iter(shares)) if np.mean(same) >= SURE else "unknown"


def _effects(case: Case, rows: Sequence[NDArray[np.int64]]) -> dict[str, Interval]:
    values = {"answer": case.answer_B, "written": case.probe_KB[case.first], "kept": case.probe_KB[case.last]}
    if case.data.by_cue:
        values["blanked"] = case.blanked_B
    effects = {
        name: (float(np.nanmean(one_B)), *_ends([float(np.nanmean(one_B[row_B])) for row_B in rows]))
        for name, one_B in values.items()
    }
    return effects if math.isnan(case.restored) else effects | {"restored": (case.restored, math.nan, math.nan)}


def normalised(weights: Mapping[str, float]) -> dict[str, float]:
    """Shares that add up to 1; none if there is no weight."""
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()} if total > 0.05 else {}


def named(shares: Mapping[str, float]) -> dict[str, float]:
    """The shares that are large enough to be named, largest first."""
    large = {name: share for name, share in shares.items() if share >= NAMED}
    return dict(sorted(normalised(large).items(), key=lambda pair: -pair[1]))


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


class DiagnosisMeasure(Measure):
    """Why a network does not answer at a lag, by intervention on inputs and states.

    For each lag, by default the trial's, the shares of the causes: not_written, decays, drifts, overwritten, not_read,
    timer, saturated; none if the network answers, unknown if the sequences do not tell. Beside them not_learnable, if
    the gradient of a batch at this lag was noise before training, and still is.

    Source: see `farback.measures.diagnosis`.
    """

    lags: Several[Lag] = ()
    sequences: Annotated[int, Field(ge=LEAST, le=100_000)] = 512

    @own_mode()
    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[MeasureRow]]:
        """For each lag, a share for each cause that acts, not_learnable, step and distinguishability."""
        initial = untrained()
        return [self._rows(network.replica(n), initial.replica(n), task, seed) for n, seed in enumerate(seeds)]

    def _rows(self, network: Network, initial: Network, task: Task, seed: int) -> list[MeasureRow]:
        rows: list[MeasureRow] = []
        for lag in sorted(set(self.lags) or {task.lag}):
            try:
                found = _diagnosed(network, task, lag, task.lag, initial, None, self.sequences, seed, patches=False)
            except ValueError:
                continue
            effects = found.evidence.effects
            shares = {name: effects[f"share/{name}"][0] for name in CAUSES if f"share/{name}" in effects}
            if found.cause in ("none", "unknown"):
                shares = {found.cause: 1.0}
            elif found.cause == "not_learnable":
                rows.append(MeasureRow(lag, "not_learnable", 1.0))
            rows += [MeasureRow(lag, f"share_{name}", share) for name, share in shares.items()]
            if found.step is not None:
                rows.append(MeasureRow(lag, "step", found.step))
            if math.isfinite(found.distinguishability):
                rows.append(MeasureRow(lag, "distinguishability", found.distinguishability))
        return rows

    def check(self, task: Task) -> None:
        """The lags must be possible, of 1 or more, and those of the task's answers must be known."""
        if not task.has_lags:
            raise ValueError(f"which lags the answers of {task.name} need is not known: a diagnosis needs them")
        lags = sorted(set(self.lags) or {task.lag})
        if lags[0] < 1:
            raise ValueError(f"a diagnosis needs lags of 1 or more, got {lags[0]}")
        others = [lag for lag in lags if lag != task.lag]
        if others and not task.mixes:
            raise ValueError(f"{task.name} asks another question at each lag: leave out {others}")
        for lag in others:
            task.at(lag)

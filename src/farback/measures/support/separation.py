"""How far apart other cues and other distractors move the states of a system, step by step.

Shapes: B sequences, K steps, S numbers of the state, N pairs, D directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from farback.measures.base import Floats

EARLY = 4  # steps from the cue on in which it must arrive in the state
DIRECTIONS = 8  # most directions in which the cue is looked for
PART = 0.05  # a direction in which the cue moves the state less than this, relative to the first, does not count
STATIC = 0.8  # the code of the cue stays the same if this much of its last pattern, or more, is there at the start
LARGEST = float(np.log(1e4))  # a loss of separation counts as at most this
LASTS = 0.05  # of the separation when the cue arrives: what is left later may be an echo if it is less
ENOUGH = float(np.log(1 / 0.15))  # a loss of this size makes the cue unreadable alone
NOTHING = 1e-6  # a change of the state smaller than this, relative to that by the cue, is no change


@dataclass(frozen=True)
class Separation:
    """Squared distances between two runs of the same sequence, at every step, (K, N).

    Attributes:
        cue_KN: between runs with the same distractors and another cue.
        blanked_KN: the same with blanks as distractors.
        distractors_KN: between runs with the same cue and other distractors, (K, B), in the directions in which the cue
            moves the state: at the last step, if the cue's code stays the same, else at each step.
        written_N: between runs with another cue, when it has arrived: what is left of it later, if its code stays the
            same. So echoes that fade at once, beside a memory that lasts, do not count.
    """

    cue_KN: Floats
    blanked_KN: Floats
    distractors_KN: Floats
    written_N: Floats


def separation(state_KRBS: Tensor, differs_B: Tensor, first: int, last: int) -> Separation:
    """From the states of the four runs; the swapped cue of a sequence is that of the next one.

    Args:
        first: the index of the step at which the cue has arrived.
        last: that of the last step before the answer.
    """
    own_KBS, swapped_KBS, blanked_KBS, both_KBS = state_KRBS.unbind(1)
    cue_KNS, blank_KNS = (swapped_KBS - own_KBS)[:, differs_B], (both_KBS - blanked_KBS)[:, differs_B]
    other_KBS = swapped_KBS.roll(1, 1) - own_KBS  # the sequence before, with this one's cue
    written_NS, late_NS = cue_KNS[first], blank_KNS[last]
    share = float((written_NS * late_NS).sum() / late_NS.square().sum().clamp(min=1e-300))
    lasts = float(late_NS.square().sum()) > LASTS**2 * float(written_NS.square().sum())
    written_N, spread = written_NS.square().sum(1), []
    if lasts and share >= STATIC:
        written_N = share**2 * late_NS.square().sum(1)
        direction_SD = _directions(torch.cat([late_NS, cue_KNS[last]]), None)
        spread = [(other_BS @ direction_SD).square().sum(1) for other_BS in other_KBS]
    else:
        before = None
        for cue_NS, blank_NS, other_BS in zip(cue_KNS, blank_KNS, other_KBS, strict=True):
            before = _directions(torch.cat([blank_NS, cue_NS]), before)
            spread.append((other_BS @ before).square().sum(1))
    squares = (cue_KNS.square().sum(2), blank_KNS.square().sum(2), torch.stack(spread), written_N)
    return Separation(*(value.numpy() for value in squares))


def _directions(change_NS: Tensor, before: Tensor | None) -> Tensor:
    """The main directions of the changes, (S, D); those of an earlier step if nothing changes."""
    _, size_D, right_DS = torch.linalg.svd(change_NS, full_matrices=False)
    if before is not None and float(size_D[0]) < 1e-9:
        return before
    main_DS: Tensor = right_DS[:DIRECTIONS][size_D[:DIRECTIONS] >= PART * size_D[0]]
    return main_DS.T


def size(square_N: Floats) -> float:
    """The root mean square."""
    return float(np.sqrt(square_N.mean())) if square_N.size else 0.0


def losses(cue: float, one: float, late: float, blanked: float, spread: float) -> dict[str, float]:
    """How much each process costs of the separation of cues, relative to the spread by distractors, as logarithms.

    Where one process alone explains that cues cannot be told apart, and another alone does not, the other is left out.

    Args:
        cue: how far apart cues are when they arrive,
        one: and the first distractor moves the state.
        late: how far apart cues are before the answer,
        blanked: and with blanks,
        spread: and how far distractors have moved the state.
    """
    floor = cue * NOTHING + 1e-300
    total = _log(cue, late + floor)
    decays = min(total, _log(cue, blanked + floor))
    overwritten = total - decays + _log(one, cue + floor)
    drifts = _log(spread, max(one, cue * 1e-2) + floor)
    if cue >= spread and late < max(one, floor):
        drifts = 0.0
    elif cue < spread and late >= max(one, floor):
        decays = overwritten = 0.0
    if decays >= ENOUGH > overwritten:
        overwritten = 0.0
    elif overwritten >= ENOUGH > decays:
        decays = 0.0
    return {"decays": decays, "overwritten": overwritten, "drifts": drifts}


def _log(above: float, below: float) -> float:
    return float(np.clip(np.log((above + 1e-300) / below), 0.0, LARGEST))

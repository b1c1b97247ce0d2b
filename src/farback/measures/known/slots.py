"""A network with a memory of explicit rules: what writes it, what distractors do to it, and what is read.

Shapes: B sequences, T steps, I inputs, O outputs, C numbers of the memory, Q units beside it, S numbers of the state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from farback.measures.base import Floats
from farback.tasks.base import Task

FADES = 0.7  # largest factor by which what the units beside the memory hold changes in a step
PRESENT = 0.3  # a distractor that is a number replaces the memory if it is larger than this


@dataclass(frozen=True)
class Channels:
    """Which inputs of a task are cues, and which are distractors."""

    task: Task
    cues: int  # symbols; 0 for a number
    first: int  # of the distractors
    count: int
    flagged: int | None  # the input that marks a cue

    def flag(self, x_BTI: Tensor) -> Tensor:
        """1 where a cue is shown, (B, T, 1)."""
        if self.flagged is not None:
            return x_BTI[..., self.flagged : self.flagged + 1]
        return x_BTI[..., : self.cues].sum(-1, keepdim=True)

    def distractors(self, x_BTI: Tensor) -> Tensor:
        """The inputs with all but distractors set to zero."""
        busy_BTI = torch.zeros_like(x_BTI)
        busy_BTI[..., self.first : self.first + self.count] = x_BTI[..., self.first : self.first + self.count]
        return busy_BTI * (1 - self.flag(x_BTI)) if self.flagged is not None else busy_BTI


@dataclass
class Rules:
    """What happens to a memory m (C,) at each step; the defaults keep a cue for ever and answer with it.

    At each step m becomes `turn(A m)`, moved by distractors; then towards a distractor's code, then to that of a cue.
    """

    A_CC: Floats
    code_IC: Floats  # of cues
    read_CO: Floats
    bias_O: Floats
    write: float = 1.0
    move_IC: Floats | None = None  # what a distractor adds
    over_IC: Floats | None = None  # what a distractor replaces the memory with,
    over_I: Floats | None = None  # and the share that it replaces
    angle_I: Floats | None = None  # how far a distractor turns the first two numbers of the memory
    clock: int | None = None  # the only number of steps after the cue at which the answer is right
    squash: Callable[[Tensor], Tensor] | None = None  # of the memory, after each step


class Slots(nn.Module):
    """A memory with these rules beside Q random tanh units, all mixed by a random rotation of the state.

    The units also see the cue, and forget it within some ten steps, unless it must not be written.
    """

    def __init__(
        self, rules: Rules, channels: Channels, units: int, rng: np.random.Generator, see_cues: bool = True
    ) -> None:
        super().__init__()
        self.rules, self.channels, self.units = rules, channels, units
        inputs, C = rules.code_IC.shape
        self.counts = int(rules.clock is not None)
        size = C + units + self.counts
        self.mix_SS = torch.from_numpy(np.linalg.qr(rng.normal(size=(size, size)))[0])
        loop_QQ = rng.normal(size=(units, units))
        self.loop_QQ = torch.from_numpy(FADES * loop_QQ / (np.linalg.norm(loop_QQ, 2) if units else 1.0))
        drive_IQ = 0.5 * rng.normal(size=(inputs, units))
        if not see_cues:
            drive_IQ[: max(1, channels.cues)] = 0.0
        self.drive_IQ = torch.from_numpy(drive_IQ)
        self.A_CC, self.read_CO = torch.from_numpy(rules.A_CC), torch.from_numpy(rules.read_CO)
        self.bias_O = torch.from_numpy(np.asarray(rules.bias_O, np.float64))

    def forward(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, O) and states (B, T, S)."""
        x_BTI = x_BTI.double()
        state_BS = x_BTI.new_zeros(len(x_BTI), len(self.mix_SS)) if state_BS is None else state_BS.double()
        C = len(self.A_CC)
        given = self._given(x_BTI)
        outputs, states = [], []
        for code_BC, drive_BQ, flag_B1, *moves in zip(*(each.unbind(1) for each in given), strict=True):
            m_BC, n_BQ, clock_B1 = torch.split(state_BS @ self.mix_SS.T, [C, self.units, self.counts], 1)
            m_BC = self._moved(m_BC @ self.A_CC, *moves)
            m_BC = m_BC * (1 - flag_B1 * min(1.0, self.rules.write)) + flag_B1 * code_BC
            m_BC = m_BC if self.rules.squash is None else self.rules.squash(m_BC)
            clock_B1 = torch.where(flag_B1 > 0, 0.0, clock_B1 + 0.01)
            n_BQ = torch.tanh(n_BQ @ self.loop_QQ + drive_BQ)
            state_BS = torch.cat([m_BC, n_BQ, clock_B1], 1) @ self.mix_SS
            outputs.append(self._answer(m_BC, clock_B1))
            states.append(state_BS)
        return torch.stack(outputs, 1), torch.stack(states, 1)

    def _given(self, x_BTI: Tensor) -> list[Tensor]:
        """What the inputs bring at every step: to the memory, to the other units, the mark of a cue, and moves."""
        rules, busy_BTI = self.rules, self.channels.distractors(x_BTI)
        code_BTC = x_BTI @ torch.from_numpy(rules.code_IC) * rules.write
        given = [code_BTC, x_BTI @ self.drive_IQ, self.channels.flag(x_BTI)]
        given += [torch.zeros_like(code_BTC) if rules.move_IC is None else busy_BTI @ torch.from_numpy(rules.move_IC)]
        if rules.over_I is not None and rules.over_IC is not None:
            shown_BTI = (busy_BTI.abs() > PRESENT).double()
            given += [
                (shown_BTI @ torch.from_numpy(rules.over_I))[..., None],
                busy_BTI @ torch.from_numpy(rules.over_IC),
            ]
        if rules.angle_I is not None:
            given += [(busy_BTI @ torch.from_numpy(rules.angle_I))[..., None]]
        return given

    def _moved(self, m_BC: Tensor, move_BC: Tensor, *more_B: Tensor) -> Tensor:
        """The memory after what the distractors do."""
        m_BC = m_BC + move_BC
        if self.rules.angle_I is not None:
            cos_B, sin_B = more_B[-1][:, 0].cos(), more_B[-1][:, 0].sin()
            turned = (cos_B * m_BC[:, 0] - sin_B * m_BC[:, 1], sin_B * m_BC[:, 0] + cos_B * m_BC[:, 1])
            m_BC = torch.cat([torch.stack(turned, 1), m_BC[:, 2:]], 1)
        if self.rules.over_I is not None:
            share_B1, other_BC = more_B[:2]
            m_BC = (1 - share_B1) * m_BC + share_B1 * other_BC
        return m_BC

    def _answer(self, m_BC: Tensor, clock_B1: Tensor) -> Tensor:
        output_BO = m_BC @ self.read_CO + self.bias_O
        if self.rules.clock is not None:
            on_B1 = (clock_B1 - 0.01 * self.rules.clock).abs() < 0.004
            wrong_BO = -output_BO if output_BO.shape[1] == 1 else output_BO.roll(1, 1)
            output_BO = torch.where(on_B1, output_BO, wrong_BO)
        return output_BO

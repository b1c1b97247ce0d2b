"""Networks that forget for a known reason, drawn at random, to test the diagnosis.

Shapes: I inputs, O outputs, C numbers of the memory, K symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from farback import tasks
from farback.measures.base import Floats
from farback.measures.known.check import Check
from farback.measures.known.forgetting_gates import gated
from farback.measures.known.forgetting_gradients import learnable_start, noisy_start, unlearnable
from farback.measures.known.slots import Channels, Rules, Slots
from farback.system.random_streams import stream
from farback.tasks.base import Task

SURE = 6.0  # scale of the logits
SEQUENCES = 256
SHARE = 0.95  # of the planted systems must be told apart


@dataclass(frozen=True)
class Planted:
    """A network that fails at a lag, and why.

    Attributes:
        system: (B, T, I), state -> outputs (B, T, O), states.
        trained: the lag at which it answers, if it is a timer.
        causes: one, or the two of a mixture.
        kind: which network it is.
        untrained: the network before training, if its gradient is known: noise if the cause is `not_learnable`.
    """

    system: nn.Module
    task: Task
    lag: int
    trained: int | None
    causes: tuple[str, ...]
    kind: str
    untrained: nn.Module | None = None


def channels(rng: np.random.Generator, lag: int, blank: bool = False, most: int = 8) -> Channels:
    """A task drawn at random of at most so many symbols, with distractors unless `blank` allows none."""
    K = int(rng.choice([symbols for symbols in (2, 3, 4, 8) if symbols <= most]))
    kinds = ["noise", "same", "flipflop", "hold", *(["blank"] if blank else [])]
    kind = str(rng.choice(kinds))
    if kind == "hold":
        return Channels(tasks.build({"name": "hold", "lag": lag}), 0, 0, 1, 1)
    if kind == "flipflop":
        return Channels(tasks.build({"name": "flipflop", "symbols": K, "lag": lag}), K, 0, K, K)
    recall = {"name": "recall", "symbols": K, "lag": lag, "filler": kind}
    if kind == "noise":
        D = int(rng.integers(max(3, K), 11))
        return Channels(tasks.build({**recall, "distractors": D}), K, K, D, None)
    return Channels(tasks.build(recall), K, 0, K if kind == "same" else 0, K if kind == "same" else None)


def kept(own: Channels, rng: np.random.Generator) -> Rules:
    """A memory that keeps the cue for ever and answers with it."""
    inputs = own.task.inputs
    if not own.cues:
        code_IC = np.zeros((inputs, 1))
        code_IC[0] = 1
        return Rules(np.eye(1), code_IC, np.eye(1), np.zeros(1))
    K = own.cues
    code_KK = np.linalg.qr(rng.normal(size=(K, K)))[0]
    code_IC = np.zeros((inputs, K))
    code_IC[:K] = code_KK
    return Rules(np.eye(K), code_IC, SURE * code_KK.T, np.zeros(K))


def centred(own: Channels, width: int, scale: float, rng: np.random.Generator, turn_CC: Floats | None = None) -> Floats:
    """What distractors do, (I, width): mean 0 over distractors, and this root mean square.

    Of a memory, they move it within the space of the cues, where no probe can ignore them.
    """
    value_IC = np.zeros((own.task.inputs, width))
    drawn: Floats = rng.normal(size=(own.count, width))
    if width == own.cues:
        drawn -= drawn.mean(1, keepdims=True)
    if own.count > 1:
        drawn -= drawn.mean(0)
    left, size, right = np.linalg.svd(drawn, full_matrices=False)
    drawn = left[:, size > 1e-9] @ right[size > 1e-9]  # equal in all directions: a probe finds no quiet one
    drawn = drawn @ turn_CC if turn_CC is not None else drawn
    value_IC[own.first : own.first + own.count] = scale * drawn / math.sqrt(np.square(drawn).sum(1).mean())
    return value_IC


def walk(own: Channels, rules: Rules, ratio: float, lag: int, rng: np.random.Generator) -> None:
    """Let distractors move the memory, at the lag by about `ratio` times the size of a cue in every direction."""
    ratio *= math.sqrt(max(1, own.cues - 1))
    rules.move_IC = centred(own, len(rules.A_CC), ratio / math.sqrt(lag), rng, codes(own, rules))


def codes(own: Channels, rules: Rules) -> Floats | None:
    """The codes of the symbols, (K, K); None for a number."""
    return rules.code_IC[: own.cues] if own.cues else None


def doubt(rules: Rules, rng: np.random.Generator) -> None:
    """Let the answer need a clear separation: without it, always the same symbol."""
    K = len(rules.bias_O)
    if K > 1:
        rules.bias_O = 0.3 * SURE * rng.permutation(K) / (K - 1)


def leak(rules: Rules, amount: float, lag: int) -> None:
    """Let the memory shrink by exp(-amount) within the lag."""
    rules.A_CC = rules.A_CC * math.exp(-amount / lag)


def overwrite(own: Channels, rules: Rules, amount: float, lag: int, rng: np.random.Generator) -> None:
    """Let distractors replace the memory, so that exp(-amount) of it is left at the lag."""
    C = len(rules.A_CC)
    rules.over_I = np.zeros(own.task.inputs)
    which = slice(own.first, own.first + own.count)
    each = 1 - math.exp(-amount / lag)
    kind = int(rng.integers(3))
    chosen = rng.random(own.count) < max(0.3, each * 2)
    chosen[rng.integers(own.count)] = True
    whole = kind == 0 and own.cues and own.task.name != "hold"
    rules.over_I[which] = np.where(chosen, 1.0, 0.0) if whole else each
    rules.over_IC = np.zeros((own.task.inputs, C)) if kind == 2 else centred(own, C, 1.0, rng, codes(own, rules))
    doubt(rules, rng)


def unread(own: Channels, rules: Rules, rng: np.random.Generator) -> None:
    """Let the answer not depend on the memory."""
    rules.read_CO = 0 * rules.read_CO
    rules.bias_O = 0.1 * rng.normal(size=len(rules.bias_O))


def register(rules: Rules, slots: int, last: bool) -> None:
    """Let the memory be a buffer of so many steps, of which all or the last are read."""
    C = len(rules.A_CC)
    rules.A_CC = np.asarray(np.kron(np.eye(slots, k=1), np.eye(C)))
    rules.code_IC = np.asarray(np.pad(rules.code_IC, ((0, 0), (0, C * (slots - 1)))))
    rules.read_CO = np.asarray(np.vstack([rules.read_CO * (not last)] * (slots - 1) + [rules.read_CO]), np.float64)


def slots_of(cause: str, lag: int, rng: np.random.Generator) -> tuple[Channels, Rules, int | None]:
    """A task, and rules for one cause; and the lag at which a timer answers."""
    own = channels(rng, lag, cause in ("not_written", "decays", "not_read"), 4 if cause == "drifts" else 8)
    rules, trained, kind = kept(own, rng), None, int(rng.integers(3))
    if cause == "not_written":
        rules.write = float([0.0, 1e-6, 0.0][kind])
        doubt(rules, rng)
        if kind == 2 and own.count:  # the distractors are written instead
            overwrite(own, rules, 3.0, lag, rng)
    elif cause == "decays":
        if kind == 2:
            register(rules, int(rng.integers(2, max(3, lag * 3 // 4))), last=False)
            doubt(rules, rng)  # else rounding errors, which depend on the cue, decide
        else:
            leak(rules, rng.uniform(4, 7), lag)
            doubt(rules, rng)
            if kind == 1 and own.count:
                walk(own, rules, rng.uniform(0.2, 0.6), lag, rng)
    elif cause == "drifts":
        if kind == 2 and own.cues in (2, 3):
            angle = 2 * math.pi * np.arange(own.cues) / own.cues
            code_KC = np.zeros((own.cues, len(rules.A_CC)))
            code_KC[:, :2] = np.stack([np.cos(angle), np.sin(angle)], 1)
            rules.code_IC[: own.cues], rules.read_CO = code_KC, SURE * code_KC.T
            rules.angle_I = centred(own, 1, rng.uniform(2.5, 4) / math.sqrt(lag), rng)[:, 0]
        else:
            walk(own, rules, rng.uniform(1.6, 2.4), lag, rng)
            rules.A_CC = rules.A_CC * (math.exp(0.5 / lag) if kind == 1 else 1.0)
    elif cause == "overwritten":
        overwrite(own, rules, rng.uniform(4, 7), lag, rng)
    elif cause == "not_read":
        if kind == 0 and own.cues:
            rules.read_CO = np.roll(rules.read_CO, 1, 1)
        else:
            unread(own, rules, rng)
    elif cause == "timer":
        trained = int(rng.choice([round(lag * 0.7), lag - 2, lag + 2, round(lag * 1.4)]))
        if kind == 2:
            trained = lag + abs(trained - lag)  # a shorter buffer has lost the cue
            register(rules, trained + 1, last=True)
            doubt(rules, rng)
        else:
            rules.clock = trained
    elif kind == 0:
        rules.squash = lambda m: m + m**3
    elif kind == 1:
        rules.squash = lambda m: torch.tanh(m + 30)
    else:
        rules.squash = lambda m: torch.relu(m - 30)
    return own, rules, trained


MIXED = (
    ("decays", "overwritten"),
    ("decays", "drifts"),
    ("decays", "not_read"),
    ("drifts", "not_read"),
    ("overwritten", "not_read"),
    ("not_written", "overwritten"),
)
SINGLE = ("not_written", "decays", "drifts", "overwritten", "not_read", "timer", "saturated", "not_learnable")
FORGETS = ("not_written", "decays", "overwritten")  # some of these have a start that can learn, as controls


def mixed_slots(causes: tuple[str, str], lag: int, rng: np.random.Generator) -> tuple[Channels, Rules]:
    """A task, and rules for two causes of about equal size."""
    own = channels(rng, lag, most=4 if "drifts" in causes else 8)
    if "not_written" in causes:
        own = Channels(tasks.build({"name": "recall", "symbols": 4, "lag": lag}), 4, 4, 4, None)
    rules = kept(own, rng)
    if causes == ("decays", "overwritten"):
        amount = rng.uniform(2.5, 3.5)
        leak(rules, amount, lag)
        overwrite(own, rules, amount, lag, rng)
        rules.over_I = np.zeros(own.task.inputs)
        rules.over_I[own.first : own.first + own.count] = 1 - math.exp(-amount / lag)
        return own, rules
    if causes == ("decays", "drifts"):
        leak(rules, 1.6, lag)
        walk(own, rules, rng.uniform(2.5, 3.5), lag, rng)
        return own, rules
    if "not_written" in causes:
        rules.code_IC[2:4] = rules.code_IC[0:2]
    if "decays" in causes:
        leak(rules, rng.uniform(4, 6), lag)
    if "drifts" in causes:
        walk(own, rules, rng.uniform(1.6, 2.4), lag, rng)
    if "overwritten" in causes:
        overwrite(own, rules, rng.uniform(4, 7), lag, rng)
    if "not_read" in causes:
        unread(own, rules, rng)
    return own, rules


def planted(rng: np.random.Generator, number: int) -> Planted:
    """The network with this number: all causes in turn, of random task, size and constants."""
    kinds: list[tuple[str, ...]] = [*((cause,) for cause in SINGLE), *MIXED]
    causes = kinds[number % len(kinds)]
    lag = round(2 ** rng.uniform(math.log2(20), math.log2(60))) + (20 if "drifts" in causes else 0)
    if causes == ("not_learnable",):
        noise = unlearnable(lag, rng)
        return Planted(noise.end, noise.task, lag, None, causes, noise.kind, noise.start)
    units = int(rng.integers(0, 25)) if causes != ("saturated",) else 0
    if len(causes) == 1 and rng.random() < 0.4 and (module := gated(causes[0], lag, rng)) is not None:
        K, start = module.task.answer.outputs, None
        if causes[0] in FORGETS:
            start = learnable_start(module.task, K, module.task.inputs - K, rng)
        elif causes[0] == "not_read" and not isinstance(module.rnn, nn.LSTM):  # whose shut gate leaves rounding alone
            start = noisy_start(module.task, rng)
        return Planted(module.double(), module.task, lag, None, causes, type(module.rnn).__name__, start)
    if len(causes) == 1:
        own, rules, trained = slots_of(causes[0], lag, rng)
    else:
        (own, rules), trained = mixed_slots((causes[0], causes[1]), lag, rng), None
    return Planted(Slots(rules, own, units, rng, "not_written" not in causes), own.task, lag, trained, causes, "slots")


def told(one: Planted, diagnosis: Callable[..., Any], seed: int = 0) -> bool:
    """Whether a diagnosis names exactly the causes."""
    options = {"trained": one.trained or one.lag, "untrained": one.untrained, "sequences": SEQUENCES, "seed": seed}
    found = diagnosis(one.system, one.task, one.lag, **options)
    return set(found.shares) == set(one.causes) and found.cause in one.causes


def cases(measures: Any) -> Iterator[Check]:
    """A leaky memory and one that distractors move at random, whose curves have closed forms."""
    hold, a, gain, lag = tasks.build({"name": "hold"}), 0.9, 0.5, 48
    own = Channels(hold, 0, 0, 1, 1)
    for name, keep, moved in ((f"leaky memory, a = {a}", a, 0.0), (f"random walk, gain {gain}", 1.0, gain)):
        rules = kept(own, stream(0, "calibrate", "codes"))
        rules.A_CC = keep * rules.A_CC
        rules.move_IC = moved * rules.code_IC
        found = measures.diagnosis(Slots(rules, own, 0, stream(0, "calibrate", "mix")), hold, lag, trained=lag)
        curve = found.evidence.separation
        yield Check(name, "diagnosis", "separation at lag 40: a^k", keep**40, curve[40] / curve[0])
        if moved:
            ratio = 1 / (moved * math.sqrt(lag - 1))
            off = ratio * 4 * math.sqrt(2 / SEQUENCES)
            yield Check(
                name, "diagnosis", "separation / spread: 1 / (g sqrt(k - 1))", ratio, found.distinguishability, off
            )
        cause = "drifts" if moved else "decays"
        yield Check(name, "diagnosis", f"share of {cause}", 1.0, found.shares.get(cause, 0.0))


def check_diagnosis(measures: Any, count: int = 100) -> list[Check]:
    """The share of planted networks whose causes, one or two, are named exactly."""
    rng = stream(0, "calibrate", "diagnosis")
    right = [told(planted(rng, number), measures.diagnosis, number) for number in range(count)]
    system, quantity = f"{count} networks that forget", "causes told apart, 0.95 or more"
    return [Check(system, "diagnosis", quantity, 1.0, float(np.mean(right)), 1 - SHARE + 1e-9)]

"""Dropout during training: random masks of one update, each replica's from random streams of its own.

The masks of an update depend only on the trial's seed and the number of the update, so a resumed trial draws the masks
of one that never stopped. Kept values are divided by the probability to be kept, as in PyTorch. Evaluation has no
dropout.

Shapes: R replicas, T steps, B sequences, P parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from farback.system.random_streams import stream
from farback.trials.trial import Trial


def layer_masks(trials: Sequence[Trial], count: int, steps: int, sequences: int) -> tuple[Tensor, ...]:
    """For each layer but the top one, the factors of its outputs, (R, T, B, width); empty without dropout.

    Every value of every step is dropped independently, as by `dropout` of `torch.nn.LSTM`.
    """
    first = trials[0].architecture
    if not trials[0].dropout:
        return ()
    width = first.hidden * first.directions
    shape = (first.depth - 1, steps, sequences * first.sites, width)
    drawn = [stream(trial.seed, "dropout", count).random(shape, dtype=np.float32) for trial in trials]
    return _factors(np.stack(drawn, 1), trials[0].dropout).unbind()


def weight_mask(trials: Sequence[Trial], count: int) -> Tensor | None:
    """The factors of the parameters, (R, P): 1 but for recurrent weights; None without recurrent dropout.

    One mask holds for all steps and sequences of an update (DropConnect, Merity et al. 2018, section 2).
    """
    if not trials[0].recurrent_dropout:
        return None
    layout = trials[0].architecture.layout
    mask_RP = torch.ones(len(trials), sum(math.prod(shape) for shape, _, _ in layout.values()))
    rngs = [stream(trial.seed, "recurrent dropout", count) for trial in trials]
    for name, (shape, _, start) in layout.items():
        if name.startswith("weight_hh"):
            size = math.prod(shape)
            drawn = np.stack([rng.random(size, dtype=np.float32) for rng in rngs])
            mask_RP[:, start : start + size] = _factors(drawn, trials[0].recurrent_dropout)
    return mask_RP


def _factors(drawn: np.ndarray, rate: float) -> Tensor:
    """0 with probability `rate`, otherwise 1 / (1 - rate), from uniform random numbers."""
    return torch.from_numpy(drawn >= rate).float() / (1 - rate)

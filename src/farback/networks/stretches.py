"""Long sequences in stretches of steps that carry the state, in memory for one stretch.

Shapes: R replicas, T steps, B sequences, I inputs, H outputs of the top layer, N selected outputs.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from farback.kernels.symbols import Symbols, steps_of
from farback.networks.network import Network

LONG = 4096  # steps; the shortest sequences that run whole, with the bits of earlier releases, end here
UNIT = 1024  # steps: a stretch is the square root of T, up to a multiple of this

Span = tuple[int, int]  # the first step, and the one after the last


def fits(network: Network, steps: int) -> bool:
    """Whether sequences of so many steps run in stretches: they are long, and the network resumes from a state."""
    is_plain = network.seeds is None and network.truncate is None
    return steps > LONG and is_plain and not network.architecture.no_full_state


def spans(steps: int) -> list[Span]:
    """The stretches of a sequence."""
    length = -(-math.isqrt(steps - 1) // UNIT) * UNIT
    return [(first, min(steps, first + length)) for first in range(0, steps, length)]


def outputs(network: Network, x: Tensor | Symbols, index_RN: Tensor) -> Tensor:
    """The outputs of the top layer at these of the T * B steps, (R, N, H), without a gradient."""
    (R, T, B, _), N = x.shape, index_RN.shape[1]
    h_RNH, state = None, network.initial(steps_of(x, 0, 1))
    for first, last in spans(T):
        h_RTBH, state = network.run(steps_of(x, first, last), state)
        if h_RNH is None:
            h_RNH = h_RTBH.new_empty(R, N, h_RTBH.shape[-1])
        for r, (begin, end) in enumerate(bounds(index_RN, first * B, last * B)):
            at_N = index_RN[r, begin:end]
            h_RNH[r, begin:end] = h_RTBH[r, at_N // B - first, at_N % B]
        del h_RTBH  # before those of the next stretch are made
    assert h_RNH is not None
    return h_RNH


def part_of(network: Network, span: Span) -> Network:
    """The network with the dropout of these steps."""
    return replace(network, masks=tuple(mask[:, slice(*span)] for mask in network.masks))


def bounds(index_RN: Tensor, first: int, last: int) -> list[tuple[int, int]]:
    """Where the indices from `first` to before `last` stand in each replica's increasing row."""
    ends_R2 = index_RN.new_tensor([first, last]).expand(len(index_RN), 2).contiguous()
    return [(int(begin), int(end)) for begin, end in torch.searchsorted(index_RN.contiguous(), ends_R2).tolist()]

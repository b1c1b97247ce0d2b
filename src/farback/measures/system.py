"""One face for every network that is measured.

A system is a `torch.nn.RNN`, `LSTM` or `GRU` (any depth, either layout), a farback network, or a callable
`x_BTI -> (output_BTO, state_BTS)`. What is measured sees only that callable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from farback.network import Network

System = Callable[[Tensor], tuple[Tensor, Tensor]]


def as_system(system: Any) -> System:
    """The callable behind a system: outputs (B, T, O) and states (B, T, S) of a batch (B, T, I).

    The outputs of a `torch.nn` module are its top layer's; those of a farback network its readout's, where it has one.

    Raises:
        ValueError: not a system, or a farback network of several replicas.
    """
    if isinstance(system, Network):
        return _network(system)
    if isinstance(system, nn.RNNBase):
        return _module(system)
    if callable(system):
        return cast(System, system)
    raise ValueError(
        f"a system is a torch.nn.RNN, LSTM or GRU, a farback network, or a callable x_BTI -> (output, state); "
        f"got {type(system).__name__}"
    )


def _network(network: Network) -> System:
    if network.replicas != 1:
        raise ValueError(f"a system is one network, this has {network.replicas} replicas: use replica(r)")

    def call(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        h_RTBH = network.run(x_BTI.transpose(0, 1).unsqueeze(0))[0]
        T, B = h_RTBH.shape[1:3]
        state_BTS = h_RTBH[0].transpose(0, 1)
        if not network.architecture.outputs:
            return state_BTS, state_BTS
        return network.readout(h_RTBH.reshape(1, T * B, -1)).view(T, B, -1).transpose(0, 1), state_BTS

    return call


def _module(module: nn.RNNBase) -> System:
    def call(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        output, _ = module(x_BTI if module.batch_first else x_BTI.transpose(0, 1))
        state_BTS: torch.Tensor = output if module.batch_first else output.transpose(0, 1)
        return state_BTS, state_BTS

    return call

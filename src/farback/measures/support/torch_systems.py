"""farback networks and `torch.nn.RNN`, `LSTM` and `GRU` as systems. Shapes: see `farback.measures.support.system`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from farback.measures.support.interface import BIDIRECTIONAL, System
from farback.networks.module_copies import copied
from farback.networks.network import Network, NetworkState


def require_single(network: Network) -> None:
    """Raise ValueError unless the network has exactly one replica."""
    if network.replicas != 1:
        raise ValueError(f"a measure takes one network, got {network.replicas} replicas: choose one with .replica(r)")


class NetworkSystem(System):
    """A farback network of one replica."""

    def __init__(self, network: Network) -> None:
        require_single(network)
        values = {name: _usable(value) for name, value in network.parameters.items()}
        self.network = Network(network.architecture, values)
        self.inputs = network.architecture.inputs
        self.dtype = next((value.dtype for value in network.parameters.values()), None)

    @override
    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        return self._run(x_BTI, None)[:2]

    @override
    def unresumable(self, x_BTI: Tensor) -> str:
        a = self.network.architecture
        return BIDIRECTIONAL if a.bidirectional else a.no_full_state

    @override
    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output_BTO, _, state_BS = self.resume(x_BTI, state_BS)
        return output_BTO, state_BS

    def resume(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (B, T, O), the states that they are computed from, (B, T, H), and the full state after the last step.

        Raises:
            ValueError: as `carry`.
        """
        if reason := self.unresumable(x_BTI):
            raise ValueError(reason)
        output_BTO, state_BTH, after = self._run(x_BTI, state_BS)
        parts = [part[0] for layer in after for part in layer]
        real = [torch.view_as_real(part) if part.is_complex() else part for part in parts]
        return output_BTO, state_BTH, torch.cat([part.reshape(x_BTI.shape[0], -1) for part in real], 1)  # of all sites

    @override
    def double(self) -> NetworkSystem:
        double = NetworkSystem(self.network.to(torch.float64))
        double.dtype = torch.float64  # a network without parameters would use the precision of the inputs
        return double

    def _run(self, x_BTI: Tensor, state_BS: Tensor | None) -> tuple[Tensor, Tensor, NetworkState]:
        x_RTBI = self.cast(x_BTI).transpose(0, 1).unsqueeze(0)
        before = None if state_BS is None else self._state(x_RTBI, state_BS)
        h_RTBH, after = self.network.run(x_RTBI, before)
        T, B = h_RTBH.shape[1:3]
        state_BTS = h_RTBH[0].transpose(0, 1)
        if not self.network.architecture.outputs:
            return state_BTS, state_BTS, after
        output_BTO = self.network.readout(h_RTBH.reshape(1, T * B, -1)).view(T, B, -1).transpose(0, 1)
        return output_BTO, state_BTS, after

    def _state(self, x_RTBI: Tensor, state_BS: Tensor) -> NetworkState:
        """The flat state, split into the parts of each layer's state."""
        like = self.network.initial(x_RTBI)
        sites = self.network.architecture.sites
        sizes = [sites * part[0, 0].numel() * (2 if part.is_complex() else 1) for layer in like for part in layer]
        flat = iter(torch.split(_checked(state_BS, x_RTBI.shape[2], sum(sizes)).to(x_RTBI.dtype), sizes, 1))

        def unflattened(part: Tensor) -> Tensor:
            values = next(flat)
            if not part.is_complex():
                return values.reshape(part.shape)
            return torch.view_as_complex(values.reshape(*part.shape, 2).contiguous())

        return tuple(tuple(unflattened(part) for part in layer) for layer in like)


class ModuleSystem(System):
    """A copy of a module in evaluation mode, in the precision `dtype` if given."""

    def __init__(self, module: nn.RNNBase, dtype: torch.dtype | None = None) -> None:
        self.module = copied(module, dtype)
        self.inputs = module.input_size
        self.dtype = next(self.module.parameters()).dtype

    @override
    def __call__(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        state_BTS = self._run(x_BTI, None)[0]
        return state_BTS, state_BTS

    @override
    def unresumable(self, x_BTI: Tensor) -> str:
        return BIDIRECTIONAL if self.module.bidirectional else ""

    @override
    def carry(self, x_BTI: Tensor, state_BS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.module.bidirectional:
            raise ValueError(BIDIRECTIONAL)
        output_BTO, last = self._run(x_BTI, None if state_BS is None else self._state(len(x_BTI), state_BS))
        parts = last if isinstance(last, tuple) else (last,)
        return output_BTO, torch.cat([part[layer] for layer in range(self.module.num_layers) for part in parts], 1)

    @override
    def double(self) -> System:
        return ModuleSystem(self.module, torch.float64)

    def _run(self, x_BTI: Tensor, state: Any) -> tuple[Tensor, Any]:
        x = self.cast(x_BTI)
        output, last = self.module(x if self.module.batch_first else x.transpose(0, 1), state)
        return output if self.module.batch_first else output.transpose(0, 1), last

    def _state(self, batch: int, state_BS: Tensor) -> Any:
        """The flat state as torch's (L, B, H), with (L, B, C) for an LSTM."""
        module = self.module
        widths = [module.proj_size or module.hidden_size]
        if isinstance(module, nn.LSTM):
            widths.append(module.hidden_size)
        flat = _checked(state_BS, batch, sum(widths) * module.num_layers).to(self.dtype)
        layers_BLS = flat.view(batch, module.num_layers, sum(widths))
        parts = [part.transpose(0, 1).contiguous() for part in torch.split(layers_BLS, widths, -1)]
        return parts[0] if len(parts) == 1 else tuple(parts)


def _usable(value: Tensor) -> Tensor:
    """The tensor, or a copy of one made in inference mode, which cannot take part in a gradient."""
    return value.clone() if value.is_inference() else value


def _checked(state_BS: Tensor, batch: int, size: int) -> Tensor:
    if state_BS.shape != (batch, size):
        raise ValueError(f"the full state of {batch} sequences is ({batch}, {size}); got {tuple(state_BS.shape)}")
    return state_BS

"""A network (encoder, stack of cells, readout), and R replicas of a network, stacked in tensors.

Shapes: R replicas, T steps, B sequences, I inputs, H hidden units, D directions, O outputs, S sites (1, except for an
encoder that gives every pixel its own hidden units). Parameters are a dict of tensors with the replicas as first axis,
named as in `torch.nn.RNN` (`weight_ih_l0`, `bias_hh_l1_reverse`); other names are `readout.weight`, `readout.bias`,
`encoder.*` and `initial.*`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from farback import cells
from farback.cells.base import State
from farback.inits.base import Init
from farback.kernels.unroll import layer, product, selected
from farback.networks.architecture import Architecture as Architecture
from farback.networks.module_copies import plain
from farback.system.random_streams import stream

NetworkState = tuple[State, ...]  # one per layer and direction, in the order of `Architecture.layers`


@dataclass(frozen=True)
class Network:
    """An architecture with the parameters of R replicas.

    `seeds` are given in training, one for each replica: of the random numbers that its cells draw, as dropout does.
    """

    architecture: Architecture
    parameters: dict[str, Tensor]
    masks: tuple[Tensor, ...] = ()  # of dropout: factors of the outputs of each layer but the top one, (R, T, B*S, D*H)
    truncate: int | None = None  # steps of truncated back-propagation
    seeds: tuple[int, ...] | None = None

    @property
    def replicas(self) -> int:
        """R; 1 for a network without parameters."""
        return next((int(value.shape[0]) for value in self.parameters.values()), 1)

    def to(self, dtype: torch.dtype) -> Network:
        """The same parameters in another precision, detached."""
        return replace(self, parameters={name: value.detach().to(dtype) for name, value in self.parameters.items()})

    def replica(self, index: int) -> Network:
        """A network of one replica only."""
        return replace(self, parameters={name: value[index : index + 1] for name, value in self.parameters.items()})

    def initial(self, x_RTBI: Tensor) -> NetworkState:
        """The state before the first step."""
        a, (R, _, B, _) = self.architecture, x_RTBI.shape
        like = x_RTBI.new_zeros(R, B * a.sites, a.hidden)
        zeros = [(place, a.cell.initial(like, place.inputs)) for place in a.layers()]
        if not a.learned_state:
            return tuple(zero for _, zero in zeros)
        return tuple(
            tuple(part + self.parameters[f"initial.{i}{place.suffix}"].unsqueeze(1) for i, part in enumerate(zero))
            for place, zero in zeros
        )

    def encoded(self, x_RTBI: Tensor) -> Tensor:
        """The inputs of the first layer."""
        encoder = self.architecture.encoder
        p = {name: self.parameters[f"encoder.{name}"] for name in encoder.parameters(self.architecture.inputs)}
        return self.architecture.encoder.encode(p, x_RTBI)

    def run(
        self, x_RTBI: Tensor, state: NetworkState | None = None, index_RN: Tensor | None = None
    ) -> tuple[Tensor, NetworkState]:
        """Outputs of the top layer at every step, (R, T, B, S*D*H), and the state after the last step.

        Starts from `state`, by default the initial state. With `index_RN`, increasing indices into the T*B outputs,
        only these outputs are returned, (R, N, S*D*H).

        Raises:
            ValueError: a `state` for a bidirectional network.
        """
        architecture = self.architecture
        R, T, B = x_RTBI.shape[:3]
        if state is not None and architecture.unresumable:
            raise ValueError(architecture.unresumable)
        before = self.initial(x_RTBI) if state is None else state
        x_RTBI = self.encoded(x_RTBI)
        kernel_index = index_RN if architecture.directions == architecture.sites == 1 else None  # selects in the kernel
        after, outputs = [], []
        for index, (place, names) in enumerate(architecture.stack):
            p = {name: self.parameters[name + place.suffix] for name in names}
            source_RTBI = x_RTBI.flip(1) if place.reverse else x_RTBI
            top = kernel_index if index == len(architecture.stack) - 1 else None
            seeds = None if self.seeds is None else [(seed + index) % 2**63 for seed in self.seeds]
            cell = architecture.cell.sized(place.inputs, architecture.hidden, seeds)
            output_RTBH, last = layer(cell, p, source_RTBI, before[index], top, self.truncate)
            outputs.append(output_RTBH.flip(1) if place.reverse else output_RTBH)
            after.append(last)
            if len(outputs) == architecture.directions:
                x_RTBI = torch.cat(outputs, -1) if architecture.bidirectional else outputs[0]
                outputs, mask = [], self.masks[index // architecture.directions :][:1]
                x_RTBI = x_RTBI * mask[0] if mask else x_RTBI
        if kernel_index is not None:
            return x_RTBI, tuple(after)
        x_RTBI = x_RTBI.reshape(R, T, B, -1)
        return x_RTBI if index_RN is None else selected(x_RTBI, index_RN), tuple(after)

    def readout(self, h_RNH: Tensor) -> Tensor:
        """The answers, (R, N, O), from outputs of the top layer."""
        R, N, width = h_RNH.shape
        h_RMH = h_RNH.reshape(R, N * self.architecture.sites, width // self.architecture.sites)
        return product(h_RMH, self.parameters["readout.weight"], self.parameters["readout.bias"]).view(R, N, -1)


def draw(
    architecture: Architecture,
    inits: Sequence[Init],
    seeds: Sequence[int],
    lag: int,
    dtype: torch.dtype = torch.float32,
) -> Network:
    """R untrained replicas: `inits[r]` draws replica r with the random stream of `seeds[r]` for weights."""
    drawn = [architecture.draw(init, lag, stream(seed, "weights")) for init, seed in zip(inits, seeds, strict=True)]
    parameters = {
        name: torch.from_numpy(np.stack([values[name] for values in drawn])).to(dtype) for name in architecture.shapes()
    }
    return Network(architecture, parameters)


def from_torch(module: nn.Module) -> Network:
    """A network of one replica, without readout, with the parameters of a `torch.nn.RNN`, `LSTM` or `GRU`.

    Parametrized, pruned and weight-normed modules, and derived classes, are converted if a run gives equal outputs.

    Raises:
        ValueError: another module, dropout, projections, or other outputs, as by a `forward` of its own.
    """
    own = plain(module)
    if own.dropout:
        raise ValueError(f"dropout is {own.dropout}; from_torch converts networks without dropout: set it to 0")
    gated = {"LSTM": "lstm", "GRU": "gru"}.get(own.mode)
    cell = cells.build(gated or {"name": "elman", "nonlinearity": own.nonlinearity})
    architecture = Architecture(cell, own.input_size, own.hidden_size, 0, own.num_layers, own.bias, own.bidirectional)
    return Network(architecture, {name: getattr(own, name).detach()[None] for name in architecture.shapes()})


def to_torch(network: Network) -> nn.RNNBase:
    """The recurrent layers of a one-replica network as a `torch.nn` module (batch_first), with the same parameters.

    Raises:
        ValueError: several replicas, a learned initial state, or a cell or encoder that PyTorch does not have.
    """
    a = network.architecture
    if network.replicas != 1:
        raise ValueError(f"to_torch needs a single network, not {network.replicas} replicas: use network.replica(r)")
    if a.learned_state:
        raise ValueError("torch.nn modules start from zeros; this network has a learned initial state")
    if a.encoder.name != "identity":
        raise ValueError(f"torch.nn modules have no encoder; this network has {a.encoder.name}")
    with torch.random.fork_rng(devices=[]):  # the module draws initial parameters, which are replaced below
        module = a.cell.to_torch(a.inputs, a.hidden, a.depth, a.bias, a.bidirectional)
    own = {name: value[0].detach().clone() for name, value in network.parameters.items() if "readout" not in name}
    module = module.to(next(iter(own.values())).dtype)
    module.load_state_dict(own)
    return module


def states(network: Network, x_BTI: Tensor) -> Tensor:
    """Outputs of the top layer, (B, T, D*H), for x_BTI: (B, T, I); as `output` of `torch.nn.RNN(batch_first=True)`.

    Raises:
        ValueError: the network has several replicas.
    """
    if network.replicas != 1:
        raise ValueError(f"states needs a single network, not {network.replicas} replicas: use network.replica(r)")
    x_RTBI = x_BTI.transpose(0, 1).unsqueeze(0)
    return network.run(x_RTBI)[0][0].transpose(0, 1)

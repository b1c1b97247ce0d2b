"""A network (encoder, stack of cells, readout), and R replicas of a network, stacked in tensors.

Shapes: R replicas, T steps, B sequences, I inputs, H hidden units, D directions, O outputs, S sites (1, except for an
encoder that gives every pixel its own hidden units). Parameters are a dict of tensors with the replicas as first axis,
named as in `torch.nn.RNN` (`weight_ih_l0`, `bias_hh_l1_reverse`); other names are `readout.weight`, `readout.bias`,
`encoder.*`, `initial.*`, `projection.*` and `block.*`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from farback import cells
from farback.cells.base import State, linear
from farback.inits.base import Init
from farback.kernels.unroll import layer, product, selected
from farback.networks.architecture import Architecture as Architecture
from farback.networks.block import NO_BLOCK, Run, of_layer
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
        zeros = [(place, a.initial(like, place)) for place in a.layers()]
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
        x_RTBI = encoder.encode(p, x_RTBI)
        if not self.architecture.block.projects:
            return x_RTBI
        return linear(x_RTBI, self.parameters["projection.weight"], self.parameters.get("projection.bias"))

    def run(
        self,
        x_RTBI: Tensor,
        state: NetworkState | None = None,
        index_RN: Tensor | None = None,
        unrolled: Run = layer,
    ) -> tuple[Tensor, NetworkState]:
        """Outputs of the top layer at every step, (R, T, B, S*D*H), and the state after the last step.

        Starts from `state`, by default the initial state. With `index_RN`, increasing indices into the T*B outputs,
        only these outputs are returned, (R, N, S*D*H). `unrolled` runs each cell over its sequence.

        Raises:
            ValueError: a `state` for a bidirectional network.
        """
        a = self.architecture
        R, T, B = x_RTBI.shape[:3]
        if state is not None and a.unresumable:
            raise ValueError(a.unresumable)
        before = self.initial(x_RTBI) if state is None else state
        x_RTBI = self.encoded(x_RTBI)
        top_index = index_RN if a.directions == a.sites == 1 else None  # outputs are selected in the kernel
        after: list[State] = []
        for depth in range(a.depth):
            is_top = depth == a.depth - 1
            x_RTBI, last = self._layer(depth, x_RTBI, before, top_index if is_top else None, unrolled)
            after += last
            x_RTBI = x_RTBI * self.masks[depth] if self.masks and not is_top else x_RTBI
        if top_index is not None:
            return x_RTBI, tuple(after)
        x_RTBI = x_RTBI.reshape(R, T, B, -1)
        return x_RTBI if index_RN is None else selected(x_RTBI, index_RN), tuple(after)

    def _layer(
        self, depth: int, x_RTBI: Tensor, before: NetworkState, index_RN: Tensor | None, unrolled: Run
    ) -> tuple[Tensor, list[State]]:
        """Outputs (R, T, B*S, D*H) of a layer, or (R, N, H) at the indices, and the last state of each direction."""
        a, first = self.architecture, depth * self.architecture.directions
        block, around = a.block, of_layer(self.parameters, a.block_names[f"_l{depth}"], f"_l{depth}")
        n_RTBI = block.normed("norm", around, x_RTBI)
        outputs, after = [], []
        for index, (place, names) in enumerate(a.stack[first : first + a.directions], first):
            p = {name: self.parameters[name + place.suffix] for name in names}
            source_RTBI = n_RTBI.flip(1) if place.reverse else n_RTBI
            seeds = None if self.seeds is None else [(seed + index) % 2**63 for seed in self.seeds]
            cell = a.cell.sized(place.inputs, a.hidden, seeds)
            own = of_layer(self.parameters, a.block_names[place.suffix], place.suffix)
            output_RTBH, last = block.mixed(own, cell, p, source_RTBI, before[index], index_RN, self.truncate, unrolled)
            outputs.append(output_RTBH.flip(1) if place.reverse else output_RTBH)
            after.append(last)
        output_RTBH = torch.cat(outputs, -1) if a.bidirectional else outputs[0]
        x_RTBI = selected(x_RTBI, index_RN) if block.residual and index_RN is not None else x_RTBI
        return block.finished(around, x_RTBI, output_RTBH), after

    def readout(self, h_RNH: Tensor) -> Tensor:
        """The answers, (R, N, O), from outputs of the top layer."""
        if not self.architecture.has_readout:
            return h_RNH
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
    if a.block != NO_BLOCK:
        raise ValueError(f"torch.nn modules have no block around the cell; this network has {a.block}")
    with torch.random.fork_rng(devices=[]):  # the module draws initial parameters, which are replaced below
        module = a.cell.to_torch(a.inputs, a.hidden, a.depth, a.bias, a.bidirectional)
    own = {name: value[0].detach().clone() for name, value in network.parameters.items() if "readout" not in name}
    module = module.to(next(iter(own.values())).dtype)
    module.load_state_dict(own)
    return module


def states(network: Network, x_BTI: Tensor) -> Tensor:
    """Outputs of the top layer, (B, T, D*H), for x_BTI: (B, T, I); as `output` of `torch.nn.RNN(batch_first=True)`.

    Raises:
        ValueError: not a network of farback, one of several replicas, or inputs of another shape.
    """
    if not isinstance(network, Network):
        raise ValueError(f"states takes a farback network, such as from_torch gives; got {type(network).__name__}")
    if network.replicas != 1:
        raise ValueError(f"states needs a single network, not {network.replicas} replicas: use network.replica(r)")
    inputs = network.architecture.inputs
    if not isinstance(x_BTI, Tensor) or x_BTI.dim() != 3 or x_BTI.shape[-1] != inputs:
        got = tuple(x_BTI.shape) if isinstance(x_BTI, Tensor) else type(x_BTI).__name__
        raise ValueError(f"x_BTI must be a tensor of shape (B, T, {inputs}); got {got}")
    x_RTBI = x_BTI.transpose(0, 1).unsqueeze(0)
    return network.run(x_RTBI)[0][0].transpose(0, 1)

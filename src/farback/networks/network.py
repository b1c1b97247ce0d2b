"""A network (encoder, stack of cells, readout), and R replicas of a network, stacked in tensors.

Shapes: R replicas, T steps, B sequences, I inputs, H hidden units, D directions, O outputs, S sites (1, except for an
encoder that gives every pixel its own hidden units). Parameters are a dict of tensors with the replicas as first axis,
named as in `torch.nn.RNN` (`weight_ih_l0`, `bias_hh_l1_reverse`); other names are `readout.weight`, `readout.bias`,
`encoder.*` and `initial.*`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from farback import cells, encoders
from farback.cells.base import Cell, State
from farback.encoders.base import Encoder
from farback.inits.base import Array, Init, Layer, uniform
from farback.kernels.unroll import layer, product, selected
from farback.networks.module_copies import plain
from farback.system.random_streams import stream

NO_ENCODER = encoders.build("identity")
NetworkState = tuple[State, ...]  # one per layer and direction, in the order of `Architecture.layers`


@dataclass(frozen=True)
class LayerPlace:
    """A layer's place in the stack: the suffix of its parameter names, its input width, and its direction."""

    suffix: str
    inputs: int
    reverse: bool


@dataclass(frozen=True)
class Architecture:
    """Everything that defines a network except the values of its parameters. `outputs = 0` means no readout."""

    cell: Cell
    inputs: int
    hidden: int
    outputs: int
    depth: int = 1
    bias: bool = True
    bidirectional: bool = False
    learned_state: bool = False
    encoder: Encoder = NO_ENCODER
    start: float = 0.0  # added to the initial bias of the readout; see `Answer.start`

    @property
    def sites(self) -> int:
        """S: the number of sites of an input with their own state and readout; their parameters are shared."""
        return self.encoder.sites(self.inputs)

    @property
    def directions(self) -> int:
        """D: 2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def layers(self) -> Iterator[LayerPlace]:
        """All layers from bottom to top, forward before reverse."""
        for depth in range(self.depth):
            width = self.hidden * self.directions if depth else self.encoder.width(self.inputs)
            yield LayerPlace(f"_l{depth}", width, False)
            if self.bidirectional:
                yield LayerPlace(f"_l{depth}_reverse", width, True)

    @functools.cached_property
    def layout(self) -> dict[str, tuple[tuple[int, ...], tuple[int, ...], int]]:
        """Shape, strides and offset of every parameter in a replica's flat parameter vector."""
        layout, start = {}, 0
        for name, shape in self.shapes().items():
            layout[name] = shape, tuple(math.prod(shape[i + 1 :]) for i in range(len(shape))), start
            start += math.prod(shape)
        return layout

    @functools.cached_property
    def starts(self) -> dict[str, int]:
        """The offset of every parameter of a single-layer network, by its name without the layer suffix."""
        return {name.removesuffix("_l0"): start for name, (_, _, start) in self.layout.items()}

    @functools.cached_property
    def stack(self) -> tuple[tuple[LayerPlace, tuple[str, ...]], ...]:
        """Every layer with the names of its parameters without the suffix; cached, because every update needs it."""
        return tuple((place, tuple(self.cell_shapes(place))) for place in self.layers())

    @functools.cached_property
    def is_single_layer(self) -> bool:
        """Whether the trained parameters are those of one forward layer and a readout, and nothing is frozen."""
        simple = self.encoder.name == "identity" and not (self.learned_state or self.bidirectional or self.frozen)
        return simple and self.depth == 1 and self.outputs > 0

    def cell_shapes(self, place: LayerPlace) -> dict[str, tuple[int, ...]]:
        """The shapes of one layer's parameters, by name without the suffix."""
        shapes = self.cell.parameters(place.inputs, self.hidden)
        return {name: shape for name, shape in shapes.items() if self.bias or not name.startswith("bias")}

    def state_shapes(self) -> list[tuple[int, ...]]:
        """The shape of each part of one layer's state, for one sequence."""
        return [tuple(part.shape[2:]) for part in self.cell.zero(torch.zeros(1, 1, self.hidden))]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter, without the replica axis."""
        shapes = {f"encoder.{name}": shape for name, shape in self.encoder.parameters(self.inputs).items()}
        for place in self.layers():
            shapes |= {name + place.suffix: shape for name, shape in self.cell_shapes(place).items()}
            if self.learned_state:
                shapes |= {f"initial.{i}{place.suffix}": shape for i, shape in enumerate(self.state_shapes())}
        if self.outputs:
            outputs = self.outputs // self.sites
            shapes |= {"readout.weight": (outputs, self.hidden * self.directions), "readout.bias": (outputs,)}
        return shapes

    def layer(self, place: LayerPlace, lag: int) -> Layer:
        """The description of a layer that initialisations use."""
        drawn = {n: shape for n, shape in self.cell_shapes(place).items() if n.startswith(("weight", "bias"))}
        return Layer(drawn, self.hidden, self.cell.gates, self.cell.keep, self.cell.write, lag)

    def check(self, init: Init) -> None:
        """Raise ValueError if encoder, cell, size and initialisation do not fit together."""
        self.encoder.check(self.inputs, self.outputs)
        for place in self.layers():
            self.cell.check(self.hidden, place.inputs)
            init.check(self.layer(place, lag=1))

    def draw(self, init: Init, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """One replica's initial parameters. `init` draws weights and biases of the cells; each cell draws its other
        parameters; encoder and readout are drawn as in PyTorch; learned initial states start at zero."""
        values: dict[str, Array] = {}
        encoder = self.encoder.parameters(self.inputs)
        for name, shape in encoder.items():
            fan_in = math.prod(encoder[name.replace("bias", "weight")][1:])
            values[f"encoder.{name}"] = rng.uniform(-(fan_in**-0.5), fan_in**-0.5, size=shape)
        for place in self.layers():
            drawn = init.draw(self.layer(place, lag), rng) | self.cell.special(self.hidden, lag, rng)
            values |= {name + place.suffix: value for name, value in drawn.items()}
        if self.outputs:
            shapes = {name: self.shapes()[name] for name in ("readout.weight", "readout.bias")}
            values |= uniform(Layer(shapes, self.hidden * self.directions, (), None, None, lag), rng)
            values["readout.bias"] += self.start
        return {name: values.get(name, np.zeros(shape)) for name, shape in self.shapes().items()}

    @functools.cached_property
    def frozen(self) -> frozenset[str]:
        """Names of the parameters that keep their initial values during training."""
        return frozenset(name + place.suffix for place in self.layers() for name in self.cell.frozen)

    @property
    def parameter_count(self) -> int:
        """The number of trained parameters."""
        return sum(math.prod(shape) for name, shape in self.shapes().items() if name not in self.frozen)

    @property
    def state_count(self) -> int:
        """The size of the state: how many numbers are carried from step to step."""
        return sum(math.prod(shape) for shape in self.state_shapes()) * self.depth * self.directions * self.sites

    @property
    def flops_per_step(self) -> int:
        """Multiplications and additions in one step of one sequence: two for each use of a weight. Biases,
        nonlinearities and products of gates (a few operations per unit) are not counted."""
        layers = sum(self.cell.flops(place.inputs, self.hidden) for place in self.layers())
        return self.encoder.flops(self.inputs) + layers * self.sites + 2 * self.outputs * self.hidden * self.directions

    @property
    def counts(self) -> dict[str, int]:
        """The three measures of size by which networks can be matched."""
        return {"parameters": self.parameter_count, "state": self.state_count, "flops": self.flops_per_step}


@dataclass(frozen=True)
class Network:
    """An architecture with the parameters of R replicas."""

    architecture: Architecture
    parameters: dict[str, Tensor]
    masks: tuple[Tensor, ...] = ()  # of dropout: factors of the outputs of each layer but the top one, (R, T, B*S, D*H)
    truncate: int | None = None  # steps of truncated back-propagation

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
        zero = a.cell.zero(x_RTBI.new_zeros(R, B * a.sites, a.hidden))
        if not a.learned_state:
            return tuple(zero for _ in a.layers())
        learned = [
            [self.parameters[f"initial.{i}{place.suffix}"].unsqueeze(1) for i in range(len(zero))]
            for place in a.layers()
        ]
        return tuple(tuple(part + value for part, value in zip(zero, values, strict=True)) for values in learned)

    def encoded(self, x_RTBI: Tensor) -> Tensor:
        """The inputs of the first layer."""
        encoder = {name[8:]: value for name, value in self.parameters.items() if name.startswith("encoder.")}
        return self.architecture.encoder.encode(encoder, x_RTBI)

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
        if state is not None and architecture.bidirectional:
            raise ValueError("a bidirectional network reads the whole sequence: it cannot resume from a state")
        before = self.initial(x_RTBI) if state is None else state
        x_RTBI = self.encoded(x_RTBI)
        kernel_index = index_RN if architecture.directions == architecture.sites == 1 else None  # selects in the kernel
        after, outputs = [], []
        for index, (place, names) in enumerate(architecture.stack):
            p = {name: self.parameters[name + place.suffix] for name in names}
            source_RTBI = x_RTBI.flip(1) if place.reverse else x_RTBI
            top = kernel_index if index == len(architecture.stack) - 1 else None
            output_RTBH, last = layer(architecture.cell, p, source_RTBI, before[index], top, self.truncate)
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

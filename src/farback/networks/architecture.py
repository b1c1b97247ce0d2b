"""The architecture of a network (encoder, stack of cells, readout): everything but the values of its parameters."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from farback import encoders
from farback.cells.base import Cell, State
from farback.encoders.base import Encoder
from farback.inits.base import Array, Init, Layer, uniform
from farback.networks import block as blocks
from farback.networks.block import NO_BLOCK, Block, Shapes

NO_INIT = "torch"  # the default: a cell that draws its own parameters keeps them
NO_ENCODER = encoders.build("identity")
SIZES = {"parameters": "parameter_count", "state": "state_count", "flops": "flops_per_step"}  # measures of size


@dataclass(frozen=True)
class LayerPlace:
    """A layer's place in the stack: the suffix of its parameter names, its input width, and its direction."""

    suffix: str
    inputs: int
    reverse: bool


@dataclass(frozen=True)
class Architecture:
    """Everything that defines a network except the values of its parameters. `outputs = 0` means no readout.

    `steps` is the length of the sequences for which states that grow are counted.
    """

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
    block: Block = NO_BLOCK
    steps: int = 1

    @property
    def sites(self) -> int:
        """S: the number of sites of an input with their own state and readout; their parameters are shared."""
        return self.encoder.sites(self.inputs)

    @property
    def has_readout(self) -> bool:
        """Whether a linear readout computes the answers from the outputs of the top layer."""
        return self.outputs > 0 and not self.cell.answers

    @property
    def directions(self) -> int:
        """D: 2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def width(self) -> int:
        """The number of outputs of each layer: H for each direction."""
        return self.hidden * self.directions

    def layers(self) -> Iterator[LayerPlace]:
        """All layers from bottom to top, forward before reverse."""
        for depth in range(self.depth):
            width = self.width if depth or self.block.projects else self.encoder.width(self.inputs)
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
    def is_plain_stack(self) -> bool:
        """Whether the parameters are those of forward layers and a readout, and all are trained."""
        simple = self.encoder.name == "identity" and not (self.learned_state or self.bidirectional or self.frozen)
        return simple and self.has_readout and self.block == NO_BLOCK

    def cell_shapes(self, place: LayerPlace) -> dict[str, tuple[int, ...]]:
        """The shapes of one layer's parameters, by name without the suffix."""
        shapes = self.cell.parameters(place.inputs, self.hidden)
        every = self.bias or self.cell.draws_itself  # see `_check_init`
        return {name: shape for name, shape in shapes.items() if every or not name.startswith("bias")}

    @functools.cached_property
    def block_layers(self) -> tuple[tuple[LayerPlace, ...], ...]:
        """The directions of each layer, from bottom to top."""
        places = list(self.layers())
        return tuple(tuple(places[i : i + self.directions]) for i in range(0, len(places), self.directions))

    @functools.cached_property
    def block_names(self) -> dict[str, tuple[str, ...]]:
        """The names of the parameters of blocks without prefix and suffix, by suffix of layer or direction."""
        names: dict[str, tuple[str, ...]] = {}
        for suffix, shapes in self._block_shapes():
            names[suffix] = (*names.get(suffix, ()), *shapes)
        return names

    def _block_shapes(self) -> Iterator[tuple[str, Shapes]]:
        """The shapes of the parameters of blocks by suffix: of each layer, then of each of its directions."""
        for depth, places in enumerate(self.block_layers):
            parts = [(f"_l{depth}", self.block.layer_shapes(places[0].inputs, self.width))]
            parts += [(place.suffix, self.block.direction_shapes(place.inputs, self.hidden)) for place in places]
            for suffix, shapes in parts:
                yield suffix, {n: shape for n, shape in shapes.items() if self.bias or not n.endswith("bias")}

    def around_shapes(self) -> Shapes:
        """The shapes of all parameters of blocks, with the projection before the first layer."""
        shapes: Shapes = {}
        if self.block.projects:
            shapes = {"projection.weight": (self.width, self.encoder.width(self.inputs))}
            shapes |= {"projection.bias": (self.width,)} if self.bias else {}
        for suffix, own in self._block_shapes():
            shapes |= {f"block.{name}{suffix}": shape for name, shape in own.items()}
        return shapes

    def initial(self, like_RBH: Tensor, place: LayerPlace) -> State:
        """The initial state of one layer, of zeros."""
        return self.block.initial(self.cell.initial(like_RBH, place.inputs), like_RBH, place.inputs)

    def state_shapes(self, place: LayerPlace) -> list[tuple[int, ...]]:
        """The shape of each part of one layer's state, for one sequence of `steps` steps."""
        like_RBH = torch.zeros(1, 1, self.hidden, device="meta")
        counted = self.cell.at_length(self.steps).initial(like_RBH, place.inputs)
        return [tuple(part.shape[2:]) for part in self.block.initial(counted, like_RBH, place.inputs)]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter, without the replica axis."""
        shapes = {f"encoder.{name}": shape for name, shape in self.encoder.parameters(self.inputs).items()}
        for place in self.layers():
            shapes |= {name + place.suffix: shape for name, shape in self.cell_shapes(place).items()}
            if self.learned_state:
                shapes |= {f"initial.{i}{place.suffix}": shape for i, shape in enumerate(self.state_shapes(place))}
        shapes |= self.around_shapes()
        if self.has_readout:
            outputs = self.outputs // self.sites
            shapes |= {"readout.weight": (outputs, self.width), "readout.bias": (outputs,)}
        return shapes

    def layer(self, place: LayerPlace, lag: int) -> Layer:
        """The description of a layer that initialisations use."""
        names, shapes = self.cell.initialised(place.inputs, self.hidden), self.cell_shapes(place)
        drawn = {names[name]: shape for name, shape in shapes.items() if name in names}
        gates = self.cell.gates_in(place.inputs, self.hidden)
        return Layer(drawn, self.hidden, gates, self.cell.keep, self.cell.write, lag)

    def check(self, init: Init) -> None:
        """Raise ValueError if encoder, cell, size and initialisation do not fit together."""
        self.encoder.check(self.inputs, self.outputs)
        self.block.check(self.width)
        for place in self.layers():
            self.cell.check(self.hidden, place.inputs)
            self._check_init(init, place)
            reason = self.cell.unresumable(place.inputs, self.hidden) or self.cell.unlearnable
            if self.learned_state and reason:
                raise ValueError(f"initial_state: learned is not possible: {reason}")

    def _check_init(self, init: Init, place: LayerPlace) -> None:
        if self.cell.draws_itself and not self.bias:
            raise ValueError(f"bias: false is not possible with {self.cell.label()}, which makes its own parameters")
        if self.cell.draws_itself and init.name == NO_INIT:
            return
        try:
            init.check(self.layer(place, lag=1))
        except ValueError as error:
            raise ValueError(f"{error}{self.cell.why_no_init(place.inputs, self.hidden)}") from error

    def draw(self, init: Init, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """One replica's initial parameters. `init` draws weights and biases of the cells; each cell draws its other
        parameters; encoder and readout are drawn as in PyTorch; learned initial states start at zero."""
        values: dict[str, Array] = {}
        encoder = self.encoder.parameters(self.inputs)
        for name, shape in encoder.items():
            fan_in = math.prod(encoder[name.replace("bias", "weight")][1:])
            values[f"encoder.{name}"] = rng.uniform(-(fan_in**-0.5), fan_in**-0.5, size=shape)
        for place in self.layers():
            drawn = self._drawn(place, init, lag, rng) | self.cell.special(self.hidden, lag, rng)
            values |= {name + place.suffix: value for name, value in drawn.items()}
        if self.has_readout:
            shapes = {name: self.shapes()[name] for name in ("readout.weight", "readout.bias")}
            values |= uniform(Layer(shapes, self.width, (), None, None, lag), rng)
            values["readout.bias"] += self.start
        values |= blocks.drawn(self.around_shapes(), rng)
        return {name: values.get(name, np.zeros(shape)) for name, shape in self.shapes().items()}

    def _drawn(self, place: LayerPlace, init: Init, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """The parameters of a layer as the cell draws them itself, and as `init` draws them."""
        own = self.cell.drawn(place.inputs, self.hidden, rng)
        if self.cell.draws_itself and init.name == NO_INIT:
            return own
        values = init.draw(self.layer(place, lag), rng)
        names = self.cell.initialised(place.inputs, self.hidden)
        return own | {name: values[known] for name, known in names.items() if known in values}

    @functools.cached_property
    def frozen(self) -> frozenset[str]:
        """Names of the parameters that keep their initial values during training."""
        return frozenset(
            name + place.suffix for place in self.layers() for name in self.cell.frozen_in(place.inputs, self.hidden)
        )

    @functools.cached_property
    def unresumable(self) -> str:
        """Why a run cannot resume from a state; empty if it can."""
        if self.bidirectional:
            return "a bidirectional network reads the whole sequence: it cannot resume from a state"
        reasons = (self.cell.unresumable(place.inputs, self.hidden) for place in self.layers())
        return next((reason for reason in reasons if reason), "")

    @functools.cached_property
    def no_full_state(self) -> str:
        """Why it has no state of one size from which a run can resume, as measures need; empty if it has."""
        return self.unresumable or self.cell.growing

    @property
    def parameter_count(self) -> int:
        """The number of trained parameters."""
        return sum(math.prod(shape) for name, shape in self.shapes().items() if name not in self.frozen)

    @property
    def state_count(self) -> int:
        """The size of the state: how many numbers are carried from step to step."""
        numbers = sum(math.prod(shape) for place in self.layers() for shape in self.state_shapes(place))
        return numbers * self.sites

    @property
    def flops_per_step(self) -> int:
        """Multiplications and additions in one step of one sequence: two for each use of a weight. Biases,
        nonlinearities and products of gates (a few operations per unit) are not counted."""
        cell = self.cell.at_length(self.steps)
        layers = sum(cell.flops(place.inputs, self.hidden) for place in self.layers())
        layers += sum(2 * math.prod(shape) for name, shape in self.around_shapes().items() if len(shape) == 2)
        readout = 2 * self.outputs * self.width if self.has_readout else 0
        return self.encoder.flops(self.inputs) + layers * self.sites + readout

    def kept(self, steps: int) -> int:
        """About how many numbers a training pass keeps for each step of one sequence, of `steps` steps."""
        around = sum(self.block.kept(places[0].inputs, self.width) for places in self.block_layers)
        return (self.depth * self.directions * self.cell.kept(self.hidden, steps) + around) * self.sites

    @property
    def counts(self) -> dict[str, int]:
        """The three measures of size by which networks can be matched."""
        return {kind: self.count(kind) for kind in SIZES}

    def count(self, kind: str) -> int:
        """One of these measures: parameters, state or flops."""
        return int(getattr(self, SIZES[kind]))

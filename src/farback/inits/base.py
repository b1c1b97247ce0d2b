"""The interface of initialisations, which draw a cell's parameters, and draws that several initialisations share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from farback.records.component import Component, Family

Array = NDArray[np.float64]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Layer:
    """The layer to initialise.

    Attributes:
        shapes: the shapes of the layer's weights and biases, by name; the cell draws its other parameters.
        gates: names of the gates, in the order of their blocks of `hidden` rows in `weight_ih` and the biases;
            `weight_hh` may have blocks for the first gates only.
        keep, write: the gates that keep the state and let input in, or None. With `write` alone, 1 - write keeps it.
        lag: the largest lag that the trial trains on.
    """

    shapes: Shapes
    hidden: int
    gates: tuple[str, ...]
    keep: str | None
    write: str | None
    lag: int

    def rows(self, gate: str) -> slice:
        """The rows of a gate."""
        first = self.gates.index(gate) * self.hidden
        return slice(first, first + self.hidden)

    @property
    def recurrent(self) -> tuple[str, ...]:
        """The gates that have a recurrent matrix."""
        rows = self.shapes["weight_hh"][0] if "weight_hh" in self.shapes else 0
        return self.gates[: rows // self.hidden]

    def require(self, part: Literal["weights", "recurrent matrix", "keep gate", "write gate"], init: str) -> None:
        """Raise ValueError if the layer lacks a part that the initialisation called `init` sets."""
        has_bias = "bias_ih" in self.shapes
        present, action = {
            "weights": (bool(self.shapes), "draws the weights"),
            "recurrent matrix": (bool(self.recurrent), "sets the recurrent matrix"),
            "keep gate": (has_bias and bool(self.keep or self.write), "sets the bias of the gate that keeps the state"),
            "write gate": (has_bias and bool(self.write), "sets the bias of the gate that lets input in"),
        }[part]
        if not present:
            raise ValueError(f"init {init} {action}, which this cell does not have: choose another init")


class Init(Component):
    """The base class of initialisations.

    Attributes:
        sets: the part of a layer that the initialisation sets; a layer without it is an error.
    """

    sets: ClassVar[Literal["weights", "recurrent matrix", "keep gate"] | None] = None

    @abstractmethod
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """Values of all weights and biases of the layer."""

    def check(self, layer: Layer) -> None:
        """Raise ValueError if this initialisation would not change such a layer or makes no sense for it."""
        if self.sets:
            layer.require(self.sets, self.name)


def uniform(layer: Layer, rng: np.random.Generator, bound: float | None = None) -> dict[str, Array]:
    """Every parameter, drawn uniformly from +-`bound`, by default PyTorch's 1 / sqrt(H)."""
    bound = layer.hidden**-0.5 if bound is None else bound
    return {name: rng.uniform(-bound, bound, size=shape) for name, shape in layer.shapes.items()}


def xavier(layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
    """Weights, drawn uniformly from +-sqrt(6 / (fan in + fan out)) for each gate; zero biases (Glorot, Bengio 2010)."""
    values: dict[str, Array] = {}
    for name, shape in layer.shapes.items():
        if len(shape) < 2:
            values[name] = np.zeros(shape)
            continue
        rows = layer.hidden if shape[0] % layer.hidden == 0 else shape[0]
        bound = (6.0 / (rows + shape[1])) ** 0.5
        values[name] = rng.uniform(-bound, bound, size=shape)
    return values


def set_keep_bias(layer: Layer, values: dict[str, Array], bias: Array | float) -> None:
    """Set the keep gate's bias. Without a keep gate, -bias goes to the write gate: 1 - sigmoid(-b) = sigmoid(b)."""
    gate, sign = (layer.write, -1.0) if layer.keep is None else (layer.keep, 1.0)
    assert gate is not None  # ensured by Layer.require
    set_bias(layer, values, gate, sign * bias)


def set_bias(layer: Layer, values: dict[str, Array], gate: str, bias: Array | float) -> None:
    """Set the total bias of a gate. If it has two biases, as in torch.nn, the second becomes 0: they are added."""
    values["bias_ih"][layer.rows(gate)] = bias
    if "bias_hh" in values:
        values["bias_hh"][layer.rows(gate)] = 0.0


FAMILY = Family("farback.inits", Init, "init")

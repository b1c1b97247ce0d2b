"""An initialisation is how a cell's parameters are drawn."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farback.records.component import Component, Family

Array = NDArray[np.float64]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Layer:
    """What an initialisation knows of the layer it fills.

    Attributes:
        shapes: the layer's weights and biases, by name; what else a cell has, it draws itself.
        hidden: H.
        gates: the H-row blocks of `weight_ih` and the biases, in order; the first of them are those of `weight_hh`.
        keep, write: the gates that keep the state and let input in, or None. With `write` alone, the state is kept by
            one minus that gate.
        lag: the largest lag that the trial trains at.
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


class Init(Component):
    """The base of the initialisations."""

    @abstractmethod
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """Values of every weight and bias of the layer."""

    def check(self, layer: Layer) -> None:
        """Raise ValueError where this initialisation would have no effect on such a layer, or none that makes sense."""


def uniform(layer: Layer, rng: np.random.Generator, bound: float | None = None) -> dict[str, Array]:
    """Every parameter uniform on +-`bound`; without one PyTorch's default, 1 / sqrt(H)."""
    bound = layer.hidden**-0.5 if bound is None else bound
    return {name: rng.uniform(-bound, bound, size=shape) for name, shape in layer.shapes.items()}


def xavier(layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
    """Weights uniform on +-sqrt(6 / (fan in + fan out)), gate by gate; biases zero (Glorot and Bengio 2010)."""
    values: dict[str, Array] = {}
    for name, shape in layer.shapes.items():
        if len(shape) < 2:
            values[name] = np.zeros(shape)
            continue
        rows = layer.hidden if shape[0] % layer.hidden == 0 else shape[0]
        bound = (6.0 / (rows + shape[1])) ** 0.5
        values[name] = rng.uniform(-bound, bound, size=shape)
    return values


def hold(layer: Layer, values: dict[str, Array], bias: Array | float) -> None:
    """Let the state be kept with this bias: the keep gate gets it, or a tied write gate its negative.

    The two are the same, since 1 - sigmoid(b) = sigmoid(-b).
    """
    gate, sign = (layer.write, -1.0) if layer.keep is None else (layer.keep, 1.0)
    assert gate is not None  # by needs_keep_gate
    set_bias(layer, values, gate, sign * bias)


def set_bias(layer: Layer, values: dict[str, Array], gate: str, bias: Array | float) -> None:
    """Give a gate this bias.

    torch.nn has two biases a gate: the value goes into the one of the input, the other is zero. (Filling both doubles
    it, a known slip.)
    """
    values["bias_ih"][layer.rows(gate)] = bias
    if "bias_hh" in values:
        values["bias_hh"][layer.rows(gate)] = 0.0


def needs_weights(init: Init, layer: Layer) -> None:
    """Raise ValueError where there is nothing to draw."""
    if not layer.shapes:
        raise ValueError(f"init {init.name} draws the weights, and this cell has none")


def needs_recurrent_matrix(init: Init, layer: Layer) -> None:
    """Raise ValueError where there is no matrix from state to state."""
    if "weight_hh" not in layer.shapes:
        raise ValueError(f"init {init.name} sets the recurrent matrix, and this cell has none")


def needs_keep_gate(init: Init, layer: Layer) -> None:
    """Raise ValueError where there is no gate with a bias that keeps the state."""
    if layer.keep is layer.write is None or "bias_ih" not in layer.shapes:
        raise ValueError(f"init {init.name} sets the bias of the gate that keeps the state, and this cell has none")


FAMILY = Family("farback.inits", Init, "init")

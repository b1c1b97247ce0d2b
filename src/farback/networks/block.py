"""What stands around a cell in a layer: a norm, a residual path, a short convolution, a gate and an MLP.

    n = Norm(x)
    y = Cell(Conv(n)) * silu(W_g n)        the convolution and the gate where the block has them
    x <- x + y                             without a residual path: x <- y
    n = Norm(x)
    x <- x + W_2 (silu(W_1 n) * W_3 n)     the MLP; without a residual path: x <- W_2 (...)

Only the convolution mixes steps. Shapes: R replicas, T steps, B sequences, I inputs of the layer, H hidden units, W
width of the layer's outputs (H for each direction), K = 4 steps of the convolution. `...` are any axes.

Sources: Xiong et al. 2020 (2002.04745) for the norm before the cell; Ba et al. 2016 (1607.06450) and Zhang and Sennrich
2019 (1910.07467) for the norms, with 1e-5 added to the mean square; Shazeer 2020 (2002.05202) for the MLP, without
biases; Gu and Dao 2023 (2312.00752) for the gate; De et al. 2024 (2402.19427) for the convolution without an activation
after it (Mamba applies silu). None of these texts was read. Published networks normalise once more
before the readout; here nothing follows the top layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from farback.cells.base import Array, Cell, Parameters, State, linear, silu
from farback.kernels.unroll import Recurrence, selected
from farback.records.record import Record

Shapes = dict[str, tuple[int, ...]]
EPSILON = 1e-5
FEWEST = {"layer": 3, "rms": 2}  # numbers that a norm needs: it leaves only the signs of fewer


class Run(Protocol):
    """A function that runs a cell over a sequence, as `farback.kernels.unroll.layer` does."""

    def __call__(
        self, cell: Any, p: Parameters, x_RTBI: Tensor, state: State, index_RN: Tensor | None, truncate: int | None
    ) -> tuple[Tensor, State]:
        """Outputs and last state."""


class Block(Record):
    """What stands around the cell in every layer.

    With a norm or a residual path, a linear projection E x + b turns the inputs of the first layer into as many numbers
    as the layers have outputs.

    Attributes:
        norm: normalises the inputs of the cell and of the MLP; `layer` subtracts the mean, `rms` does not.
        residual: adds the inputs of the cell to its outputs, and those of the MLP to its outputs.
        conv: steps of a causal convolution of each input before the cell, whose last 3 inputs are part of the state.
        gate: multiplies the outputs of the cell by `silu` of a projection of the normalised inputs.
        mlp: units of a gated MLP after the cell, as a multiple of the layer's outputs.
    """

    norm: Literal["none", "layer", "rms"] = "none"
    residual: bool = False
    conv: Literal[0, 4] = 0
    gate: Literal["none", "silu"] = "none"
    mlp: Literal[0, 2] = 0

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, values: Any) -> Any:
        """The text `none`, for a cell without a block, as a mapping."""
        if values == "none" or values == {"name": "none"}:
            return {}
        if not isinstance(values, dict | Block):
            raise ValueError(f"block is none or a mapping such as {{norm: rms, residual: true}}, got {values!r}")
        if isinstance(values, dict) and values.get("name") == "none":
            return {name: value for name, value in values.items() if name != "name"}
        return values

    @property
    def projects(self) -> bool:
        """Whether a projection precedes the first layer."""
        return self.residual or self.norm != "none"

    def check(self, width: int) -> None:
        """Raise ValueError if the layers have too few outputs, W, for the norm."""
        fewest = FEWEST.get(self.norm, 1)
        if width < fewest:
            raise ValueError(f"norm: {self.norm} needs layers of at least {fewest} units, and they have {width}")

    def layer_shapes(self, inputs: int, width: int) -> Shapes:
        """The shapes of the parameters that the directions of a layer share."""
        shapes = {**self._norm_shapes("norm", inputs)}
        if self.mlp:
            wide = (self.mlp * width, width)
            shapes |= self._norm_shapes("mlp_norm", width)
            shapes |= {"mlp_1.weight": wide, "mlp_3.weight": wide, "mlp_2.weight": (width, self.mlp * width)}
        return shapes

    def direction_shapes(self, inputs: int, hidden: int) -> Shapes:
        """The shapes of the parameters of one direction of a layer."""
        shapes: Shapes = {"conv.weight": (inputs, self.conv), "conv.bias": (inputs,)} if self.conv else {}
        return shapes | ({"gate.weight": (hidden, inputs)} if self.gate != "none" else {})

    def _norm_shapes(self, name: str, width: int) -> Shapes:
        names = {"none": (), "layer": ("weight", "bias"), "rms": ("weight",)}[self.norm]
        return {f"{name}.{part}": (width,) for part in names}

    def initial(self, own: State, like_RBH: Tensor, inputs: int) -> State:
        """The initial state of a layer, given that of its cell: last the convolution's buffer, (R, B, K - 1, I)."""
        if not self.conv:
            return own
        return type(own)((*own, like_RBH.new_zeros(*like_RBH.shape[:2], self.conv - 1, inputs)))

    def normed(self, name: str, p: Parameters, x: Tensor) -> Tensor:
        """The normalised values of x, (R, ..., I)."""
        if self.norm == "none":
            return x
        x = x - x.mean(-1, keepdim=True) if self.norm == "layer" else x
        x = x / torch.sqrt(x.square().mean(-1, keepdim=True) + EPSILON)
        x = x * _over(p[f"{name}.weight"], x)
        return x + _over(p[f"{name}.bias"], x) if f"{name}.bias" in p else x

    def mixed(
        self,
        block: Parameters,
        cell: Cell,
        p: Parameters,
        n_RTBI: Tensor,
        state: State,
        index_RN: Tensor | None,
        truncate: int | None,
        run: Run,
    ) -> tuple[Tensor, State]:
        """The outputs of one direction's convolution, cell and gate from normalised inputs, and its last state.

        With `index_RN`, only these outputs, as `farback.kernels.unroll.layer`.
        """
        around = Convolved(cell, block["conv.weight"], block.get("conv.bias"), run) if self.conv else cell
        y, last = run(around, p, n_RTBI, state, index_RN, truncate)
        if self.gate != "none":
            n = n_RTBI if index_RN is None else selected(n_RTBI, index_RN)
            y = y * silu(linear(n, block["gate.weight"]))
        return y, last

    def finished(self, block: Parameters, x: Tensor, y: Tensor) -> Tensor:
        """The outputs of a layer, (R, ..., W), from its inputs x and the outputs y of its cells."""
        x = x + y if self.residual else y
        if not self.mlp:
            return x
        n = self.normed("mlp_norm", block, x)
        wide = silu(linear(n, block["mlp_1.weight"])) * linear(n, block["mlp_3.weight"])
        y = linear(wide, block["mlp_2.weight"])
        return x + y if self.residual else y

    def kept(self, inputs: int, width: int) -> int:
        """About how many numbers a training pass keeps for each step of a layer, beside those of its cell."""
        norms = 3 * (inputs + (width if self.mlp else 0)) if self.norm != "none" else 0
        gate = 3 * width if self.gate != "none" else 0
        return norms + self.conv * inputs + gate + 4 * self.mlp * width + (width if self.residual else 0)

    def __str__(self) -> str:
        """What differs from no block, as in "norm rms, residual, conv 4"."""
        texts = [f"{name} {value}" for name, value in self if value != type(self).model_fields[name].default]
        return ", ".join(texts).replace("residual True", "residual") or "none"


NO_BLOCK = Block()


def published(cell: Cell) -> Block:
    """The block that the cell is published in."""
    return Block.model_validate(dict(cell.published_block))


def drawn(shapes: Shapes, rng: np.random.Generator) -> dict[str, Array]:
    """Initial values of parameters of blocks: norms start as the identity, the rest is drawn as in PyTorch."""
    values = {}
    for name, shape in shapes.items():
        if "norm" in name:
            values[name] = np.zeros(shape) if "bias" in name else np.ones(shape)
        else:
            bound = shapes[name.replace("bias", "weight")][1] ** -0.5
            values[name] = rng.uniform(-bound, bound, size=shape)
    return values


class Convolved:
    """A cell behind a causal convolution of each of its inputs; the last K - 1 inputs are the last part of the state.

    u_t = b + sum_j w_j n_{t - K + 1 + j}, as `torch.nn.Conv1d(I, I, K, groups=I)` with K - 1 zeros before the sequence.
    """

    kernel = None

    def __init__(self, cell: Recurrence, weight_RIK: Tensor, bias_RI: Tensor | None, run: Run) -> None:
        self.cell, self.weight_RIK, self.bias_RI, self.run = cell, weight_RIK, bias_RI, run

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """The inputs themselves."""
        return x_RTBI

    def unroll(self, p: Parameters, n_RTBI: Tensor, state: State) -> tuple[Tensor, State]:
        """Outputs of the cell at all steps, and the last state."""
        own, buffer_RBKI, T = type(state)(state[:-1]), state[-1], n_RTBI.shape[1]
        n_RTBI = torch.cat([buffer_RBKI.transpose(1, 2), n_RTBI], 1)
        w_KR11I = self.weight_RIK.permute(2, 0, 1)[:, :, None, None]
        u_RTBI = n_RTBI[:, :T] * w_KR11I[0]
        for j in range(1, len(w_KR11I)):
            u_RTBI = u_RTBI + n_RTBI[:, j : j + T] * w_KR11I[j]
        u_RTBI = u_RTBI if self.bias_RI is None else u_RTBI + _over(self.bias_RI, u_RTBI)
        output_RTBH, last = self.run(self.cell, p, u_RTBI, own, None, None)
        return output_RTBH, (*last, n_RTBI[:, T:].transpose(1, 2))


def _over(value_RI: Tensor, x: Tensor) -> Tensor:
    """A vector of each replica, with axes of 1 between, for x of shape (R, ..., I)."""
    return value_RI.view(len(value_RI), *(1,) * (x.dim() - 2), -1)


def of_layer(parameters: Mapping[str, Tensor], names: tuple[str, ...], suffix: str) -> dict[str, Tensor]:
    """The parameters of a layer's block, by their names without prefix and suffix."""
    return {name: parameters[f"block.{name}{suffix}"] for name in names}

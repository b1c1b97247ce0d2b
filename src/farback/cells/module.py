"""A class of the user's as a cell."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field, JsonValue, PrivateAttr, create_model, field_validator, model_validator
from torch import Tensor
from torch.func import vmap
from typing_extensions import override

from farback.cells.base import Array, Cell, Parameters, State
from farback.cells.support.made_module import ModuleError, Size, made, tensors_of
from farback.cells.support.module_checks import problem, unresumable
from farback.cells.support.user_class import MAIN, user_class
from farback.cells.support.user_module import UserModule
from farback.records.own_files import OwnFile, project_in_use

Shapes = dict[str, tuple[int, ...]]
Key = tuple[str, str, str, str, bool]  # class, project, digest of the files, arguments as JSON, whether it is a network

if TYPE_CHECKING:
    _Fields = Cell
else:  # `class` and `with` are words of Python, so a class statement cannot have such fields
    _Fields = create_model(
        "_Fields",
        __base__=Cell,
        __module__=__name__,
        **{"class": (str, "torch.nn:GRU"), "with": (dict[str, JsonValue], Field(default_factory=dict))},
    )


class Start(tuple[Tensor, ...]):
    """The state before the first step, as zeros: a module gets no state and starts by itself."""

    __slots__ = ()


class ModuleCell(_Fields):
    """A `torch.nn.Module` of your own. `class: "mine:MyRNN"` is the class MyRNN of mine.py beside configs/.

    It is made as MyRNN(inputs, hidden, **with), or with the names input_size and hidden_size if it has them, or, if it
    needs a single width, as MyRNN(dim=hidden, **with) behind a linear layer. It is called as
    torch.nn.GRU(batch_first=True), (x_BTI, state) -> (output_BTH, state), or as torch.nn.GRUCell, (x_BI, state) ->
    state. States may be tuples. Its own code draws its parameters; `init` changes those called weight or bias. Dropout
    acts in training. Another text of the file is another trial.

    Attributes:
        class: MODULE:CLASS, a file of the project or an installed package, such as "torch.nn:LSTM".
        with: further arguments of the class.
    """

    draws_itself: ClassVar[bool] = True
    one_by_one: ClassVar[bool] = True

    _folder: Path = PrivateAttr(default=Path())
    _file: Path | None = PrivateAttr(default=None)
    _source: str = PrivateAttr(default="")
    _size: tuple[int, int] = PrivateAttr(default=(0, 0))  # inputs and hidden units of the layer, if it has been sized
    _seeds: tuple[int, ...] | None = PrivateAttr(default=None)

    @field_validator("class")
    @classmethod
    def _can_be_imported(cls, path: str) -> str:
        user_class(path, _project())
        return path

    @model_validator(mode="after")
    def _with_source(self) -> Self:
        self._folder = _project()
        found = user_class(self.path, self._folder)
        self._file, self._source = found.files[0] if found.files else None, found.digest
        return self

    @property
    def path(self) -> str:
        """The class, as in "mine:MyRNN"."""
        return str(getattr(self, "class"))

    @property
    def make(self) -> Callable[..., Any]:
        """The class itself, or a function that makes modules."""
        return user_class(self.path, self._folder).make

    @property
    def options(self) -> dict[str, Any]:
        """The further arguments of the class."""
        return dict(getattr(self, "with"))

    @property
    @override
    def used_file(self) -> OwnFile | None:
        """The file of the class, if it is in the project."""
        if self._file is None or not self._file.is_relative_to(self._folder):
            return None
        return OwnFile(self._folder, self._file.relative_to(self._folder).as_posix(), self._source)

    @override
    def digested(self) -> dict[str, Any]:
        return {**super().digested(), "source": self._source}

    @override
    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> Key:
        return self.path, str(self._folder), self._source, json.dumps(self.options, sort_keys=True), self.answers

    @override
    def label(self) -> str:
        options = ", ".join(f"{name} {value}" for name, value in self.options.items())
        name = self.path.removeprefix(f"{MAIN}:")
        return f"{name} ({options})" if options else name

    def module(self, inputs: int, hidden: int) -> UserModule:
        """The module at this size. Raises ModuleError: it cannot be made or called."""
        return _module(self._key, inputs, hidden)

    # Parameters ------------------------------------------------------------------------------------------------------

    @override
    def parameters(self, inputs: int, hidden: int) -> Shapes:
        """The module's own parameters, and its buffers, which are never trained."""
        return dict(_shapes(self._key, inputs, hidden)[0])

    @override
    def frozen_in(self, inputs: int, hidden: int) -> tuple[str, ...]:
        return _shapes(self._key, inputs, hidden)[1]

    @override
    def initialised(self, inputs: int, hidden: int) -> dict[str, str]:
        """Its matrices called weight and its biases; `weight_ih` and `weight_hh` only if they are those of a layer."""
        shapes = self.parameters(inputs, hidden)
        last = {name: name.rpartition(".")[2].removesuffix("_l0") for name in shapes}
        names = {
            name: known
            for name, known in last.items()
            if len(shapes[name]) == (2 if known.startswith("weight") else 1) and known.startswith(("weight", "bias"))
        }
        names = {name: known if list(names.values()).count(known) == 1 else name for name, known in names.items()}
        by_known = {known: shapes[name] for name, known in names.items()}
        rows = by_known.get("weight_hh", (0, 0))[0]
        layer = {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden)}
        several = sum(known.startswith("weight_hh") for known in last.values()) > 1
        if several or rows % hidden or any(by_known.get(known) != shape for known, shape in layer.items()):
            names = {name: name if known in layer else known for name, known in names.items()}
        return names

    @override
    def gates_in(self, inputs: int, hidden: int) -> tuple[str, ...]:
        """A number for each block of rows of the recurrent matrix: what its gates do is not known."""
        names = {known: name for name, known in self.initialised(inputs, hidden).items()}
        rows = self.parameters(inputs, hidden)[names["weight_hh"]][0] if "weight_hh" in names else 0
        return tuple(map(str, range(rows // hidden)))

    @override
    def drawn(self, inputs: int, hidden: int, rng: np.random.Generator) -> dict[str, Array]:
        user, seed = user_class(self.path, self._folder), int(rng.integers(2**63))
        values = tensors_of(made(user, Size(inputs, hidden, self.answers), self.options, seed))
        return {name: _real(value.detach()).double().numpy() for name, value in values.items()}

    @override
    def flops(self, inputs: int, hidden: int) -> int:
        return sum(2 * math.prod(shape) for shape in self.parameters(inputs, hidden).values() if len(shape) > 1)

    @override
    def check(self, hidden: int, inputs: int) -> None:
        if text := problem(self.module(inputs, hidden)):
            raise ModuleError(f"{self.path} {text}")

    @override
    def why_no_init(self, inputs: int, hidden: int) -> str:
        names = ", ".join(self.parameters(inputs, hidden)) or "none"
        return f"; of a module, farback knows weight_ih and weight_hh by their names, and no gates; it has: {names}"

    # Computation -----------------------------------------------------------------------------------------------------

    @override
    def sized(self, inputs: int, hidden: int, seeds: Sequence[int] | None = None) -> ModuleCell:
        copy = self.model_copy()
        copy._size, copy._seeds = (inputs, hidden), None if seeds is None else tuple(seeds)
        return copy

    @override
    def unresumable(self, inputs: int, hidden: int) -> str:
        reason = unresumable(self.module(inputs, hidden))
        return f"{self.path} {reason}" if reason else ""

    @override
    def initial(self, like_RBH: Tensor, inputs: int) -> State:
        if like_RBH.is_meta:
            size = _state_size(self._key, inputs, like_RBH.shape[-1])
        else:
            module = self.module(inputs, like_RBH.shape[-1])
            layout = module.layout(module.computes_in(like_RBH.dtype))
            size = None if layout is None else layout.size
        return Start(() if size is None else (like_RBH.new_zeros(*like_RBH.shape[:2], size),))

    @override
    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """The inputs, unchanged."""
        return x_RTBI

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        return self.unroll(p, gates_RBG.unsqueeze(1), state)[1]

    @override
    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        """As `Cell.unroll`, for a cell that was sized. On a CPU replicas run one by one: decision 0031."""
        module = self.module(*self._size)
        x_RBTI = gates_RTBG.transpose(1, 2)
        before = None if isinstance(state, Start) or not state else state[0]
        try:
            one = gates_RTBG.is_cpu or (self._seeds is not None and module.draws_in_training)
            found = None if one else together(module, p, x_RBTI, before, self._seeds)
            output_RBTH, after = found or one_by_one(module, p, x_RBTI, before, self._seeds)
        except ModuleError as error:
            raise ModuleError(f"{self.path} {error}") from error
        return output_RBTH.transpose(1, 2), () if after is None else (after,)

    @override
    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> None:
        """None: the gates of a module are not known."""


def one_by_one(
    module: UserModule, p: Parameters, x_RBTI: Tensor, state_RBS: Tensor | None, seeds: Sequence[int] | None
) -> tuple[Tensor, Tensor | None]:
    """Outputs (R, B, T, H) and states (R, B, S) of replicas that run one after the other.

    Each gets copies of its tensors, because results may depend on where a tensor begins in memory.
    """
    outputs, states = [], []
    for r, x_BTI in enumerate(x_RBTI):
        tensors = {name: value[r].clone() for name, value in p.items()}
        before = None if state_RBS is None else state_RBS[r].clone()
        x_BTI = x_BTI.clone(memory_format=torch.contiguous_format)
        output, after = module.run(tensors, x_BTI, before, None if seeds is None else seeds[r])
        outputs.append(output)
        states += [] if after is None else [after]
    return stacked(outputs), stacked(states) if states else None


def stacked(values: list[Tensor]) -> Tensor:
    """The tensors along a new first axis; a single one is not copied."""
    return torch.stack(values) if len(values) > 1 else values[0].unsqueeze(0)


def together(
    module: UserModule, p: Parameters, x_RBTI: Tensor, state_RBS: Tensor | None, seeds: Sequence[int] | None
) -> tuple[Tensor, Tensor | None] | None:
    """The same with all replicas at once, by `torch.func.vmap`; None if an operator has no batching rule."""

    def run(tensors: Mapping[str, Tensor], x_BTI: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        output, after = module.run(tensors, x_BTI, state[0] if state else None, seeds[0] if seeds else None)
        return (output,) if after is None else (output, after)

    module.layout(module.computes_in(x_RBTI.dtype))  # found by running the module, which is not possible in `vmap`
    try:
        output, *after = vmap(run)(dict(p), x_RBTI, *([] if state_RBS is None else [state_RBS]))
    except ModuleError:
        return None
    return output, after[0] if after else None


@functools.lru_cache(maxsize=64)
def _module(key: Key, inputs: int, hidden: int) -> UserModule:
    path, folder, source, options, is_network = key
    user = user_class(path, Path(folder))
    if user.digest != source:
        raise ModuleError(f"{path} was edited while it was in use, and is now another trial: start again")
    return UserModule(user, Size(inputs, hidden, is_network), json.loads(options))


@functools.lru_cache(maxsize=4096)
def _shapes(key: Key, inputs: int, hidden: int) -> tuple[Shapes, tuple[str, ...]]:
    """Shapes of the tensors of a module, and the names of those that are not trained."""
    path, folder, _, options, is_network = key
    user, size = user_class(path, Path(folder)), Size(inputs, hidden, is_network)
    try:
        module = made(user, size, json.loads(options), 0, "meta")  # without memory for the parameters
    except ModuleError:
        module = made(user, size, json.loads(options), 0)
    tensors = tensors_of(module)
    trained = {name for name, value in module.named_parameters() if value.requires_grad}
    shapes = {name: tuple(_real(value.detach()).shape) for name, value in tensors.items()}
    return shapes, tuple(name for name in tensors if name not in trained)


@functools.lru_cache(maxsize=4096)
def _state_size(key: Key, inputs: int, hidden: int) -> int | None:
    """Numbers of state for each sequence; None without a state."""
    path, folder, _, options, is_network = key
    user, size = user_class(path, Path(folder)), Size(inputs, hidden, is_network)
    try:
        module = UserModule(user, size, json.loads(options), "meta")  # computes shapes only
        layout = module.layout(module.dtype)
    except ModuleError:
        module = _module(key, inputs, hidden)
        layout = module.layout(module.dtype)
    return None if layout is None else layout.size


def _real(value: Tensor) -> Tensor:
    return torch.view_as_real(value.resolve_conj()) if value.is_complex() else value


def _project() -> Path:
    """The project's folder; without a config, the current one."""
    return project_in_use() or Path.cwd()

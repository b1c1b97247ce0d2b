"""How a class of the user's is made: its sizes, the arguments that it has for them, and its random numbers."""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from farback.cells.support.user_class import UserClass, described

INPUTS = ("inputs", "input_size", "input_dim", "in_features", "in_channels", "n_inputs", "num_inputs", "d_in")
HIDDEN = ("hidden", "hidden_size", "hidden_dim", "units", "num_units", "state_size", "n_hidden", "num_hidden")
WIDTH = ("dim", "d_model", "model_dim", "embed_dim", "width")  # of a class whose inputs are as wide as its outputs
INPUT_LAYER = "input_layer"
OUTPUTS = (
    "outputs",
    "output_size",
    "output_dim",
    "out_features",
    "n_outputs",
    "num_outputs",
    "num_classes",
    "n_classes",
)


class ModuleError(ValueError):
    """A user's module cannot be made or called. The message names the place in the user's file."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Global random generators start from a seed in this block, and continue after it as if it had not been."""
    numbers, words = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's code may draw from it
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed also formats a stack trace for CUDA, which is a tenth of the time of a training pass
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.manual_seed_all(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(numbers)
            np.random.set_state(words)  # noqa: NPY002


@dataclass(frozen=True)
class Size:
    """What a class is made with: the numbers of inputs and of outputs, which are hidden units unless it is a network.

    Attributes:
        is_network: whether it is a whole network with a readout of its own, whose outputs are answers.
    """

    inputs: int
    outputs: int
    is_network: bool = False

    @property
    def names(self) -> tuple[Sequence[str], Sequence[str]]:
        """The keywords by which a class may take the two numbers."""
        return INPUTS, OUTPUTS if self.is_network else HIDDEN


def takes_outputs(make: Callable[..., Any]) -> bool:
    """Whether a class takes a number of outputs by name, as a whole network with a readout of its own does."""
    return any(name in OUTPUTS for name in _arguments(make))


def hidden_argument(make: Callable[..., Any]) -> str:
    """The name by which a class takes a number of hidden units; empty if it has none."""
    return next((name for name in HIDDEN if name in _arguments(make)), "")


def width_argument(make: Callable[..., Any], options: Mapping[str, Any]) -> str:
    """The only argument that a class needs besides `options`, if it is the width of inputs and outputs; else empty."""
    try:
        arguments = inspect.signature(make).parameters
    except (TypeError, ValueError):
        return ""
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [
        name
        for name, one in arguments.items()
        if one.default is one.empty and one.kind not in several and name not in options
    ]
    return needed[0] if len(needed) == 1 and needed[0] in WIDTH else ""


def made(
    user: UserClass,
    size: Size,
    options: Mapping[str, Any],
    seed: int,
    device: str = "cpu",
    heard: list[str] | None = None,
) -> Any:
    """The user's module in evaluation mode; its own code draws its parameters, from `seed`.

    The class is called with the keywords that it has for the numbers of inputs and of hidden units, or of outputs if it
    is a network; else with these two numbers first. A class that needs one width, such as `dim`, gets the number of
    hidden units, and a linear layer that brings the inputs to this width. Warnings are not shown, because every replica
    would repeat them; they are appended to `heard`.

    Raises:
        ModuleError: the class cannot be called so, or does not make a module.
    """
    positional, keywords, call = call_of(user, size, options)
    try:
        with seeded(seed), torch.device(device), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            module = user.make(*positional, **keywords, **options)
            if len(keywords) == 1 and isinstance(module, nn.Module):
                module.add_module(INPUT_LAYER, nn.Linear(size.inputs, size.outputs))
                module.register_forward_pre_hook(_widened)
    except Exception as error:
        names = _arguments(user.make)
        known = f"; its arguments are {', '.join(names)}" if names and "args" not in names else ""
        second, name = ("outputs", "output_size") if size.is_network else ("hidden", "hidden_size")
        how = f"a class is called as CLASS(inputs, {second}, **with), or by names such as input_size and {name}"
        if not size.is_network and takes_outputs(user.make):
            how += "; a whole network with a readout of its own is given as network: instead of cell:"
        raise ModuleError(f"{call} fails: {described(error, user.files)}; {how}{known}") from error
    if heard is not None:
        heard += dict.fromkeys(str(each.message) for each in warned)
    if not isinstance(module, nn.Module):
        raise ModuleError(f"{call} makes a {type(module).__name__}, and must make a torch.nn.Module")
    if any(is_lazy(value) for value in [*module.parameters(), *module.buffers()]):
        raise ModuleError(f"{call} has lazy parameters, whose sizes are not known before it runs: give their sizes")
    return module.eval()


def _widened(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return module.get_submodule(INPUT_LAYER)(arguments[0]), *arguments[1:]


def call_of(user: UserClass, size: Size, options: Mapping[str, Any]) -> tuple[tuple[int, ...], dict[str, int], str]:
    """The two numbers by position or by keyword, and the whole call as text, such as "MyRNN(4, 8, decay=0.9)".

    Raises:
        ModuleError: the further arguments have one of the two keywords.
    """
    names, sizes = _arguments(user.make), (size.inputs, size.outputs)
    own = [next((name for name in known if name in names), "") for known in size.names]
    if twice := [name for name in own if name in options]:
        raise ModuleError(f"with sets {twice[0]}, which farback sets to the network's own size: leave it out")
    keywords = dict(zip(own, sizes, strict=True)) if all(own) else {}
    if not size.is_network and (width := width_argument(user.make, options)):
        keywords = {width: size.outputs}
    shown = [f"{name}={value}" for name, value in keywords.items()] or list(map(str, sizes))
    shown += [f"{name}={value!r}" for name, value in options.items()]
    return () if keywords else sizes, keywords, f"{user.path.partition(':')[2]}({', '.join(shown)})"


def _arguments(make: Callable[..., Any]) -> list[str]:
    """The names of the arguments of a class or function; empty if they are not known."""
    try:
        return list(inspect.signature(make).parameters)
    except (TypeError, ValueError):
        return []


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters, and buffers of real or complex numbers, by name: what each replica has of its own."""
    buffers = {name: value for name, value in module.named_buffers() if value.is_floating_point() or value.is_complex()}
    return {**dict(module.named_parameters()), **buffers}

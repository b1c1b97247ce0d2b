"""The laws of a user's module as a cell, checked by running it: at its first use in a run, and by `farback check`.

Shapes: R replicas, T steps, B sequences, I inputs, H hidden units.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from farback import inits
from farback.cells.module import ModuleCell
from farback.cells.support import module_checks
from farback.cells.support.made_module import ModuleError
from farback.cells.support.user_module import UserModule
from farback.networks.architecture import NO_INIT, Architecture
from farback.networks.network import Network, draw
from farback.system.arithmetic import arithmetic

REPLICAS, STEPS, SEQUENCES = 3, 8, 4


@dataclass(frozen=True)
class Law:
    """A law, whether a module keeps it, and what was found.

    Attributes:
        needed: whether all results would be wrong without it; else only some measures are left out, or nothing is.
    """

    name: str
    holds: bool
    found: str
    needed: bool = True


@functools.lru_cache(maxsize=64)
@arithmetic()
def laws(cell: ModuleCell, inputs: int, hidden: int) -> tuple[Law, ...]:
    """All laws for a layer of this size; the first alone if the module cannot be made or called."""
    called = "it can be made and called"
    try:
        cell.parameters(inputs, hidden)
        module = cell.module(inputs, hidden)
    except ModuleError as error:
        return (Law(called, False, str(error)),)
    own = [
        ("equal inputs give equal outputs", module_checks.not_repeated, ""),
        ("a training can be repeated", module_checks.unseeded, _randomness(module)),
        ("sequences do not mix", module_checks.mixing, ""),
        ("networks share no tensor", module_checks.shared, ""),
    ]
    found = [Law(called, True, _calling(module))]
    for name, check, fine in own:
        try:
            text = check(module)
        except ModuleError as error:
            text = str(error)
        found.append(Law(name, not text, text or fine))
    if all(law.holds for law in found):
        try:
            found += _of_replicas(cell, inputs, hidden)
        except ModuleError as error:  # at a length or a number of sequences that was not tried before
            found[0] = Law(called, False, str(error))
    text = module_checks.unresumable(module)
    state = module.layout(module.dtype)
    size = f"{state.size} numbers of state for each sequence" if state else ""
    fix = "; measures of the full state are left out, and retention is not affected"
    if module.warnings:
        found.append(Law("it is made without warnings", False, "; ".join(module.warnings), needed=False))
    return (*found, Law("a state is carried over a split", not text, f"it {text}{fix}" if text else size, needed=False))


def _calling(module: UserModule) -> str:
    calling, tensors = module.calling, module.tensors.values()
    pairs = {
        "sequence": "as torch.nn.GRU",
        "step": "as torch.nn.GRUCell",
        "pair step": "as (x_BI, state) -> (output, state)",
    }
    numbers = sum(value.numel() for value in tensors)
    double = ", in double precision too" if module.computes_in(torch.float64) == torch.float64 else ""
    first = " with its steps first" if calling.time_first else ""
    called = pairs[calling.style] if module.takes_state else "as a function of whole sequences"
    behind = f", behind a linear layer from the inputs to its {module.width}" if module.width else ""
    return f"{called}{first}{behind}{double}; {len(module.tensors)} parameters and buffers with {numbers} numbers"


def _randomness(module: UserModule) -> str:
    try:
        drawn = module.draws_in_training
    except ModuleError:
        return ""
    return "it draws random numbers in training, from the trial's stream" if drawn else "it draws no random numbers"


def _of_replicas(cell: ModuleCell, inputs: int, hidden: int) -> Iterator[Law]:
    """The laws of several replicas, in training mode."""
    architecture = Architecture(cell, inputs, hidden, 0)
    drawn = draw(architecture, [inits.build(NO_INIT)] * REPLICAS, range(REPLICAS), lag=1)
    frozen = architecture.frozen
    parameters = {name: value.requires_grad_(name not in frozen) for name, value in drawn.parameters.items()}
    network = Network(architecture, parameters, seeds=tuple(range(REPLICAS)))
    generator = torch.Generator().manual_seed(0)
    x_RTBI = torch.randn(REPLICAS, STEPS, SEQUENCES, inputs, generator=generator).requires_grad_()
    output_RTBH = network.run(x_RTBI)[0]
    over = [x_RTBI, *(value for value in parameters.values() if value.requires_grad)]
    met = []
    for r in range(REPLICAS):
        others = [other for other in range(REPLICAS) if other != r]
        slopes = _slopes(output_RTBH[r], over)
        met += [f"{others}" for slope in slopes if bool(slope[others].any())]
    yield Law("replicas never meet", not met, "one replica changes the outputs of another" if met else "")
    slopes = _slopes(output_RTBH, over)
    differ = []
    for r in range(REPLICAS):
        own = {name: value[r : r + 1].detach().requires_grad_(name not in frozen) for name, value in parameters.items()}
        x = x_RTBI[r : r + 1].detach().requires_grad_()
        output = Network(architecture, own, seeds=(r,)).run(x)[0]
        alone = [output, *_slopes(output, [x, *(value for value in own.values() if value.requires_grad)])]
        packed = [output_RTBH, *slopes]
        differ += [r for a, b in zip(alone, packed, strict=True) if not torch.equal(a, b[r : r + 1])]
    text = "a replica gets other numbers when it runs alone" if differ else "bit for bit, outputs and gradients"
    yield Law("packed equals alone", not differ, text)
    trained = [name.removesuffix("_l0") for name in parameters if name not in frozen]
    unread = [name for name, slope in zip(trained, slopes[1:], strict=True) if not bool(slope.any())]
    text = f"none reaches {', '.join(unread)}: never trained" if unread else f"{len(trained)} trained"
    nothing = bool(unread) and len(unread) == len(trained)
    if nothing:
        text = (
            "none reaches any of its parameters, so that nothing would be trained: do not detach its outputs, and use "
            "parameters as attributes of their modules, not as references in a dict or list"
        )
    yield Law("gradients reach every parameter", not unread, text, needed=nothing)


def _slopes(output: Tensor, over: list[Tensor]) -> list[Tensor]:
    """Gradients of a sum that weights every output differently."""
    if not output.requires_grad:
        return [torch.zeros_like(value) for value in over]
    weight = torch.cos(torch.arange(output[0].numel(), dtype=output.dtype)).view(output.shape[1:])
    slopes = torch.autograd.grad((output * weight).sum(), over, None, True, allow_unused=True, materialize_grads=True)
    return list(slopes)

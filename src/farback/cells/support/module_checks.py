"""Checks that a user's module computes what a cell computes: a function of its inputs, state and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

from farback.cells.support.made_module import ModuleError
from farback.cells.support.user_module import CLOSE, UserModule


@lru_cache(maxsize=256)
@torch.no_grad()
def problem(module: UserModule) -> str:
    """Why results of a module would be wrong; empty if they would not."""
    try:
        return not_repeated(module) or unseeded(module) or mixing(module) or shared(module)
    except ModuleError as error:
        return str(error)


def not_repeated(module: UserModule) -> str:
    """Whether equal inputs give other outputs, or a run changes the parameters."""
    x_BTI = module.tried(2)
    tensors = {name: value.clone() for name, value in module.tensors.items()}
    first, second = (module.run(tensors, x_BTI, None)[0] for _ in range(2))
    if not bool(first.isfinite().all()):
        return "gives outputs that are infinite or not a number with the parameters that it draws itself"
    if not torch.equal(first, second):
        return (
            "gives other outputs when the same inputs are run again, as with a state kept from call to call, or with "
            "random numbers outside of training: take the state as an argument and return it"
        )
    module.run(tensors, x_BTI, None, seed=0)
    changed = [name for name, value in module.tensors.items() if not torch.equal(value, tensors[name])]
    if changed:
        return f"changes {changed[0]} when it runs (as BatchNorm does), and only an optimizer may change a network"
    return ""


def mixing(module: UserModule) -> str:
    """Whether a sequence changes the outputs of another one."""
    x_BTI = module.tried(3)
    for seed in (None,) if unseeded(module) else (None, 0):
        output_BTH = module.run(module.tensors, x_BTI[:2], None, seed)[0]
        after_BTH, before_BTH = (module.run(module.tensors, x_BTI[rows], None, seed)[0] for rows in ([0, 2], [2, 1]))
        # steps that are taken for sequences change only what comes after them
        if not (close(after_BTH[0], output_BTH[0]) and close(before_BTH[1], output_BTH[1])):
            given = "of one step, (B, I)" if module.calling.style != "sequence" else "(B, T, I)"
            given = "(T, B, I), as its batch_first is False" if module.calling.time_first else given
            return (
                f"was given inputs {given}, and the outputs of one sequence changed when another sequence "
                "changed: take sequences on the first axis (or set batch_first), and do not mix them, as BatchNorm does"
            )
    return ""


def shared(module: UserModule) -> str:
    """Whether networks have something in common that is drawn or trained, which only one network may have."""
    other = UserModule(module.user, module.size, module.options, seed=1)
    places = {value.data_ptr() for value in module.tensors.values() if value.numel()}
    if same := [name for name, value in other.tensors.items() if value.data_ptr() in places]:
        return (
            f"has one {same[0]} in all its instances, so that no stream of a trial would draw it: make it in __init__, "
            "and not in the class or the file"
        )
    x_BTI = module.tried(2)
    if unregistered := list(_unregistered(module, x_BTI)):
        return (
            f"uses a parameter of the shape {unregistered[0]} that is not registered, so that it would never be "
            "trained or stored: put modules into torch.nn.ModuleList and parameters into torch.nn.ParameterList, not "
            "into a list, dict or global variable"
        )
    if not torch.equal(module.run(module.tensors, x_BTI, None)[0], other.run(module.tensors, x_BTI, None)[0]):
        return (
            "draws something in __init__ that is neither a parameter nor a buffer of numbers, so that all networks "
            "would share it: use register_buffer"
        )
    return ""


@torch.enable_grad()
def _unregistered(module: UserModule, x_BTI: Tensor) -> Iterator[tuple[int, ...]]:
    """Shapes of the trainable tensors that outputs depend on and that are not among the module's own."""
    own = {name: value.clone().requires_grad_() for name, value in module.tensors.items()}
    known = {id(value) for value in own.values()}
    todo, done = [module.run(own, x_BTI, None)[0].grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in done:
            continue
        done.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in known:
            yield tuple(leaf.shape)
        todo += [each for each, _ in node.next_functions]


def unseeded(module: UserModule) -> str:
    """Whether it draws random numbers in training that do not come from the generators that farback seeds."""
    x_BTI = module.tried(2)
    first, second = (module.run(module.tensors, x_BTI, None, seed=0)[0] for _ in range(2))
    if torch.equal(first, second):
        return ""
    return (
        "draws random numbers in training from a generator of its own, so that no training could be repeated: use "
        "torch.nn.Dropout, torch.rand or the global generators of torch, numpy or random"
    )


@lru_cache(maxsize=256)
@torch.no_grad()
def unresumable(module: UserModule) -> str:
    """Why a sequence cannot be run in two parts; empty if it can."""
    layout = module.layout(module.dtype)
    if layout is None:
        missing = "returns no state with an axis of the sequences" if module.takes_state else "takes no state"
        return f"{missing}, so it cannot resume from one"
    x_BTI, half = module.tried(2), 2
    try:
        whole, end = module.run(module.tensors, x_BTI, None)
        first, state = module.run(module.tensors, x_BTI[:, :half], None)
        if not close(first, whole[:, :half]):
            return "gives outputs that depend on later inputs, as those of a bidirectional module do"
        second, last = module.run(module.tensors, x_BTI[:, half:], state)
    except (ModuleError, ValueError) as error:
        return f"cannot resume from the state that it returns: it {error}"
    assert end is not None and last is not None  # there is a layout  # noqa: PT018
    if close(torch.cat([first, second], 1), whole) and close(last, end):
        return ""
    return (
        "gives other outputs when a sequence is run in two parts with the state passed on: the state must hold "
        "everything that it remembers"
    )


def close(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors differ by rounding only."""
    finite = expected.detach().abs().nan_to_num(0, 0, 0)
    largest = float(finite.max()) if expected.numel() else 0.0
    return torch.allclose(found, expected, rtol=CLOSE, atol=CLOSE * largest, equal_nan=True)

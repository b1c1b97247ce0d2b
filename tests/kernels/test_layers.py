"""A layer from its inputs: equal to torch.nn and to the recurrence, with selected outputs and explicit gradients."""

import itertools

import pytest
import torch
from torch import Tensor

from farback import cells
from farback.kernels.unroll import layer, layer_with_backward, unroll

MODULES = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
SLOW = [(2, 4, 1, 17, 2), (1, 1, 6, 17, 20), (3, 30, 33, 32, 9)]
SIZES = [(1, 1, 1, 1, 1), (3, 7, 5, 3, 3), *(pytest.param(size, marks=pytest.mark.slow) for size in SLOW)]
Drawn = tuple[dict[str, Tensor], Tensor, tuple[Tensor, ...]]


def drawn(name: str, size: tuple[int, ...], dtype: torch.dtype = torch.float64, bias: bool = True) -> Drawn:
    """Parameters, inputs and first state, which all need gradients."""
    R, T, B, H, width = size
    rng = torch.Generator().manual_seed(sum(size))

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng, dtype=dtype).div_(H**0.5).requires_grad_()

    shapes = cells.build(name).parameters(width, H)
    p = {key: draw(R, *shape) for key, shape in shapes.items() if bias or "weight" in key}
    return p, draw(R, T, B, width), tuple(draw(R, B, H) for _ in range(2 if name == "lstm" else 1))


def run(name: str, drawn: Drawn, index: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
    return layer(cells.build(name), drawn[0], drawn[1], drawn[2], index)


def gradients(outputs: tuple[Tensor, ...], drawn: Drawn) -> tuple[Tensor, ...]:
    return torch.autograd.grad(
        sum((part.sin().sum() for part in outputs), torch.zeros((), dtype=drawn[1].dtype)),
        [*drawn[0].values(), drawn[1], *drawn[2]],
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MODULES)
def test_a_layer_equals_torch(name: str, size: tuple[int, ...], bias: bool) -> None:
    given = drawn(name, size, bias=bias)
    p, x, state = given
    output, last = run(name, given)
    theirs = []
    for r in range(size[0]):
        module = MODULES[name](size[4], size[3], bias=bias, dtype=x.dtype)
        own = {f"{key}_l0": value[r] for key, value in p.items()}
        first = tuple(part[r : r + 1] for part in state)
        found, after = torch.func.functional_call(module, own, (x[r], first if name == "lstm" else first[0]))
        theirs.append((found, *(part[0] for part in (after if name == "lstm" else (after,)))))
    expected = tuple(torch.stack(parts) for parts in zip(*theirs, strict=True))
    for ours, reference in zip((output, *last), expected, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-11)
    for ours, reference in zip(gradients((output, *last), given), gradients(expected, given), strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MODULES)
def test_inputs_and_gates_give_the_same_outputs_and_gradients(name: str, size: tuple[int, ...]) -> None:
    given = drawn(name, size)
    cell = cells.build(name)
    one, other = run(name, given), unroll(cell, given[0], cell.project(given[0], given[1]), given[2])
    torch.testing.assert_close((one[0], *one[1]), (other[0], *other[1]), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(
        gradients((one[0], *one[1]), given), gradients((other[0], *other[1]), given), rtol=1e-9, atol=1e-11
    )


@pytest.mark.parametrize("name", MODULES)
def test_gradients_are_derivatives(name: str) -> None:
    p, x, state = drawn(name, (2, 4, 2, 3, 2))
    index = torch.tensor([[1, 4, 5], [0, 2, 7]])

    def outputs(*parts: Tensor) -> tuple[Tensor, ...]:
        values = dict(zip(p, parts[: len(p)], strict=True))
        output, last = layer(cells.build(name), values, parts[len(p)], parts[len(p) + 1 :], index)
        return output, *last

    assert torch.autograd.gradcheck(outputs, (*p.values(), x, *state))


@pytest.mark.parametrize("name", MODULES)
def test_selected_outputs_and_their_gradients_equal_those_of_all_outputs(name: str) -> None:
    given = drawn(name, (2, 7, 5, 3, 3))
    index = torch.tensor([[0, 3, 34], [5, 33, 34]])
    (every, _), (some, _) = run(name, given), run(name, given, index)
    expected = every.flatten(1, 2).gather(1, index.unsqueeze(-1).expand(-1, -1, 3))
    assert torch.equal(some, expected)
    torch.testing.assert_close(gradients((some,), given), gradients((expected,), given), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", MODULES)
def test_packed_equals_alone(name: str) -> None:
    """From views of flat parameters, as in training, and from tensors of its own."""
    size = (5, 9, 33, 20, 9)
    p, x, state = drawn(name, size, torch.float32)
    index = torch.arange(8 * 33, 9 * 33).expand(5, -1)
    flat = torch.cat([value.detach().flatten(1) for value in p.values()], 1)
    parts = torch.split(flat, [value[0].numel() for value in p.values()], 1)
    views = {key: part.view(p[key].shape).requires_grad_() for key, part in zip(p, parts, strict=True)}
    packed = gradients((run(name, (views, x, state), index)[0],), (views, x, state))
    for r in range(5):
        rows = slice(r, r + 1)
        own = {key: value[rows].detach().clone().requires_grad_() for key, value in p.items()}
        alone: Drawn = own, x[rows].detach().requires_grad_(), tuple(s[rows].detach().requires_grad_() for s in state)
        for one, all_ in zip(gradients((run(name, alone, index[rows])[0],), alone), packed, strict=True):
            assert torch.equal(one[0], all_[r])


@pytest.mark.parametrize("selects", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", MODULES)
def test_explicit_gradients_equal_autograd(name: str, bias: bool, selects: bool) -> None:
    p, x, state = drawn(name, (2, 7, 5, 3, 3), bias=bias)
    rest = tuple(torch.zeros_like(part) for part in state)
    w, b = (torch.randn(2, *shape, dtype=x.dtype).requires_grad_() for shape in ((4, 3), (4,)))
    index = torch.tensor([[0, 3, 34], [5, 33, 34]]) if selects else None
    h = run(name, (p, x, rest), index)[0]
    y = h.reshape(2, -1, 3) @ w.mT + b.unsqueeze(1)
    every = {**p, "readout.weight": w, "readout.bias": b}
    expected = torch.autograd.grad(y, list(every.values()), dy := torch.randn_like(y))
    flat = torch.cat([value.detach().flatten(1) for value in every.values()], 1)
    ends = list(itertools.accumulate(value[0].numel() for value in every.values()))
    starts = dict(zip(every, [0, *ends], strict=False))
    found = layer_with_backward(cells.build(name), flat, starts, (3, 4), x.detach(), index)
    assert found is not None
    torch.testing.assert_close(found[0], y.detach())
    for _ in range(2):  # the backward pass can be repeated
        grad = found[1](dy)
        theirs = torch.cat([value.flatten(1) for value in expected], 1)
        torch.testing.assert_close(grad, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("index", [[[0, 0, 1]], [[2, 1, 3]], [[-1, 0, 1]], [[0, 1, 35]]])
def test_an_index_that_does_not_ascend_in_range_is_refused(index: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="strictly increasing, with values from 0 to 34"):
        run("gru", drawn("gru", (1, 7, 5, 3, 3)), torch.tensor(index))


def test_an_index_of_another_shape_is_refused() -> None:
    for index in (torch.zeros(2, 3, dtype=torch.int64), torch.zeros(1, 3), torch.zeros(3, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"must be int64 of shape \(1, N\)"):
            run("gru", drawn("gru", (1, 7, 5, 3, 3)), index)

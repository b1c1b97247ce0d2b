"""The batched product: equal to torch's, and the same bits in any cohort."""

import pytest
import torch
from torch import Tensor

from farback.kernels.linear_layer import linear

SLOW = [(8, 10, 128), (224, 33, 1), (640, 34, 132)]
SIZES = [
    *((1, 1, 1), (7, 33, 99), (8, 9, 18), (32, 1, 18), (45, 2, 27)),
    *(pytest.param(size, marks=pytest.mark.slow) for size in SLOW),
]


def drawn(rows: int, inputs: int, outputs: int, dtype: torch.dtype, replicas: int = 5) -> tuple[Tensor, ...]:
    rng = torch.Generator().manual_seed(rows + inputs + outputs)
    shapes = [(rows, inputs), (outputs, inputs), (outputs,), (rows, outputs)]
    return tuple(torch.randn(replicas, *shape, generator=rng, dtype=dtype) for shape in shapes)


def passes(x: Tensor, w: Tensor, b: Tensor, d: Tensor) -> tuple[Tensor, ...]:
    leaves = [value.clone().requires_grad_() for value in (x, w, b)]
    y = linear(*leaves)
    return (y.detach(), *torch.autograd.grad(y, leaves, d))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_values_and_gradients_are_those_of_torch(
    size: tuple[int, int, int], dtype: torch.dtype, tolerance: float
) -> None:
    x, w, b, d = drawn(*size, dtype)
    leaves = [value.clone().requires_grad_() for value in (x, w, b)]
    y = torch.baddbmm(leaves[2].unsqueeze(1), leaves[0], leaves[1].mT)
    expected = (y.detach(), *torch.autograd.grad(y, leaves, d))
    for ours, theirs in zip(passes(x, w, b, d), expected, strict=True):
        scale = float(theirs.abs().max())
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * scale * max(size) ** 0.5)


@pytest.mark.parametrize("size", SIZES)
def test_packed_equals_alone(size: tuple[int, int, int]) -> None:
    """Wherever in memory its matrices begin: torch.bmm fails this on some processors (docs/log.md)."""
    arguments = drawn(*size, torch.float32)
    together = passes(*arguments)
    for r in range(len(arguments[0])):
        alone = passes(*(value[r : r + 1] for value in arguments))
        for one, all_ in zip(alone, together, strict=True):
            assert torch.equal(one[0], all_[r])


def test_a_wrong_shape_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="w has shape"):
        linear(torch.zeros(1, 2, 3), torch.zeros(1, 4, 5), None)

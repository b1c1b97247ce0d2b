"""A long sequence in stretches of steps that the backward pass computes again: the bits of the pass that keeps all."""

import itertools

import pytest
import torch
from torch import Tensor

from farback import cells
from farback.kernels.fused_layer import stretch
from farback.kernels.symbols import Symbols, steps_of
from farback.kernels.unroll import GatedKernel, layer_with_backward

CELLS = {
    "elman": GatedKernel("elman", "tanh"),
    "elman sin": GatedKernel("elman", "sin"),
    "lstm": GatedKernel("lstm"),
    "gru": GatedKernel("gru"),
}
# R, T, B, H, I: many stretches, the last one short; more sequences than rows of a product; one sequence
SIZES = [(2, 37, 33, 5, 3), (3, 16, 150, 7, 2), (1, 700, 1, 4, 9)]


@pytest.mark.parametrize("selects", [True, False])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_recomputed_equals_kept(name: str, size: tuple[int, ...], selects: bool) -> None:
    R, T, B, H, width = size
    kernel, rng = CELLS[name], torch.Generator().manual_seed(T)
    cell = cells.build({"name": "elman", "nonlinearity": kernel.nonlinearity} if kernel.nonlinearity else name)
    assert cell.kernel == kernel
    shapes = {**cell.parameters(width, H), "readout.weight": (4, H), "readout.bias": (4,)}
    ends = list(itertools.accumulate(torch.Size(shape).numel() for shape in shapes.values()))
    starts = dict(zip(shapes, [0, *ends], strict=False))
    flat, x = torch.randn(R, ends[-1], generator=rng) / H**0.5, torch.randn(R, T, B, width, generator=rng)
    index = torch.stack([torch.randperm(T * B, generator=rng)[: T * B // 3].sort().values for _ in range(R)])
    steps = stretch(kernel.code, x.shape, H, limit=0)
    assert steps is not None
    assert 2 * steps < T

    def passes(limit: int | None) -> tuple[Tensor, Tensor]:
        found = layer_with_backward(cell, flat, starts, (H, 4), x, index if selects else None, limit)
        assert found is not None
        return found[0], found[1](found[0].sin())

    for recomputed, kept in zip(passes(0), passes(None), strict=True):
        assert torch.equal(recomputed, kept)


def test_a_pass_within_the_limit_keeps_all() -> None:
    code = CELLS["lstm"].code
    numbers = 2 * 1000 * 16 * (48 + 5 * 32)  # rows of 32 units, 9 inputs and a one, filled to 48; 5 numbers of a unit
    assert stretch(code, (2, 1000, 16, 9), 32, 4 * numbers) is None
    assert stretch(code, (2, 1000, 16, 9), 32, 4 * numbers - 1) == 32
    assert stretch(code, (2, 10**6, 16, 9), 32, 4 * numbers) == 1000


@pytest.mark.parametrize("name", ["elman", "gru"])
def test_codes_give_the_bits_of_inputs(name: str) -> None:
    R, T, B, H, width = 2, 40, 9, 5, 3
    rng, cell = torch.Generator().manual_seed(T), cells.build(name)
    shapes = {**cell.parameters(width, H), "readout.weight": (4, H), "readout.bias": (4,)}
    ends = list(itertools.accumulate(torch.Size(shape).numel() for shape in shapes.values()))
    starts = dict(zip(shapes, [0, *ends], strict=False))
    flat, rows = torch.randn(R, ends[-1], generator=rng), torch.randn(6, width, generator=rng)
    symbols = Symbols(torch.randint(6, (R, T, B), generator=rng, dtype=torch.uint8), rows)
    dense = steps_of(symbols, 0, T)
    assert torch.equal(dense, rows[symbols.code_RTB.long()])
    assert dense.shape == symbols.shape
    for limit in (0, None):
        one, other = (layer_with_backward(cell, flat, starts, (H, 4), x, None, limit) for x in (symbols, dense))
        assert one is not None
        assert other is not None
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1](one[0].sin()), other[1](other[0].sin()))

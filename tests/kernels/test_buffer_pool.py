"""Blocks that are used again: never two tensors on one block, and no block lost."""

import gc

import torch

from farback.kernels import buffer_pool
from farback.kernels.autograd import Weights, layer
from farback.kernels.buffer_pool import lent
from farback.kernels.gru import FORM

SHAPE = (300, 1000)


def test_a_block_in_use_is_not_lent_again() -> None:
    first, second = lent(SHAPE, torch.float32).fill_(1), lent(SHAPE, torch.float32).fill_(2)
    assert (first == 1).all()
    assert (second == 2).all()


def test_a_block_comes_back_when_the_last_tensor_on_it_is_gone() -> None:
    tensor = lent(SHAPE, torch.float32)
    place, part = tensor.data_ptr(), tensor[3:5]
    del tensor
    other = lent(SHAPE, torch.float32)
    assert other.data_ptr() != place, "a view keeps it"
    del part
    assert lent(SHAPE, torch.float32).data_ptr() == place


def test_blocks_begin_at_a_cache_line_and_hold_what_was_asked_for() -> None:
    for shape in (SHAPE, (1, 70_001), (7, 1, 99_999)):
        for dtype in (torch.float32, torch.float64):
            tensor = lent(shape, dtype)
            assert tensor.shape == shape
            assert tensor.dtype is dtype
            assert tensor.data_ptr() % 64 == 0
            tensor.fill_(3)


def test_what_waits_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(buffer_pool, "_MOST", 4_000_000)
    monkeypatch.setattr(buffer_pool, "_waiting", {})
    tensors = [lent(SHAPE, torch.float32) for _ in range(9)]
    del tensors
    assert 0 < sum(size * len(blocks) for size, blocks in buffer_pool._waiting.items()) <= 4_000_000


def test_what_was_used_last_stays(monkeypatch) -> None:
    """A measure of other sizes must not keep the blocks of a training from being used again."""
    monkeypatch.setattr(buffer_pool, "_MOST", 4_500_000)
    monkeypatch.setattr(buffer_pool, "_waiting", {})
    for rows in (500, 600, 700, 300):
        tensor = lent((rows, 1000), torch.float32)
        place = tensor.data_ptr()
        del tensor
    assert lent(SHAPE, torch.float32).data_ptr() == place
    assert [size for size, blocks in buffer_pool._waiting.items() if blocks] == [
        buffer_pool._rounded(700 * 4000),
        buffer_pool._rounded(300 * 4000),
    ]


def test_what_waits_is_given_back(monkeypatch) -> None:
    monkeypatch.setattr(buffer_pool, "_waiting", {})
    tensor = lent(SHAPE, torch.float32)
    del tensor
    assert buffer_pool._waiting
    buffer_pool.release()
    assert not buffer_pool._waiting


def test_a_gradient_that_was_taken_leaves_nothing_behind(monkeypatch) -> None:
    """A graph that held its own output would keep every block of a sequence until the garbage collector comes by."""
    waiting: dict[int, list[object]] = {}
    monkeypatch.setattr(buffer_pool, "_waiting", waiting)
    R, T, B, H, index = 1, 100, 32, 32, torch.tensor([[5, 3199]])
    x = torch.randn(R, T, B, 4)
    parts = [torch.randn(shape, requires_grad=True) for shape in ((R, 3 * H, 4), (R, 3 * H, H), (R, 3 * H), (R, 3 * H))]
    gc.disable()
    try:
        for _ in range(4):
            output, _ = layer(FORM, x, None, Weights(*parts), (torch.zeros(R, B, H),), index)
            torch.autograd.grad(output.sum(), parts)
            del output, _
            blocks = sum(map(len, waiting.values()))
    finally:
        gc.enable()
    assert 0 < blocks <= 2  # rows and what is kept beside them

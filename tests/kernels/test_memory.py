"""Blocks that are used again: never two tensors on one block, and no block lost."""

import torch

from farback.kernels import memory
from farback.kernels.memory import lent

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
    monkeypatch.setattr(memory, "_MOST", 4_000_000)
    monkeypatch.setattr(memory, "_waiting", {})
    tensors = [lent(SHAPE, torch.float32) for _ in range(9)]
    del tensors
    assert 0 < sum(size * len(blocks) for size, blocks in memory._waiting.items()) <= 4_000_000

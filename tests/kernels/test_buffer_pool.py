"""Blocks of memory that are reused: never two tensors on one block, and no block lost."""

import gc

import pytest
import torch

from farback.kernels import buffer_pool
from farback.kernels.autograd import layer
from farback.kernels.buffer_pool import BufferPool
from farback.kernels.gated_cells import GRU

SHAPE = (300, 1000)


@pytest.fixture
def pool() -> BufferPool:
    return BufferPool(limit=4_500_000)


def waiting_bytes(pool: BufferPool) -> dict[int, int]:
    return {size: size * len(blocks) for size, blocks in pool.waiting.items() if blocks}


def test_a_block_in_use_is_not_lent_again(pool: BufferPool) -> None:
    first, second = pool.empty(SHAPE, torch.float32).fill_(1), pool.empty(SHAPE, torch.float32).fill_(2)
    assert (first == 1).all()
    assert (second == 2).all()


def test_a_block_returns_when_its_last_tensor_is_deleted(pool: BufferPool) -> None:
    tensor = pool.empty(SHAPE, torch.float32)
    place, part = tensor.data_ptr(), tensor[3:5]
    del tensor
    other = pool.empty(SHAPE, torch.float32)
    assert other.data_ptr() != place, "a view still uses the block"
    del part
    assert pool.empty(SHAPE, torch.float32).data_ptr() == place


def test_blocks_begin_at_a_cache_line_and_have_the_requested_shape(pool: BufferPool) -> None:
    for shape in (SHAPE, (1, 70_001), (7, 1, 99_999)):
        for dtype in (torch.float32, torch.float64):
            tensor = pool.empty(shape, dtype)
            assert tensor.shape == shape
            assert tensor.dtype is dtype
            assert tensor.data_ptr() % 64 == 0
            tensor.fill_(3)


def test_waiting_blocks_are_limited(pool: BufferPool) -> None:
    tensors = [pool.empty(SHAPE, torch.float32) for _ in range(9)]
    del tensors
    assert 0 < sum(waiting_bytes(pool).values()) <= pool.limit


def test_the_size_used_last_is_kept(pool: BufferPool) -> None:
    """A measure with other sizes must not free the blocks that training reuses."""
    for rows in (500, 600, 700, 300):
        tensor = pool.empty((rows, 1000), torch.float32)
        place = tensor.data_ptr()
        del tensor
    assert [round(size, -5) for size in waiting_bytes(pool)] == [2_900_000, 1_300_000]
    assert pool.empty(SHAPE, torch.float32).data_ptr() == place


def test_waiting_blocks_are_released(pool: BufferPool) -> None:
    tensor = pool.empty(SHAPE, torch.float32)
    del tensor
    assert pool.waiting
    pool.release()
    assert not pool.waiting


def test_no_block_is_lost_once_a_gradient_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that holds its own output would keep the blocks of a sequence until the garbage collector runs."""
    pool = BufferPool(limit=1 << 29)
    monkeypatch.setattr(buffer_pool, "empty", pool.empty)
    R, T, B, H, index = 1, 100, 32, 32, torch.tensor([[5, 3199]])
    x = torch.randn(R, T, B, 4)
    parts = [torch.randn(shape, requires_grad=True) for shape in ((R, 3 * H, 4), (R, 3 * H, H), (R, 3 * H), (R, 3 * H))]
    gc.disable()
    try:
        for _ in range(4):
            output, _ = layer(GRU, x, None, tuple(parts), (torch.zeros(R, B, H),), index)
            torch.autograd.grad(output.sum(), parts)
            del output, _
            blocks = sum(map(len, pool.waiting.values()))
    finally:
        gc.enable()
    assert 0 < blocks <= 2  # the rows and the kept numbers

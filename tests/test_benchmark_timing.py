"""A reading of `make bench` is the time of one update, also where a side computes several updates at once."""

from __future__ import annotations

import pytest
from benchmarks.speed import timing


class _Clock:
    """Time that passes only when a side works or sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class _Blocks:
    """Computes `block` updates, `seconds` each, in every `block`-th call."""

    def __init__(self, clock: _Clock, block: int, seconds: float, called: int) -> None:
        self.clock, self.block, self.seconds, self.called = clock, block, seconds, called

    def __call__(self) -> None:
        if self.called % self.block == 0:
            self.clock.now += self.block * self.seconds
        self.called += 1


@pytest.mark.parametrize("block", [1, 3, 9, 16])
@pytest.mark.parametrize("called", [0, 3, 7])  # before the timing: a turn may begin anywhere in a block
@pytest.mark.parametrize("seconds", [0.00134, 0.0034, 0.009, 0.3])
def test_every_turn_has_as_many_updates_as_calls(
    monkeypatch: pytest.MonkeyPatch, block: int, called: int, seconds: float
) -> None:
    clock = _Clock()
    monkeypatch.setattr(timing, "time", clock)
    sides = {"blocks": _Blocks(clock, block, seconds, called), "single": _Blocks(clock, 1, 0.002, 0)}
    timed = timing.interleaved(sides, 1.5, {"blocks": block})
    assert len(timed["blocks"]) >= timing.ROUNDS
    assert timed["blocks"] == pytest.approx(seconds)
    assert timed["single"] == pytest.approx(0.002)

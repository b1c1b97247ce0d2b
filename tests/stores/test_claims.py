"""Two living drivers never hold a trial at once, however their steps meet and whatever their clocks say."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farback.stores import owners
from farback.stores.claims import CLAIM, DRIVER, GRAVE, Claims, Lease

LEASE = Lease(beat=1.0, seconds=10.0)


class Wall:
    """A board in memory; `before` is called before each access, and may let other drivers act."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.accesses: list[str] = []
        self.before: Callable[[], None] = lambda: None

    def read(self) -> Mapping[str, str]:
        self.before()
        self.accesses.append("read")
        return dict(self.texts)

    def write(self, name: str, text: str) -> None:
        self.before()
        self.accesses.append("write")
        self.texts[name] = text

    def erase(self, name: str) -> None:
        self.before()
        self.accesses.append("erase")
        self.texts.pop(name, None)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def driver(wall: Wall, clock: Clock, host: str = "far") -> Claims:
    return Claims(wall, LEASE, owner=f"{host}:1:1.00", clock=clock, sleep=lambda seconds: None)


def test_a_trial_is_one_drivers_until_it_is_given_back() -> None:
    wall, clock = Wall(), Clock()
    one, two = driver(wall, clock, "a"), driver(wall, clock, "b")
    assert one.take(["x", "y"]) == {"x", "y"}
    assert one.take(["x"]) == {"x"}
    assert two.take(["x", "y", "z"]) == {"z"}
    one.release(["x"])
    assert two.take(["x"]) == set()  # a batch comes back as a whole
    one.release(["y"])
    assert two.take(["x", "y"]) == {"x", "y"}
    two.close()
    assert one.take(["x", "y", "z"]) == {"x", "y", "z"}
    one.close()
    assert wall.texts == {}


def test_a_claim_costs_the_same_whatever_is_stored() -> None:
    wall, clock = Wall(), Clock()
    one = driver(wall, clock)
    one.take(["first"])
    one.release(["first"])
    costs = []
    for batch in range(50):
        wall.accesses.clear()
        keys = [f"{batch}.{index}" for index in range(10)]
        assert one.take(keys) == set(keys)
        one.release(keys)
        costs.append(list(wall.accesses))
    assert costs == [["read", "write", "read", "erase"]] * 50
    assert list(wall.texts) == [DRIVER + one.id]  # nothing piles up


def test_more_trials_than_a_text_holds_are_claimed_in_several() -> None:
    wall, clock = Wall(), Clock()
    keys = [f"{number:016x}" for number in range(1001)]
    assert driver(wall, clock, "a").take(keys) == set(keys)
    assert max(len(text) for text in wall.texts.values()) < 5000  # what MLflow takes
    assert driver(wall, clock, "b").take(keys) == set()


def test_a_silent_driver_elsewhere_is_dead_after_its_lease_and_not_before() -> None:
    wall, clock = Wall(), Clock()
    one, two = driver(wall, clock, "a"), driver(wall, Clock(1e6), "b")  # clocks that agree on nothing
    one.take(["x"])
    for second in range(10):
        two._clock.now = 1e6 + second
        assert two.take(["x"]) == set()
    two._clock.now = 1e6 + 10
    assert two.take(["x"]) == {"x"}
    assert two.buried == {"a:1:1.00"}
    clock.now = 30.0
    assert one.lost("x")
    assert one.take(["x", "y"]) == {"y"}
    assert not one.lost("y")
    assert not [name for name in wall.texts if name.startswith(GRAVE)]


def test_a_driver_that_gives_signs_of_life_keeps_what_it_has() -> None:
    wall, clock = Wall(), Clock()
    one, two = driver(wall, clock, "a"), driver(wall, clock, "b")
    one.take(["x"])
    for second in range(100):
        clock.now = float(second)
        one.beat()
        assert two.take(["x"]) == set()
    assert not one.lost("x")


def test_time_in_which_nobody_could_reach_the_store_is_not_silence() -> None:
    wall, clock = Wall(), Clock()
    one, two = driver(wall, clock, "a"), driver(wall, clock, "b")
    one.take(["x"])
    two.look()
    clock.now = 1000.0  # the server was gone, then the other driver is the first to come
    assert two.take(["x"]) == set()
    one.beat()
    assert not one.lost("x")


def test_a_process_of_this_machine_is_dead_when_it_is_gone_and_not_when_it_is_slow() -> None:
    wall, clock = Wall(), Clock()
    parent = psutil.Process(os.getppid())
    slow = Claims(wall, LEASE, owner=f"{socket.gethostname()}:{parent.pid}:{parent.create_time():.2f}", clock=clock)
    gone = Claims(wall, LEASE, owner=f"{socket.gethostname()}:{2**22 + 1}:1.00", clock=clock)
    assert (slow.take(["x"]), gone.take(["y"])) == ({"x"}, {"y"})
    two = driver(wall, clock)
    assert two.take(["x", "y"]) == {"y"}
    for second in range(100):
        clock.now = float(second)
        assert two.take(["x"]) == set()


def test_names_of_hosts_are_not_enough_to_tell_that_a_process_is_gone() -> None:
    name, place = owners.owner().split("@")
    machine, boot, table = place.split(".")
    pid = 2**22 + 1
    gone = f"{socket.gethostname()}:{pid}:1.00"
    assert owners.is_dead(gone)  # as earlier releases wrote it
    assert owners.is_dead(f"{gone}@{place}")
    assert owners.is_alive(f"{name}@{place}")
    assert not owners.is_dead(f"{gone}@{machine}.{boot}.another")  # a container of this machine
    assert not owners.is_dead(f"{gone}@another.another.{table}")  # a machine of the same name
    assert not owners.is_dead(f"elsewhere:{pid}:1.00@{place}")
    if machine:
        assert owners.is_dead(f"{name}@{machine}.earlier.{table}")  # before the power was cut


def held_by(drivers: list[Claims], key: str) -> list[Claims]:
    return [each for each in drivers if each.holds(key)]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_of_drivers_whose_steps_interleave_at_most_one_holds_a_trial(data: st.DataObject) -> None:
    """Before any access of one driver to the board, another may run a whole step; steps nest three deep."""
    wall, clock = Wall(), Clock()
    drivers = [driver(wall, clock, name) for name in "abc"]
    resting, depth = set(range(3)), 0

    def step() -> None:
        nonlocal depth
        index = data.draw(st.sampled_from(sorted(resting)))
        what = data.draw(st.sampled_from(["take", "take", "release", "beat", "sleep", "check"]))
        resting.discard(index)
        depth += 1
        try:
            if what == "take":
                drivers[index].take(data.draw(st.sampled_from([["x"], ["x", "y"], ["y"]])))
            elif what == "release":
                drivers[index].release(["x", "y"])
            elif what == "beat":
                drivers[index].beat()
            elif what == "check":
                drivers[index].lost("x")
            else:
                clock.now += data.draw(st.sampled_from([0.5, 2.0, 4.9, 6.0, 11.0]))
        finally:
            depth -= 1
            resting.add(index)

    def others() -> None:
        if depth < 3 and resting and data.draw(st.booleans()):
            step()

    wall.before = others
    for _ in range(data.draw(st.integers(3, 15))):
        step()
        with undisturbed(wall):
            for key in ("x", "y"):  # a driver acts on what it holds only after this question
                claim = [each for each in held_by(drivers, key) if not each.lost(key)]
                assert len([each for each in claim if each.holds(key)]) <= 1


@contextmanager
def undisturbed(wall: Wall) -> Iterator[None]:
    before, wall.before = wall.before, lambda: None
    try:
        yield
    finally:
        wall.before = before


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_driver_killed_at_any_access_blocks_nobody_for_longer_than_a_lease(steps: int) -> None:
    class KilledError(BaseException):
        pass

    wall, clock = Wall(), Clock()
    one, two = driver(wall, clock, "a"), driver(wall, clock, "b")
    left = steps

    def kill() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KilledError

    wall.before = kill
    try:
        one.take(["x", "y"])
        one.release(["x", "y"])
    except KilledError:
        pass
    wall.before = lambda: None
    for second in range(12):
        clock.now = float(second)
        taken = two.take(["x", "y"])
    assert taken == {"x", "y"}
    assert {name for name in wall.texts if name.startswith((CLAIM, GRAVE)) and two.id not in name} == set()

"""Two living drivers never hold a trial at once, however their steps meet and whatever their clocks say."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farback.stores.leases import CLAIM, DRIVER, GRAVE, Claims, Lease
from farback.system import processes

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
    name, place = processes.identity().split("@")
    machine, boot, table = place.split(".")
    pid = 2**22 + 1
    gone = f"{socket.gethostname()}:{pid}:1.00"
    assert processes.is_dead(gone)  # as earlier releases wrote it
    assert processes.is_dead(f"{gone}@{place}")
    assert processes.is_alive(f"{name}@{place}")
    assert not processes.is_dead(f"{gone}@{machine}.{boot}.another")  # a container of this machine
    assert not processes.is_dead(f"{gone}@another.another.{table}")  # a machine of the same name
    assert not processes.is_dead(f"elsewhere:{pid}:1.00@{place}")
    if machine:
        assert processes.is_dead(f"{name}@{machine}.earlier.{table}")  # before the power was cut


class Turns:
    """Drivers in threads of their own, of which one at a time goes on, from one access of the board to the next."""

    def __init__(self, scripts: Sequence[Callable[[], None]]) -> None:
        self.turn = [threading.Semaphore(0) for _ in scripts]
        self.back = threading.Semaphore(0)
        self.current, self.halted = -1, False
        self.waiting = set(range(len(scripts)))
        self.errors: list[BaseException] = []
        for index, script in enumerate(scripts):
            threading.Thread(target=self._run, args=(index, script), daemon=True).start()

    def _run(self, index: int, script: Callable[[], None]) -> None:
        self.turn[index].acquire()
        try:
            if not self.halted:
                script()
        except HaltedError:
            pass
        except BaseException as error:
            self.errors.append(error)
        self.waiting.discard(index)
        self.back.release()

    def pause(self) -> None:
        """Called by the driver whose turn it is: let others go on."""
        mine = self.current
        self.back.release()
        self.turn[mine].acquire()
        if self.halted:
            raise HaltedError

    def give(self, index: int) -> None:
        self.current = index
        self.turn[index].release()
        self.back.acquire()

    def halt(self) -> None:
        self.halted = True
        for index in sorted(self.waiting):
            self.give(index)


class HaltedError(BaseException):
    pass


def play(me: Claims, script: list[str]) -> Callable[[], None]:
    """A driver that does these things one after the other."""

    def run() -> None:
        for line in script:
            what, *keys = line.split()
            if what == "take":
                me.take(keys)
            elif what == "release":
                me.release(keys)
            elif what == "beat":
                me.beat()
            else:
                me.lost("x")

    return run


QUICK = Lease(beat=5.0, seconds=10.0)
ACTIONS = ("take x", "take x y", "take y", "release x", "release x y", "beat", "check")


@settings(max_examples=500, deadline=None)
@given(
    scripts=st.lists(st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=8), min_size=2, max_size=3),
    order=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.0, 0.0, 1.0, 4.0, 6.0, 11.0])), max_size=120),
)
def test_of_drivers_that_run_at_once_at_most_one_holds_a_trial(
    scripts: list[list[str]], order: list[tuple[int, float]]
) -> None:
    """Every order of their accesses to the board, any of them asleep for any time between any two of them."""
    wall, clock = Wall(), Clock()
    drivers = [
        Claims(wall, QUICK, owner=f"{name}:1:1.00", clock=clock, sleep=lambda seconds: None)
        for name, _ in zip("abc", scripts, strict=False)
    ]

    turns = Turns([play(*each) for each in zip(drivers, scripts, strict=True)])
    wall.before = turns.pause
    for index, seconds in order:
        clock.now += seconds
        if index in turns.waiting:
            turns.give(index)
        for key in ("x", "y"):
            holders = [each for each in drivers if each.holds(key) and sure(each)]
            assert len(holders) <= 1
    turns.halt()
    assert not turns.errors


@pytest.mark.parametrize("waking", ["check", "beat", "take x"])
def test_a_driver_that_wakes_while_it_is_buried_and_the_one_that_buries_it_never_both_hold(waking: str) -> None:
    """Every order of the accesses of the two, exhaustively."""
    outcomes = set()
    for early in range(6):  # accesses of the waking one among the first 12 of both
        for places in combinations(range(12), early):
            wall, clock = Wall(), Clock()
            asleep, other = (
                Claims(wall, QUICK, owner=f"{name}:1:1.00", clock=clock, sleep=lambda seconds: None) for name in "ab"
            )
            asleep.take(["x"])
            other.look()
            clock.now = 10.0
            turns = Turns([play(asleep, [waking]), play(other, ["take x"])])
            wall.before = turns.pause
            schedule = [0 if step in places else 1 for step in range(12)] + [0] * 12 + [1] * 20
            for index in schedule:
                if index in turns.waiting:
                    turns.give(index)
                assert not (asleep.holds("x") and sure(asleep) and other.holds("x") and sure(other))
            assert not turns.waiting
            assert not turns.errors
            wall.before = lambda: None
            kept = asleep.holds("x") and not asleep.lost("x")
            taken = other.holds("x") and not other.lost("x")
            assert kept + taken <= 1
            outcomes.add((kept, taken))
    assert {(True, False), (False, True)} <= outcomes


def sure(each: Claims) -> bool:
    """Whether a driver would act on what it holds without another look."""
    return each._proven is not None and each.sure


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

"""Leases: drivers on one store share its trials, whatever their clocks show and whichever of them is killed."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress

import psutil
import pytest
from boards import SILENT_SECONDS, MemoryBoard, Player
from hypothesis import example, given, settings
from hypothesis import strategies as st

from farback.stores.leases import HEARTBEAT, Heartbeat
from farback.system import processes

UNUSED_PID = 2**22 + 1  # above the largest that Linux gives


@pytest.fixture
def board() -> MemoryBoard:
    return MemoryBoard()


def test_one_driver_leases_a_trial_until_it_releases_it(board: MemoryBoard) -> None:
    one, two = board.driver("a:1:1.00"), board.driver("b:1:1.00")
    assert one.take(["x", "y"]) == {"x", "y"}
    assert one.take(["x"]) == {"x"}
    assert two.take(["x", "y", "z"]) == {"z"}
    one.release(["x"])
    assert two.take(["x"]) == set()  # a list comes back as a whole
    one.release(["y"])
    assert two.take(["x", "y"]) == {"x", "y"}
    two.close()
    assert one.take(["x", "y", "z"]) == {"x", "y", "z"}
    one.close()
    assert board.texts == {}


def test_the_cost_of_a_lease_is_constant(board: MemoryBoard) -> None:
    one = board.driver("a:1:1.00")
    one.take(["first"])
    one.release(["first"])
    for batch in range(50):
        board.accesses.clear()
        keys = [f"{batch}.{index}" for index in range(10)]
        assert one.take(keys) == set(keys)
        one.release(keys)
        assert board.accesses == ["read", "write", "read", "erase"]
    assert list(board.texts) == [HEARTBEAT + one.id]  # nothing piles up


def test_many_keys_are_leased_in_several_texts(board: MemoryBoard) -> None:
    keys = [f"{number:016x}" for number in range(1001)]
    assert board.driver("a:1:1.00").take(keys) == set(keys)
    assert max(len(text) for text in board.texts.values()) < 5000  # what MLflow takes
    assert board.driver("b:1:1.00").take(keys) == set()


@pytest.mark.parametrize("process", ["far:1:1.00", "this host, another machine", "this host, another container"])
def test_a_driver_on_another_machine_counts_as_dead_after_silent_seconds(board: MemoryBoard, process: str) -> None:
    name, place = processes.identity().split("@")
    gone, (machine, boot, table) = f"{name.split(':')[0]}:{UNUSED_PID}:1.00", place.split(".")
    if process.startswith("this host"):
        process = f"{gone}@{machine}.{boot}.other" if "container" in process else f"{gone}@other.other.{table}"
    one, two = board.driver(process), board.driver("b:1:1.00", ahead=1e6)  # clocks that agree on nothing
    one.take(["x"])
    for second in range(10):
        board.now = 1000.0 + second  # it looks for the first time: before, nobody may have reached the store
        assert two.take(["x"]) == set()
    assert two.dead == set()
    board.now = 1010.0
    assert two.take(["x"]) == {"x"}
    assert two.dead == {process}
    assert not [name for name in board.texts if one.id in name]


def test_a_heartbeat_keeps_a_lease(board: MemoryBoard) -> None:
    one, two = board.driver("a:1:1.00"), board.driver("b:1:1.00")
    one.beat()
    assert board.texts == {}  # without a lease there is nothing to keep
    one.take(["x"])
    for second in range(100):
        board.now = float(second)
        one.beat()
        assert two.take(["x"]) == set()


def test_a_slow_process_of_this_machine_is_not_dead(board: MemoryBoard) -> None:
    parent = psutil.Process(os.getppid())
    slow = board.driver(f"{socket.gethostname()}:{parent.pid}:{parent.create_time():.2f}")
    gone, two = board.driver(f"{socket.gethostname()}:{UNUSED_PID}:1.00"), board.driver("b:1:1.00")
    assert (slow.take(["x"]), gone.take(["y"])) == ({"x"}, {"y"})
    assert two.take(["x", "y"]) == {"y"}
    assert two.dead == {gone.process}
    board.now = 100.0
    assert two.take(["x"]) == set()


@pytest.mark.parametrize(("access", "is_earlier"), [(1, False), (3, True)])
def test_the_earlier_of_two_simultaneous_leases_is_kept(board: MemoryBoard, access: int, is_earlier: bool) -> None:
    """The second driver acts within the first one's `take`: between its first look and its lease, or just after it."""
    one, two, taken = board.driver("a:1:1.00"), board.driver("b:1:1.00"), set[str]()

    def act() -> None:
        if len(board.accesses) == access:
            board.before = lambda: None
            taken.update(two.take(["x", "y"]))

    board.before = act
    kept = one.take(["w", "x"])
    assert (kept, taken) == (({"w", "x"}, {"y"}) if is_earlier else ({"w"}, {"x", "y"}))


@pytest.mark.parametrize("access", range(6))
def test_leases_of_a_killed_driver_end_after_silent_seconds(board: MemoryBoard, access: int) -> None:
    one, two = board.driver("a:1:1.00"), board.driver("b:1:1.00")
    board.fail_once(access, SystemExit())
    with suppress(SystemExit):
        one.take(["x", "y"])
        one.release(["x", "y"])
        one.close()
    two.look()
    board.now = SILENT_SECONDS
    assert two.take(["x", "y"]) == {"x", "y"}
    two.close()
    assert board.texts == {}


@pytest.mark.parametrize("access", range(6))
def test_a_retried_call_leaves_no_texts(board: MemoryBoard, access: int) -> None:
    """The store retries every call."""
    one = board.driver("a:1:1.00")
    board.fail_once(access, ConnectionError())
    for call in (lambda: one.take(["x"]), lambda: one.release(["x"]), one.close):
        try:
            call()
        except ConnectionError:
            call()
    assert board.texts == {}


ACTIONS = st.sampled_from(["take x", "take x y", "take y", "release x", "release x y", "beat", "look", "close"])
SECONDS = st.sampled_from([0.0, 0.0, 4.0, 11.0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ACTIONS, max_size=8), min_size=2, max_size=3), st.lists(st.tuples(st.integers(0, 2), SECONDS)))
def test_no_key_is_lost_however_drivers_interleave(scripts: list[list[str]], order: list[tuple[int, float]]) -> None:
    """Every driver may sleep before any access, for so long that others take it for dead."""
    board = MemoryBoard()
    players = [Player(board.driver(f"{index}:1:1.00"), [*each, "close"]) for index, each in enumerate(scripts)]
    board.before = lambda: [player.end_turn() for player in players].clear()
    for player in players:
        player.thread.start()
    for index, seconds in order:
        board.now += seconds
        players[index % len(players)].give_turn()
    while any(player.script for player in players):
        for player in players:
            player.give_turn()
    assert [player.errors for player in players] == [[] for _ in players]
    after = board.driver("after:1:1.00")
    after.look()
    board.now += SILENT_SECONDS
    assert after.take(["x", "y"]) == {"x", "y"}
    after.close()
    assert board.texts == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), ACTIONS, SECONDS)))
@example([(0, "take x", 0), (1, "look", 0), (0, "close", 0), (2, "look", 11), (0, "take x", 0), (1, "take x", 0)])
def test_one_driver_holds_a_key_if_accesses_do_not_overlap(steps: list[tuple[int, str, float]]) -> None:
    board = MemoryBoard()
    players = [Player(board.driver(f"{index}:1:1.00")) for index in range(3)]
    for index, what, seconds in steps:
        for player in players:
            player.leases.beat()
        board.now += seconds
        free = {"x", "y"} - board.leased
        players[index].act(what)
        held = [key for player in players for key in player.held]
        assert len(held) == len(set(held))
        if what.startswith("take"):
            assert free & set(what.split()[1:]) <= players[index].held
    for player in players:
        player.act("close")
    assert board.texts == {}


def test_a_heartbeat_continues_after_an_error_and_can_be_stopped() -> None:
    calls, enough = [], threading.Event()

    def beat() -> None:
        calls.append(time.monotonic())
        if len(calls) == 3:
            enough.set()
        raise ConnectionError

    heartbeat = Heartbeat(beat, 0.01)
    heartbeat.start()
    heartbeat.start()
    assert enough.wait(10)
    heartbeat.stop()
    made = len(calls)
    time.sleep(0.05)
    assert len(calls) == made
    Heartbeat(beat, 0.01).stop()  # one that was not started

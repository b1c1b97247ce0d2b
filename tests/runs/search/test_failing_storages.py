"""A storage that fails for a while, or for good: searches retry as sweeps do, and say one sentence."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from small_search import Small

from farback.experiment import Search
from farback.runs.search import search
from farback.runs.search.study import GroupStudy
from farback.stores import studies
from farback.stores.memory import Memory
from farback.stores.retries import StoreFault
from farback.stores.studies import Storage, located, opened


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process' hold on a database, from its own thread."""
    held, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as holder:
            holder.execute("begin exclusive")
            held.set()
            ended.wait(60)
            holder.execute("rollback")

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    threading.Timer(1.5, ended.set).start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def storage_of(config: Search, retry_seconds: float = 60.0) -> Storage:
    return opened(located(None, config.root), retry_seconds)


def begun(config: Search, storage: Storage) -> GroupStudy:
    return GroupStudy(config, config.groups[0], storage, 6)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself waits for a moment only, so that the lock reaches `Retries`."""
    monkeypatch.setattr(studies, "BUSY_SECONDS", 0.1)


@pytest.mark.parametrize("call", ["open", "begin", "take", "complete", "fail"])
@pytest.mark.usefixtures("impatient")
def test_each_call_waits_for_a_storage_that_another_process_has_locked(
    small: Small, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = small()
    storage = storage_of(config)
    own = begun(config, storage)
    (taken,) = own.take(1)
    calls: dict[str, Callable[[], object]] = {
        "open": lambda: storage_of(config),
        "begin": lambda: begun(config, storage),
        "take": lambda: own.take(1),
        "complete": lambda: own.complete(taken, [0.5]),
        "fail": lambda: own.fail(taken, "no", blameless=True),
    }
    with locked(storage.path):
        assert calls[call]()
    assert "optuna.db: another process has locked it" in caplog.text
    assert "database is locked" in caplog.text


@pytest.mark.usefixtures("impatient")
def test_a_storage_that_stays_locked_ends_the_search_with_one_sentence(small: Small) -> None:
    config = small()
    storage = storage_of(config, retry_seconds=0.3)
    own = begun(config, storage)
    (taken,) = own.take(1)
    with (
        locked(storage.path),
        pytest.raises(StoreFault, match=r"optuna.db cannot be used: another process has locked it.*resumes") as one,
    ):
        own.complete(taken, [0.5])
    assert one.value.__cause__ is None
    assert own.complete(taken, [0.5])


def each_connection_runs(storage: Storage, *statements: str) -> None:
    def run(connection: sqlite3.Connection, _: object) -> None:
        for statement in statements:
            connection.execute(statement)

    storage.rdb.engine.dispose()
    sqlalchemy.event.listen(storage.rdb.engine, "connect", run)


def test_a_full_disk_is_one_sentence(small: Small) -> None:
    config = small()
    storage = storage_of(config)
    own = begun(config, storage)
    (taken,) = own.take(1)
    each_connection_runs(storage, "pragma max_page_count = 1")  # SQLite then keeps the pages that there are
    with pytest.raises(StoreFault, match=r"optuna.db cannot be used: there is no space left.*run the same command"):
        own.note(taken.id, reason="x" * 100_000)


def test_a_storage_that_becomes_read_only_ends_a_search_and_the_same_command_resumes(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, store, plain = small(), Memory(), studies.opened

    def read_only(uri: str) -> Storage:
        storage = plain(uri)
        begun(config, storage)
        each_connection_runs(storage, "pragma query_only = 1")
        return storage

    with monkeypatch.context() as patch:
        patch.setattr("farback.runs.search.api.opened", read_only)
        began = time.monotonic()
        with pytest.raises(StoreFault, match=r"optuna.db cannot be used: it cannot be written to"):
            search(config, workers=1, store=store)
        assert time.monotonic() - began < 60  # also where it puts settings back
    found = search(config, workers=1, store=store)
    assert found.failed == 0
    assert [winner.group for winner in found.winners] == [group.label for group in config.groups]


def test_a_study_that_exists_is_loaded_at_once(small: Small) -> None:
    """Optuna raises an error first, for the same reason as two processes that write one record."""
    config = small()
    first = begun(config, storage_of(config))
    began = time.monotonic()
    second = begun(config, storage_of(config, retry_seconds=30))
    assert time.monotonic() - began < 15
    assert second.study._study_id == first.study._study_id

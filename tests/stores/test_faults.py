"""What cannot be used as a store is refused with a message, and nothing of it is changed."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from made_up import finished, progress, trial

from farback.stores import locations, retries
from farback.stores.mlflow import MLflow
from farback.stores.retries import Retries, StoreFault, diagnosed


def contents(folder: Path) -> dict[str, str]:
    """Every file, but for lock files, by a hash of what it holds."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refused(uri: str, said: str, seconds: float = 0.5) -> None:
    with pytest.raises(StoreFault, match=said):
        MLflow(uri, retry_seconds=seconds)


@pytest.mark.parametrize("text", ["a letter to a friend\n" * 100, "x", "SQLite format 3\0" + "x" * 4096])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text(text)
    refused(locations.SQLITE + str(path), r"mlflow.db.*(not a database|damaged|not MLflow).*nothing was changed")
    assert path.read_text() == text
    assert list(contents(tmp_path)) == ["mlflow.db"]


def test_an_empty_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.touch()
    refused(locations.SQLITE + str(path), "is an empty file")
    refused(locations.SQLITE + str(tmp_path), "is a folder")
    refused(locations.SQLITE + str(path / "deeper" / "mlflow.db"), "is a file")
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("version", "said"),
    [("ffffffffffff", "newer MLflow .tables ffffffffffff"), ("451aebb31d03", "older MLflow.*mlflow db upgrade")],
)
def test_tables_of_another_version_are_refused(uri: str, tmp_path: Path, version: str, said: str) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as opened:
        opened.execute("update alembic_version set version_num = ?", (version,))
        opened.execute("drop table spans")  # MLflow would make what it misses
        opened.commit()
        opened.execute("pragma wal_checkpoint(truncate)")
    before = contents(tmp_path)
    refused(uri, said)
    assert contents(tmp_path) == before


def test_databases_of_other_programs_are_refused(tmp_path: Path) -> None:
    uri = locations.SQLITE + str(tmp_path / "optuna.db")
    optuna.storages.RDBStorage(uri).engine.dispose()
    before = contents(tmp_path)
    refused(uri, "belongs to Optuna.*nothing was changed")
    assert contents(tmp_path) == before
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as opened:
        opened.execute("create table orders (number int)")
    refused(locations.SQLITE + str(tmp_path / "shop.db"), "not MLflow's.*nothing was changed")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process' hold on a database."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("begin immediate")
        yield
        holder.execute("rollback")


def test_retries_of_a_locked_database_end(uri: str, tmp_path: Path) -> None:
    with locked(tmp_path / "mlflow.db"):
        began = time.monotonic()
        refused(uri, "locked it for . s.*the same command resumes from there", seconds=1.0)
        assert time.monotonic() - began < 15  # MLflow does not retry on top of it
    MLflow(uri).close()


def test_a_database_that_is_locked_for_a_while_is_retried(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()

    def hold() -> None:
        with locked(tmp_path / "mlflow.db"):
            ended.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    threading.Timer(1.5, ended.set).start()
    MLflow(uri, retry_seconds=60).close()
    holder.join()
    assert [record.message for record in caplog.records if "another process has locked it" in record.message]
    assert "is back after" in caplog.records[-1].message


def test_a_database_damaged_while_open_is_refused(uri: str, tmp_path: Path) -> None:
    with MLflow(uri) as store:
        store.begin("first", [trial()]).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as opened:
        opened.execute("pragma wal_checkpoint(truncate)")
    path = tmp_path / "mlflow.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreFault, match=r"damaged: nothing was changed"), MLflow(uri) as store:
        store.begin("first", [trial()])


def test_retries_end_with_a_message_that_names_the_store(caplog: pytest.LogCaptureFixture) -> None:
    retried = Retries("postgresql://me:sesame@host/db", 1.2)
    calls = []

    def call() -> None:
        calls.append(time.monotonic())
        raise ConnectionRefusedError("connection to postgresql://me:sesame@host/db refused")

    with pytest.raises(StoreFault) as caught:
        retried.call(call)
    assert len(calls) >= 3
    assert calls[-1] - calls[0] >= 1.2
    said = str(caught.value) + caplog.text
    assert "sesame" not in said
    assert "postgresql://***@host/db" in said
    assert caught.value.__cause__ is None


def test_a_call_that_succeeded_without_an_answer_is_not_repeated() -> None:
    made = []

    def call() -> str:
        made.append("run")
        raise ConnectionResetError("the answer was lost")

    assert Retries("here", 5).call(call, lambda: made[0] if made else None) == "run"
    assert made == ["run"]


def test_other_errors_are_not_caught() -> None:
    with pytest.raises(KeyError):
        Retries("here", 5).call(lambda: {}["x"])


@pytest.mark.parametrize(
    ("error", "advice", "retry"),
    [
        (OSError(28, "No space left on device"), retries.FULL, False),
        (sqlite3.OperationalError("disk I/O error"), retries.FAILING, False),
        (OSError(27, "File too large"), retries.FULL, False),
        (OSError(30, "Read-only file system"), retries.READ_ONLY, False),
        (sqlite3.OperationalError("database or disk is full"), retries.FULL, False),
        (sqlite3.OperationalError("attempt to write a readonly database"), retries.READ_ONLY, False),
        (sqlite3.DatabaseError("database disk image is malformed"), retries.BROKEN, False),
        (sqlite3.OperationalError("database is locked"), retries.LOCKED, True),
        (RuntimeError('FATAL:  password authentication failed for user "x"'), retries.DENIED, False),
        (RuntimeError("FATAL:  the database system is shutting down"), retries.GONE, True),
        (TimeoutError("timed out"), retries.GONE, True),
    ],
)
def test_an_error_is_diagnosed_from_its_texts_and_causes(error: Exception, advice: str, retry: bool) -> None:
    wrapped = ValueError("something else")
    wrapped.__cause__ = error
    for each in (error, wrapped):
        found = diagnosed(each)
        assert found is not None
        assert (found.advice, found.retry) == (advice, retry)
    assert diagnosed(ValueError("a bug")) is None


def test_a_result_that_does_not_fit_on_the_disk_is_not_recorded(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact files come first: a run that says FINISHED has them, whatever happened."""
    one = trial()

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    with MLflow(uri) as store:
        recorder = store.begin("first", [one])
        recorder.put(progress(one))
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            with pytest.raises(StoreFault, match=r"no space left.*run the same command again"):
                recorder.put(finished(one))
        recorder.abandon()
    with MLflow(uri) as store, store.begin("first", [one]) as recorder:
        assert store.finished("first", [one.key]) == set()
        recorder.put(finished(one))
        assert store.finished("first", [one.key]) == {one.key}

"""Studies on a real PostgreSQL: several processes share them from the first call on, and some are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy
from small_search import SMALL, Small

from farback.experiment import Experiment
from farback.records.user_error import UserError
from farback.runs.search import history, search, winners
from farback.runs.search.api import checked_search
from farback.stores import database
from farback.stores.memory import Memory
from farback.stores.studies import opened

DRIVE = """
import sys
from farback.runs.search import search
from farback.stores.memory import Memory
search(sys.argv[1], workers=1, store=Memory(), storage=sys.argv[2])
"""
TRIALS = 6


def started(config: Path, uri: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", DRIVE, str(config), uri]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)


def begun(uri: str) -> int:
    """How many trials have begun; 0 while there are no tables (to open them with Optuna would make them, too)."""
    with database.engine(uri).connect() as connection:
        if "trials" not in sqlalchemy.inspect(connection).get_table_names():
            return 0
        query = sqlalchemy.text("select count(*) from trials where state <> 'WAITING'")
        return int(connection.execute(query).scalar_one())


@pytest.mark.slow
@pytest.mark.parametrize("kill", [False, True], ids=["whole", "one killed"])
def test_processes_that_meet_on_an_empty_server_share_its_studies(small: Small, postgres_uri: str, kill: bool) -> None:
    config = small(text=SMALL.replace("steps: 4", "steps: 200").replace("trials: 4", f"trials: {TRIALS}")).path
    crowd = [started(config, postgres_uri) for _ in range(3 if kill else 2)]
    until = time.monotonic() + 240
    while begun(postgres_uri) < 2:
        assert time.monotonic() < until, [process.poll() for process in crowd]
        time.sleep(0.1)
    if kill:
        crowd[0].send_signal(signal.SIGKILL)
    for process in crowd:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == (-signal.SIGKILL if kill and process is crowd[0] else 0), errors.decode()
    experiment = checked_search(Experiment.load(config))
    search(experiment, workers=1, store=Memory(), storage=postgres_uri)  # the trials that the killed process left
    table = history(experiment, postgres_uri)
    counted = table[table["counted"]]
    assert counted.groupby("group").size().to_dict() == {"RNN tanh": TRIALS, "memoryless": TRIALS}
    assert not counted.duplicated(["group", "slot"]).any()
    assert (counted["state"] == "complete").all()
    assert len(winners(experiment, table)) == 2


def test_one_process_at_a_time_is_in_the_block(postgres_uri: str) -> None:
    first, second = opened(postgres_uri), opened(postgres_uri)
    with first.lock, pytest.MonkeyPatch.context() as patch:
        patch.setattr("farback.stores.database.ADVISORY_SECONDS", 0.3)
        began = time.monotonic()
        with second.lock:  # waits, then continues without the lock, which only saves work
            assert time.monotonic() - began >= 0.3
    began = time.monotonic()
    with second.lock:
        assert time.monotonic() - began < 0.3


def test_a_password_that_is_wrong_is_not_shown(postgres_uri: str) -> None:
    secret = "not-the-password"
    head, _, tail = postgres_uri.rpartition("@")
    with pytest.raises(UserError, match="cannot be used: access is denied") as caught:
        opened(f"{head.rpartition(':')[0]}:{secret}@{tail}")
    assert secret not in str(caught.value)

"""`make ui` and `make dashboard` for real: one port, on this machine only, for its own pages only, and nothing left."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from farback.cli import ui
from farback.runs import sweep
from farback.stores.mlflow import MLflow
from farback.stores.retries import StoreFault
from farback.stores.studies import opened
from farback.system.page_access import Access

CONFIG = """\
name: tiny
base: {task: {name: recall, symbols: 2}, lag: 1, cell: elman, hidden: 2, batch: 2, steps: 1, evaluate_every: 1}
"""
FOREIGN = [
    "attacker.example",
    "10.attacker.example",
    "192.168.attacker.example",
    "127.0.0.1.attacker.example",
    "0.0.0.0",
]
# What a user may have set for a server of others; ours must not follow.
LOOSE = {
    "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "*",
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
    "MLFLOW_HOST": "0.0.0.0",
    "MLFLOW_UVICORN_OPTS": "--host 0.0.0.0",
    "UVICORN_HOST": "0.0.0.0",
    "GUNICORN_CMD_ARGS": "--bind 0.0.0.0",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Served:
    """A command that serves, its port, and the token in the links that it printed."""

    process: psutil.Process
    port: int
    token: str

    @property
    def signed(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Served]:
    """A command of farback's that serves, once it answers."""
    port = free_port()
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")} | LOOSE
    command = [sys.executable, "-m", "farback.cli", *arguments, "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if "Ctrl-C" in line:
                break
        else:
            pytest.fail(f"it ended without serving: {printed}")
        tokens = set(re.findall(rf"http://127.0.0.1:{port}/\S*[?]token=([\w-]+)", printed))
        yield Served(psutil.Process(process.pid), port, tokens.pop() if tokens else "")
        assert not tokens
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def listened(process: psutil.Process) -> set[tuple[str, int]]:
    """Every address that a process or a descendant listens on."""
    tree = [process, *process.children(recursive=True)]
    found = [each.net_connections("all") for each in tree]
    inet = {one.laddr for each in found for one in each if one.family in (socket.AF_INET, socket.AF_INET6)}
    waiting = {
        one.laddr for each in found for one in each if one.status == psutil.CONN_LISTEN or one.type == socket.SOCK_DGRAM
    }
    return {(address.ip, address.port) for address in inet & waiting}


def status(port: int, method: str, path: str, body: str = "", **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body or None, {"Content-Type": "application/json", **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def ends(process: psutil.Process, number: signal.Signals, port: int) -> None:
    """It ends by a signal, with its children, and lets go of its port."""
    tree = process.children(recursive=True)
    os.kill(process.pid, number)
    until = time.monotonic() + 40
    while time.monotonic() < until and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.1)
    _, alive = psutil.wait_procs(tree, timeout=20)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", port))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_ui_serves_its_user_only(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "diary.txt").write_text("private")
    uri = f"sqlite:///{tmp_path}/secret-name.db"
    with MLflow(uri) as store:
        sweep.run(tmp_path / "tiny.yaml", workers=1, store=store)
        found = store.client.mlflow.get_experiment_by_name("tiny").experiment_id
        (run,) = store.client.search(found, "tags.kind = 'trial'")
    with serving(tmp_path, "ui", "--store", uri) as served:
        port, signed = served.port, served.signed
        assert listened(served.process) == {("127.0.0.1", port)}
        own = [each for each in served.process.children(recursive=True) if "mlflow" in " ".join(each.cmdline())]
        assert own
        lines = [word for each in (served.process, *own) for word in each.cmdline()[4:]]
        assert not any("secret-name" in word for each in own for word in each.cmdline())
        assert not any(served.token in word for word in lines)

        search = ("POST", "/api/2.0/mlflow/experiments/search", '{"max_results": 1}')
        assert status(port, *search, **signed) == 200
        assert status(port, *search, **signed, Host=f"localhost:{port}", Origin=f"http://localhost:{port}") == 200
        for path in ("/", "/health", "/version", f"/?token={served.token}x", "/v1/traces"):
            assert status(port, "GET", path) == 403, path
        assert status(port, *search) == 403
        assert status(port, *search, Authorization="Bearer guess") == 403
        assert status(port, *search, **signed, Origin=f"http://127.0.0.1:{port + 1}") == 403
        for host in FOREIGN:
            assert status(port, "GET", "/", **signed, Host=host) == 403, host
            assert status(port, *search, **signed, Host=f"{host}:{port}") == 403, host
            assert status(port, *search, **signed, Origin=f"http://{host}") == 403, host

        artifact = f"/get-artifact?path=result.json&run_uuid={run.info.run_id}"
        assert status(port, "GET", artifact, **signed) == 200
        address = (tmp_path / "private").as_uri()
        made = ("POST", "/api/2.0/mlflow/experiments/create", f'{{"name": "x", "artifact_location": "{address}"}}')
        assert status(port, *made, **signed) == 200
        with sqlite3.connect(tmp_path / "secret-name.db") as opened:
            opened.execute("update runs set artifact_uri = ? where run_uuid = ?", (address, run.info.run_id))
        opened.close()
        for path in ("/get-artifact?path=diary.txt&run_uuid=", "/ajax-api/2.0/mlflow/artifacts/list?run_id="):
            assert status(port, "GET", path + run.info.run_id, **signed) == 400
        upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run.info.run_id}&path=diary.txt"
        assert status(port, "POST", upload, "theirs", **signed) == 400
        assert (tmp_path / "private" / "diary.txt").read_text() == "private"
        ends(served.process, number, port)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_dashboard_serves_its_user_only(tmp_path: Path, number: signal.Signals) -> None:
    uri = f"sqlite:///{tmp_path}/optuna.db"
    opened(uri).rdb.engine.dispose()
    with serving(tmp_path, "dashboard", "--storage", uri) as served:
        port, signed = served.port, served.signed
        assert listened(served.process) == {("127.0.0.1", port)}
        assert status(port, "GET", "/api/studies") == 403
        assert status(port, "GET", "/api/studies", **signed) == 200
        assert status(port, "GET", "/api/studies", **signed, Origin=f"http://127.0.0.1:{port}") == 200
        for host in FOREIGN:
            assert status(port, "GET", "/api/studies", **signed, Host=host) == 403, host
            assert status(port, "GET", "/api/studies", **signed, Host=f"{host}:{port}") == 403, host
            assert status(port, "GET", "/api/studies", **signed, Origin=f"http://{host}") == 403, host
        ends(served.process, number, port)


@pytest.mark.slow
def test_the_ui_refuses_another_program_s_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "bookmarks.db") as foreign:
        foreign.execute("create table bookmarks (address)")
    foreign.close()
    before = (tmp_path / "bookmarks.db").read_bytes()
    with pytest.raises(StoreFault, match=r"bookmarks\.db is not MLflow's; nothing was changed"):
        ui.serve(f"sqlite:///{tmp_path}/bookmarks.db", port=free_port())
    assert (tmp_path / "bookmarks.db").read_bytes() == before


def test_neither_command_has_an_option_for_another_host() -> None:
    """To serve others is another command, MLflow's own, with a password: docs/security.md."""
    from typer.testing import CliRunner

    from farback.cli import app

    for command in ("ui", "dashboard"):
        result = CliRunner().invoke(app, [command, "--host", "0.0.0.0"])
        assert result.exit_code == 2
        assert re.search("No such option", result.output)


def test_no_environment_variable_turns_off_the_server_s_checks() -> None:
    made = ui.environment(
        "sqlite:///x.db", Access(5123), {**LOOSE, "HOME": "/home/anna", "MLFLOW_S3_ENDPOINT_URL": "http://s3"}
    )
    assert made["MLFLOW_SERVER_ALLOWED_HOSTS"] == "127.0.0.1:5123,localhost:5123"
    assert made["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:5123,http://localhost:5123"
    assert made["MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"] == "false"
    assert {"MLFLOW_HOST", "MLFLOW_UVICORN_OPTS", "UVICORN_HOST", "GUNICORN_CMD_ARGS"}.isdisjoint(made)
    assert made["HOME"] == "/home/anna"
    assert made["MLFLOW_S3_ENDPOINT_URL"] == "http://s3"

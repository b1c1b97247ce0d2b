"""`make ui` and `make dashboard` for real: one port, on this machine only, for its own pages only, and nothing left."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from farback.cli import ui
from farback.runs import sweep
from farback.stores.mlflow import MLflow
from farback.stores.studies import opened

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
CHECKS_HOSTS = tuple(map(int, version("mlflow").split(".")[:2])) >= (3, 5)  # earlier servers have no such check
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


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple[psutil.Process, int]]:
    """A command of farback's that serves, once it answers; its process and its port."""
    port = free_port()
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")} | LOOSE
    command = [sys.executable, "-m", "farback.cli", *arguments, "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        else:
            pytest.fail("it ended without serving")
        yield psutil.Process(process.pid), port
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
def test_the_ui_serves_this_machine_only(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    uri = f"sqlite:///{tmp_path}/secret-name.db"
    with MLflow(uri) as store:
        sweep.run(tmp_path / "tiny.yaml", workers=1, store=store)
    with serving(tmp_path, "ui", "--store", uri) as (process, port):
        assert listened(process) == {("127.0.0.1", port)}
        own = [each for each in process.children(recursive=True) if "mlflow" in " ".join(each.cmdline())]
        assert own
        assert not any("secret-name" in word for each in own for word in each.cmdline())
        search = ("POST", "/api/2.0/mlflow/experiments/search", '{"max_results": 1}')
        assert status(port, *search) == 200
        assert status(port, *search, Host=f"localhost:{port}", Origin=f"http://localhost:{port}") == 200
        for host in FOREIGN if CHECKS_HOSTS else ():
            assert status(port, "GET", "/", Host=host) == 403, host
            assert status(port, *search, Host=f"{host}:{port}") == 403, host
            assert status(port, *search, Origin=f"http://{host}") == 403, host
        ends(process, number, port)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_dashboard_serves_this_machine_only(tmp_path: Path, number: signal.Signals) -> None:
    uri = f"sqlite:///{tmp_path}/optuna.db"
    opened(uri).optuna.engine.dispose()
    with serving(tmp_path, "dashboard", "--storage", uri) as (process, port):
        assert listened(process) == {("127.0.0.1", port)}
        assert status(port, "GET", "/api/studies") == 200
        assert status(port, "GET", "/api/studies", Origin=f"http://127.0.0.1:{port}") == 200
        for host in FOREIGN:
            assert status(port, "GET", "/api/studies", Host=host) == 403, host
            assert status(port, "GET", "/api/studies", Host=f"{host}:{port}") == 403, host
            assert status(port, "GET", "/api/studies", Origin=f"http://{host}") == 403, host
        ends(process, number, port)


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
        "sqlite:///x.db", 5123, {**LOOSE, "HOME": "/home/anna", "MLFLOW_S3_ENDPOINT_URL": "http://s3"}
    )
    assert made["MLFLOW_SERVER_ALLOWED_HOSTS"] == "127.0.0.1:5123,localhost:5123"
    assert made["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:5123,http://localhost:5123"
    assert made["MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"] == "false"
    assert {"MLFLOW_HOST", "MLFLOW_UVICORN_OPTS", "UVICORN_HOST", "GUNICORN_CMD_ARGS"}.isdisjoint(made)
    assert made["HOME"] == "/home/anna"
    assert made["MLFLOW_S3_ENDPOINT_URL"] == "http://s3"
    command = ui.command(5123)
    assert command[command.index("--host") + 1] == "127.0.0.1"

"""`farback ui`: serves MLflow's pages to this machine only, and prints links to the saved views."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from farback.cli import shared_options as shared
from farback.cli.completion import configs
from farback.cli.console import echo
from farback.records.record import UserError
from farback.stores import descriptions, locations, redaction, views

START_SECONDS = 120.0  # MLflow starts in about 8 s, and needs much longer on a busy machine
HOST = "127.0.0.1"
SETTINGS = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # jobs start seven processes of 230 MB, for language models
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "UVICORN_LOG_LEVEL": "warning",  # no line per request
    "PYTHONSAFEPATH": "1",  # `python -m` would take a signal.py in the current directory for Python's own
}
# Inherited settings that are not passed on: our server must listen on this machine only and check the Host header
FOREIGN = re.compile(r"MLFLOW_(SERVER_|HOST|PORT|STATIC_PREFIX|FLASK_|.*_OPTS$)|UVICORN_|GUNICORN_|FORWARDED_ALLOW_IPS")
HOST_CHECK = (3, 5)  # the first MLflow version that checks the Host header of requests


def ui(
    config: Annotated[
        str | None, typer.Argument(help="the experiment to open (default: the newest)", autocompletion=configs)
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="port on 127.0.0.1")] = 5000,
    store: shared.StoreURI = None,
    browser: Annotated[bool, typer.Option(help="open a browser")] = False,
) -> None:
    """Browse the runs in the MLflow UI, on this machine only."""
    serve(locations.located(store), Path(config).stem if config else None, port, browser)


def serve(uri: str, experiment: str | None = None, port: int = 5000, open_browser: bool = False) -> None:
    """Serve MLflow's pages until Ctrl-C, and print links to the saved views of `experiment`, by default of the newest.

    If the store is an MLflow server, this only prints the links. If the port is in use, a free one is used instead.

    Raises:
        UserError: nothing is recorded, there is no such experiment, or MLflow does not start.
    """
    if uri.startswith("http"):
        address = redaction.signed_in(uri)
        return _show_links(address, address, experiment, open_browser)
    path = locations.database(uri)
    if path is not None and not path.exists():
        raise UserError(f"nothing is recorded yet in {locations.shown(uri)}: {locations.BEGIN}")
    free = free_port(port)
    if free != port:
        echo(f"port {port} is in use; using port {free}")
    installed = version("mlflow")
    if tuple(map(int, installed.split(".")[:2])) < HOST_CHECK:
        checked = ".".join(map(str, HOST_CHECK))
        echo(f"MLflow {installed} does not check Host headers, so web pages could read your runs: install >= {checked}")
    echo(f"starting MLflow on {locations.shown(uri)} ...")
    for number in (signal.SIGTERM, signal.SIGHUP):  # stop the server also when the terminal is closed
        signal.signal(number, signal.default_int_handler)
    try:
        with _running(uri, free) as server:
            _show_links(f"http://{HOST}:{free}", uri, experiment, open_browser)
            echo("Ctrl-C stops the server")
            server.wait()
    except KeyboardInterrupt:
        return None


def command(port: int) -> list[str]:
    """The server's command line, without the URI: `ps` shows it to other users, and a URI may contain a password."""
    return [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]


def environment(uri: str, port: int, inherited: Mapping[str, str]) -> dict[str, str]:
    """The server's environment: the store, and the only host names and origins that it answers.

    By default MLflow answers any Host that starts like a private address, such as 10.attacker.example, a name that an
    attacker may point at 127.0.0.1. The inherited settings of other servers are left out.
    """
    kept = {name: value for name, value in inherited.items() if not FOREIGN.match(name)}
    hosts = [f"{name}:{port}" for name in (HOST, "localhost")]
    checks = {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}" for host in hosts),
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
    }
    return {**kept, **SETTINGS, **checks, "MLFLOW_BACKEND_STORE_URI": uri}


def _show_links(base_url: str, uri: str, name: str | None, open_browser: bool) -> None:
    """Print the addresses of an experiment's views and of its summary run."""
    experiment = _experiment(base_url, uri, name)
    tags = {tag["key"]: tag["value"] for tag in experiment.get("tags", [])}
    experiment_id = str(experiment["experiment_id"])
    links = [(view.name, descriptions.link(base_url, experiment_id, view)) for view in views.existing(tags)]
    if summary := tags.get(descriptions.SUMMARY):
        links.append(("Summary", descriptions.page(base_url, experiment_id, summary)))
    for title, address in links:
        echo(f"{title + ':':20} {locations.shown(address)}")
    if open_browser:
        webbrowser.open(links[0][1])


def _experiment(base_url: str, uri: str, name: str | None) -> dict[str, Any]:
    """The experiment `name`, by default farback's experiment that changed last, as MLflow's REST API returns it."""
    try:
        answer = _post(f"{base_url.rstrip('/')}/api/2.0/mlflow/experiments/search", {"max_results": 1000})
    except (OSError, ValueError, HTTPException) as error:
        reason = redaction.masked(str(error))
        raise UserError(f"the MLflow server {locations.shown(base_url)} does not answer: {reason}") from None
    found: dict[str, dict[str, Any]] = {
        each["name"]: each
        for each in answer.get("experiments", [])
        if any(tag["key"] == descriptions.NOTE for tag in each.get("tags", []))
    }
    if not found:
        raise UserError(f"nothing is recorded yet in {locations.shown(uri)}: {locations.BEGIN}")
    if name is None:
        return max(found.values(), key=lambda each: int(each.get("last_update_time", 0)))
    if name not in found:
        existing = ", ".join(found)
        raise UserError(f"{locations.shown(uri)} has no experiment {name!r}; it has: {existing}")
    return found[name]


@contextmanager
def _running(uri: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """An MLflow server that answers; it is stopped at the end of the block.

    The server has its own process group, so that Ctrl-C reaches only this process, which then stops the server.
    """
    with tempfile.TemporaryFile() as output:
        server = subprocess.Popen(
            command(port),
            env=environment(uri, port, os.environ),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            if not _answers(server, f"http://{HOST}:{port}/health"):
                output.seek(0)
                text = redaction.masked(output.read().decode(errors="replace"), [uri])
                raise UserError(f"MLflow did not start:\n{text}")
            yield server
        finally:
            _stop(server)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server and its workers."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _answers(server: subprocess.Popen[bytes], address: str) -> bool:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return True
        except OSError:
            time.sleep(0.3)
    return False


def _post(address: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    for name, value in redaction.authorization(os.environ).items():
        request.add_unredirected_header(name, value)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def free_port(preferred: int) -> int:
    """A free port on this machine: the preferred one, if it is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on this machine")

"""`farback ui`: serves MLflow's pages to this user of this machine only, and prints links to the saved views."""

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
from pathlib import Path
from typing import Annotated, Any

import typer

from farback.cli import shared_options as shared
from farback.cli.completion import configs
from farback.cli.console import echo
from farback.records.user_error import UserError
from farback.stores import descriptions, locations, redaction, views
from farback.stores.retries import StoreFault
from farback.system import page_access

START_SECONDS = 120.0  # MLflow starts in about 8 s, and needs much longer on a busy machine
SETTINGS = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # jobs start seven processes of 230 MB, for language models
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONSAFEPATH": "1",  # `python -m` would take a signal.py in the current directory for Python's own
}
# Inherited settings that are not passed on: our server must listen on this machine only and check the Host header
FOREIGN = re.compile(r"MLFLOW_(SERVER_|HOST|PORT|STATIC_PREFIX|FLASK_|.*_OPTS$)|UVICORN_|GUNICORN_|FORWARDED_ALLOW_IPS")


def ui(
    config: Annotated[
        str | None, typer.Argument(help="the experiment to open (default: the newest)", autocompletion=configs)
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="NUMBER", help="port on 127.0.0.1")] = 5000,
    store: shared.StoreURI = None,
    browser: Annotated[bool, typer.Option(help="open a browser")] = False,
    no_token: shared.NoToken = False,
) -> None:
    """Browse the runs in the MLflow UI, on this machine only."""
    token = "" if no_token else page_access.new_token()
    serve(locations.located(store), Path(config).stem if config else None, port, browser, token)


def serve(
    uri: str, experiment: str | None = None, port: int = 5000, open_browser: bool = False, token: str = ""
) -> None:
    """Serve MLflow's pages until Ctrl-C, and print links to the saved views of `experiment`, by default of the newest.

    If the store is an MLflow server, this only prints the links. If the port is in use, a free one is used instead.
    With a token, the server answers only requests that have it.

    Raises:
        UserError: nothing is recorded, there is no such experiment, or MLflow does not start.
        StoreFault: the store cannot be used, such as another program's database; nothing was changed.
    """
    if uri.startswith("http"):
        return _show_links(redaction.signed_in(uri), None, experiment, open_browser)
    path = locations.database(uri)
    if path is not None and not path.exists():
        raise UserError(f"nothing is recorded yet in {locations.named(uri)}: {locations.BEGIN}")
    free = free_port(port)
    if free != port:
        echo(f"port {port} is in use; using port {free}")
    access = page_access.Access(free, token)
    echo(f"starting MLflow on {locations.named(uri)} ...")
    for number in (signal.SIGTERM, signal.SIGHUP):  # stop the server also when the terminal is closed
        signal.signal(number, signal.default_int_handler)
    try:
        with _running(uri, access) as server:
            _show_links(uri, access, experiment, open_browser)
            echo("Ctrl-C stops the server")
            server.wait()
    except KeyboardInterrupt:
        return None


def command(port: int) -> list[str]:
    """The server's command line, without the URI: `ps` shows it to other users, and a URI may contain a password."""
    return [sys.executable, "-P", "-m", "farback.stores.mlflow_pages", str(port)]


def environment(uri: str, access: page_access.Access, inherited: Mapping[str, str]) -> dict[str, str]:
    """The server's environment: the store, the token, and the only host names and origins that MLflow answers.

    The inherited settings of other servers are left out.
    """
    from farback.stores import mlflow_pages

    kept = {name: value for name, value in inherited.items() if not FOREIGN.match(name)}
    hosts = [f"{name}:{access.port}" for name in (page_access.HOST, "localhost")]
    checks = {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}" for host in hosts),
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
    }
    return {**kept, **SETTINGS, **checks, mlflow_pages.URI: uri, mlflow_pages.TOKEN: access.token}


def _show_links(uri: str, access: page_access.Access | None, name: str | None, open_browser: bool) -> None:
    """Print the addresses of an experiment's views and of its summary run; `access` is None for a server of others."""
    experiment = _experiment(uri, access, name)
    tags = {tag["key"]: tag["value"] for tag in experiment.get("tags", [])}
    experiment_id = str(experiment["experiment_id"])
    links = [(view.name, descriptions.link("", experiment_id, view)) for view in views.existing(tags)]
    if summary := tags.get(descriptions.SUMMARY):
        links.append(("Summary", descriptions.page("", experiment_id, summary)))
    opened = [access.link("/", path.removeprefix("/#")) if access else uri.rstrip("/") + path for _, path in links]
    for (title, _), address in zip(links, opened, strict=True):
        echo(f"{title + ':':20} {address if access else locations.shown(address)}")
    echo("open one of these links: the address alone opens MLflow's pages for language models")
    if open_browser:
        webbrowser.open(opened[0])


def _experiment(uri: str, access: page_access.Access | None, name: str | None) -> dict[str, Any]:
    """The experiment `name`, by default farback's experiment that changed last, as MLflow's REST API returns it."""
    base_url = access.link("/").partition("?")[0] if access else uri
    signature = access.authorization if access else redaction.authorization(os.environ)
    try:
        address = f"{base_url.rstrip('/')}/api/2.0/mlflow/experiments/search"
        answer = _post(address, {"max_results": 1000}, signature)
    except (OSError, ValueError, HTTPException) as error:
        reason = redaction.masked(str(error))
        raise UserError(f"the MLflow server {locations.shown(base_url)} does not answer: {reason}") from None
    found: dict[str, dict[str, Any]] = {
        each["name"]: each
        for each in answer.get("experiments", [])
        if any(tag["key"] == descriptions.NOTE for tag in each.get("tags", []))
    }
    if not found:
        raise UserError(f"nothing is recorded yet in {locations.named(uri)}: {locations.BEGIN}")
    if name is None:
        return max(found.values(), key=lambda each: int(each.get("last_update_time", 0)))
    if name not in found:
        existing = ", ".join(found)
        raise UserError(f"{locations.named(uri)} has no experiment {name!r}; it has: {existing}")
    return found[name]


@contextmanager
def _running(uri: str, access: page_access.Access) -> Iterator[subprocess.Popen[bytes]]:
    """An MLflow server that answers; it is stopped at the end of the block.

    The server has its own process group, so that Ctrl-C reaches only this process, which then stops the server.
    """
    from farback.stores import mlflow_pages

    with tempfile.TemporaryFile() as output:
        server = subprocess.Popen(
            command(access.port),
            env=environment(uri, access, os.environ),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            if not _answers(server, access):
                output.seek(0)
                text = redaction.masked(output.read().decode(errors="replace"), [uri])
                if server.returncode == mlflow_pages.REFUSED:
                    raise StoreFault(text.strip())
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


def _answers(server: subprocess.Popen[bytes], access: page_access.Access) -> bool:
    health = urllib.request.Request(access.link("/health").partition("?")[0], headers=access.authorization)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return True
        except OSError:
            time.sleep(0.3)
    return False


def _post(address: str, body: dict[str, Any], signature: Mapping[str, str]) -> Any:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    for name, value in signature.items():
        request.add_unredirected_header(name, value)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def free_port(preferred: int) -> int:
    """A free port on this machine: the preferred one, if it is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((page_access.HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on this machine")

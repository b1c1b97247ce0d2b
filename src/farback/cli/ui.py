"""MLflow's own pages, served on this machine only, and opened where they say something."""

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
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from farback.cli.app import StoreURI, app
from farback.cli.completion import configs
from farback.stores import descriptions, locations, redaction, views

STARTS_SECONDS = 120.0  # MLflow takes about 8 s to start, much more on a busy machine
HOST = "127.0.0.1"
LIGHT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven more processes of 230 MB each, for language models
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# Variables of a server for others; ours listens on this machine and checks who asks, whatever they say.
FOR_OTHERS = re.compile(
    r"MLFLOW_(SERVER_|HOST|PORT|STATIC_PREFIX|FLASK_|.*_OPTS$)|UVICORN_|GUNICORN_|FORWARDED_ALLOW_IPS"
)


class NothingRecorded(RuntimeError):
    """There is no experiment to show."""


@app.command()
def ui(
    config: Annotated[
        str | None, typer.Argument(help="the experiment to open (default: the newest)", autocompletion=configs)
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="where to listen, on 127.0.0.1")] = 5000,
    store: StoreURI = None,
    browser: Annotated[bool, typer.Option(help="open a browser")] = False,
) -> None:
    """Browse the runs in the MLflow UI, on this machine only."""
    name = Path(config).stem if config else None
    raise typer.Exit(serve(locations.located(store), name, port, browser))


def serve(uri: str, experiment: str | None = None, port: int = 5000, open_browser: bool = False) -> int:
    """Serve MLflow's pages until Ctrl-C, and say where the saved views are.

    Args:
        uri: of the store; a running server is not served again, only linked to.
        experiment: its name; by default the one that changed last.
        port: on 127.0.0.1; another free one where it is taken.
        open_browser: whether to open the first view.

    Returns:
        The exit code: 2 where there is nothing to show, or MLflow does not start.
    """
    if uri.startswith("http"):
        bare = redaction.signed_in(uri)
        return _announce(bare, bare, experiment, open_browser)
    path = locations.database(uri)
    if path is not None and not path.exists():
        return _refuse(f"nothing is recorded yet in {locations.shown(uri)}: {locations.BEGIN}")
    free = _free_port(port)
    if free != port:
        _say(f"port {port} is taken, using {free}")
    base_url = f"http://{HOST}:{free}"
    _say(f"starting MLflow on {locations.shown(uri)} ...")
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal must not leave the server behind
        signal.signal(number, signal.default_int_handler)
    chatter = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the server
    server: subprocess.Popen[bytes] | None = None
    try:
        server = _started(uri, free, chatter)
        if not _answers(server, base_url):
            chatter.seek(0)
            said = redaction.masked(chatter.read().decode(errors="replace"), [uri])
            return _refuse(f"MLflow did not start:\n{said}")
        code = _announce(base_url, uri, experiment, open_browser)
        if code == 0:
            _say("Ctrl-C ends it")
            server.wait()
        return code
    except KeyboardInterrupt:
        return 0
    finally:
        if server is not None:
            _stop(server)


def command(port: int) -> list[str]:
    """The server's command line: MLflow of this interpreter. No URI: `ps` shows it, and it may hold a password."""
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        "--uvicorn-opts=--log-level=warning",  # it would announce the bare root, which is no place to start
    ]


def environment(uri: str, port: int, inherited: Mapping[str, str]) -> dict[str, str]:
    """The server's variables: the store, and who may ask.

    MLflow by itself takes any Host that begins like a private address, and so 10.attacker.example, a name which an
    attacker may point at 127.0.0.1: here it takes its own two names only.

    Args:
        uri: of the store.
        port: where it listens.
        inherited: this process' variables; those for servers of others are left out.
    """
    kept = {name: value for name, value in inherited.items() if not FOR_OTHERS.match(name)}
    hosts = [f"{name}:{port}" for name in (HOST, "localhost")]
    checks = {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}" for host in hosts),
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
    }
    return {**kept, **LIGHT, **checks, "MLFLOW_BACKEND_STORE_URI": uri}


def experiment_id(base_url: str, name: str | None) -> str:
    """MLflow's id of an experiment of ours, by default of the one that changed last.

    Raises:
        NothingRecorded: there is none.
    """
    return str(_experiment(base_url, name)["experiment_id"])


def _experiment(base_url: str, name: str | None) -> dict[str, Any]:
    """What MLflow says of an experiment of ours.

    Raises:
        NothingRecorded: there is none.
    """
    answer = _post(f"{base_url.rstrip('/')}/api/2.0/mlflow/experiments/search", {"max_results": 1000})
    found: list[dict[str, Any]] = [
        e for e in answer.get("experiments", []) if any(t["key"] == descriptions.NOTE for t in e.get("tags", []))
    ]
    if not found:
        raise NothingRecorded(f"nothing is recorded yet: {locations.BEGIN}")
    if name is None:
        return max(found, key=lambda e: int(e.get("last_update_time", 0)))
    for each in found:
        if each["name"] == name:
            return each
    raise NothingRecorded(f"no experiment {name!r} is recorded; there are: {', '.join(e['name'] for e in found)}")


def _announce(base_url: str, uri: str, experiment: str | None, open_browser: bool) -> int:
    try:
        found = _experiment(base_url, experiment)
    except NothingRecorded as nothing:
        return _refuse(f"{nothing} ({locations.shown(uri)})")
    except (OSError, ValueError, HTTPException) as error:
        return _refuse(f"{locations.shown(base_url)} does not answer: {redaction.masked(str(error))}")
    said = {tag["key"]: tag["value"] for tag in found.get("tags", [])}
    shown = views.written(said)
    shown_at = [(view.name, descriptions.link(base_url, str(found["experiment_id"]), view)) for view in shown]
    summary = said.get(descriptions.SUMMARY)
    if summary:
        shown_at.append(("Summary", descriptions.page(base_url, str(found["experiment_id"]), summary)))
    for name, address in shown_at:
        _say(f"{name + ':':20} {locations.shown(address)}")
    if open_browser:
        webbrowser.open(shown_at[0][1])
    return 0


def _started(uri: str, port: int, chatter: IO[bytes]) -> subprocess.Popen[bytes]:
    """The server as a child with a process group of its own, so that Ctrl-C reaches it once, through us."""
    return subprocess.Popen(
        command(port),
        env=environment(uri, port, os.environ),
        stdout=chatter,
        stderr=chatter,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and the workers it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _answers(server: subprocess.Popen[bytes], base_url: str) -> bool:
    until = time.monotonic() + STARTS_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{base_url}/health", timeout=5):
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


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on this machine")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _refuse(text: str) -> int:
    sys.stderr.write(text + "\n")
    return 2

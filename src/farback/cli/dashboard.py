"""`farback dashboard`: optuna-dashboard on the studies, for this machine only."""

from __future__ import annotations

import signal
import sys
import webbrowser
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Annotated, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer

from farback.cli.app import StorageURI, app, config_path
from farback.cli.completion import configs
from farback.records.record import UserError
from farback.stores import locations

if TYPE_CHECKING:  # optuna takes a second to import
    from farback.stores.studies import Storage

HOST = "127.0.0.1"
# Ports that browsers refuse, of those that anyone may listen on (the Fetch standard's "bad ports").
BLOCKED = {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080}
TRIES = 50  # ports after the one that was asked for

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for each request would bury the address."""


@app.command()
def dashboard(
    config: Annotated[
        str | None, typer.Argument(help="the search to open (default: all of them)", autocompletion=configs)
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="where to listen, on 127.0.0.1")] = 8080,
    storage: StorageURI = None,
    browser: Annotated[bool, typer.Option(help="open a browser")] = False,
) -> None:
    """Browse the studies in optuna-dashboard, on this machine only."""
    from farback.experiment import Experiment
    from farback.stores.studies import located

    root, name = Path.cwd(), None
    if config is not None:
        path = config_path(config)
        name = path.stem
        root = Experiment.load(path).root if path.exists() else root
    raise typer.Exit(serve(located(storage, root), name, port, browser))


def serve(uri: str, experiment: str | None = None, port: int = 8080, open_browser: bool = False) -> int:
    """Serve the dashboard until Ctrl-C.

    Args:
        uri: of the storage.
        experiment: whose first study is opened; by default the list of all.
        port: on 127.0.0.1; a later one where it is taken, or where browsers refuse it.
        open_browser: whether to open a browser.

    Returns:
        The exit code.

    Raises:
        UserError: the dashboard is not installed, there is no study, or no port is free.
    """
    from farback.stores.studies import exists, opened

    if find_spec("optuna_dashboard") is None:
        raise UserError("the dashboard needs the package optuna-dashboard: pip install 'farback[search]'")
    if not exists(uri):
        raise UserError(f"nothing was searched yet in {locations.shown(uri)}: `farback search CONFIG` does")
    storage = opened(uri)
    pages = addresses(storage, experiment)
    server = listening(storage, port)
    base = f"http://{HOST}:{server.server_port}"
    if server.server_port != port:
        print_line(f"port {port} is taken or refused by browsers, using {server.server_port}")
    for name, page in pages:
        print_line(f"{name + ':':14} {base}{page}")
    print_line("Ctrl-C ends it")
    if open_browser:
        webbrowser.open(base + pages[0][1])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    finally:
        server.server_close()
    return 0


def addresses(storage: Storage, experiment: str | None) -> list[tuple[str, str]]:
    """The pages to open: each study of an experiment, or the list of all.

    Raises:
        UserError: the experiment has no study.
    """
    from farback.stores.studies import quiet

    with quiet():
        ids = {study.study_name: study._study_id for study in storage.optuna.get_all_studies()}
        if experiment is None:
            return [("studies", "/dashboard")]
        names = sorted(ids)
        own = [name for name in names if name == experiment or name.startswith((f"{experiment}/", f"{experiment}--"))]
        if not own:
            there = f"there are: {', '.join(names)}" if names else "there is none"
            raise UserError(f"no study of {experiment!r} in {locations.shown(storage.uri)}; {there}")
    return [(name, f"/dashboard/studies/{ids[name]}") for name in own]


def listening(storage: Storage, port: int) -> WSGIServer:
    """A server of the dashboard, on the first port from `port` on that is free and that browsers open.

    Raises:
        UserError: there is none.
    """
    from optuna_dashboard import wsgi

    pages = wsgi(storage.optuna)
    for wanted in range(port, min(port + TRIES, 65536)):
        if wanted in BLOCKED:
            continue
        try:
            server: WSGIServer = make_server(HOST, wanted, pages, server_class=_Server, handler_class=_Silent)
        except OSError:
            continue
        server.set_app(own_pages_only(pages, server.server_port))
        return server
    raise UserError(f"no free port from {port} on")


def own_pages_only(pages: App, port: int) -> App:
    """The app for this machine's browser and its own pages only: other sites could delete studies through an open tab.

    A page elsewhere may point its name at 127.0.0.1 (the Host header gives it away) or send requests (Origin does).
    """
    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
    origins = {f"http://{host}" for host in hosts}

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        if environ.get("HTTP_HOST") not in hosts or (origin is not None and origin not in origins):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"this page is served to this machine only\n"]
        return pages(environ, start_response)

    return checked


def print_line(text: str) -> None:
    """A line for people, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

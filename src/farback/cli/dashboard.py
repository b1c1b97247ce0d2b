"""`farback dashboard`: serves optuna-dashboard for the studies, to this machine only."""

from __future__ import annotations

import signal
import webbrowser
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Annotated, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer
from typing_extensions import override

from farback.cli import shared_options as shared
from farback.cli.completion import configs
from farback.cli.console import echo
from farback.cli.ui import HOST, free_port
from farback.records.record import UserError
from farback.stores import locations

if TYPE_CHECKING:  # optuna takes a second to import
    from farback.stores.studies import Storage

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ThreadingServer(ThreadingMixIn, WSGIServer):
    """A server with a thread per request."""

    daemon_threads = True
    allow_reuse_address = True


class SilentHandler(WSGIRequestHandler):
    """A request handler that prints nothing."""

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


def dashboard(
    config: Annotated[
        str | None, typer.Argument(help="the search to open (default: all searches)", autocompletion=configs)
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="port on 127.0.0.1")] = 8080,
    storage: shared.StorageURI = None,
    browser: Annotated[bool, typer.Option(help="open a browser")] = False,
) -> None:
    """Browse the studies in optuna-dashboard, on this machine only."""
    from farback.stores.studies import exists, located, opened
    from farback.system.project import project_folder

    root, name = project_folder(), None
    if config is not None:
        from farback.experiment import Experiment
        from farback.runs.session import config_path

        path = config_path(config)
        name = path.stem
        root = Experiment.load(path).root if path.exists() else root
    uri = located(storage, root)
    if find_spec("optuna_dashboard") is None:
        raise UserError("the dashboard needs the package optuna-dashboard: pip install 'farback[search]'")
    if not exists(uri):
        raise UserError(f"{locations.shown(uri)} does not exist: `farback search CONFIG` creates it")
    studies = opened(uri)
    pages = addresses(studies, name)
    server = listening(studies, port)
    if server.server_port != port:
        echo(f"port {port} is in use; using port {server.server_port}")
    _serve(server, pages, browser)


def _serve(server: WSGIServer, pages: list[tuple[str, str]], open_browser: bool) -> None:
    """Print the addresses of the pages, then serve until Ctrl-C."""
    base = f"http://{HOST}:{server.server_port}"
    for name, page in pages:
        echo(f"{name + ':':14} {base}{page}")
    echo("Ctrl-C stops the server")
    if open_browser:
        webbrowser.open(base + pages[0][1])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def addresses(storage: Storage, experiment: str | None) -> list[tuple[str, str]]:
    """The names and paths of the pages to open: each study of an experiment, or the list of all studies.

    Raises:
        UserError: the experiment has no study.
    """
    from farback.stores.studies import quiet

    with quiet():
        ids = {study.study_name: study._study_id for study in storage.optuna.get_all_studies()}
    if experiment is None:
        return [("studies", "/dashboard")]
    own = [name for name in sorted(ids) if name == experiment or name.startswith((f"{experiment}/", f"{experiment}--"))]
    if not own:
        existing = f"it has: {', '.join(sorted(ids))}" if ids else "it has no studies"
        raise UserError(f"{locations.shown(storage.uri)} has no study of {experiment!r}; {existing}")
    return [(name, f"/dashboard/studies/{ids[name]}") for name in own]


def listening(storage: Storage, port: int) -> WSGIServer:
    """A server of the dashboard on this port, or on a free port if this one is in use."""
    from optuna_dashboard import wsgi

    free, pages = free_port(port), wsgi(storage.optuna)
    server: WSGIServer = make_server(
        HOST, free, own_pages_only(pages, free), server_class=ThreadingServer, handler_class=SilentHandler
    )
    return server


def own_pages_only(pages: App, port: int) -> App:
    """The app, but it refuses requests that other sites send through the user's browser: they could delete studies.

    Such a site may map its own name to 127.0.0.1 (the Host header reveals this) or send requests (Origin reveals this).
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

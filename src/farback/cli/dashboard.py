"""`farback dashboard`: serves optuna-dashboard for the studies, to this machine only."""

from __future__ import annotations

import signal
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Annotated, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer
from typing_extensions import override

from farback.cli import shared_options as shared
from farback.cli.completion import configs
from farback.cli.console import echo
from farback.cli.ui import free_port
from farback.records.user_error import UserError
from farback.stores import locations
from farback.system import page_access

if TYPE_CHECKING:  # optuna takes a second to import
    from farback.stores.studies import Storage


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
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="NUMBER", help="port on 127.0.0.1")] = 8080,
    storage: shared.StorageURI = None,
    browser: Annotated[bool, typer.Option(help="open a browser")] = False,
    no_token: shared.NoToken = False,
) -> None:
    """Browse the studies in optuna-dashboard, on this machine only."""
    from farback.stores.studies import exists, located, opened
    from farback.system.project import project_folder

    root, name = project_folder(), None
    if config is not None:
        from farback.experiment import Experiment
        from farback.system.project import found_config

        path, name = found_config(config), Path(config).stem
        root = Experiment.load(path).root if path else root
    uri = located(storage, root)
    if find_spec("optuna_dashboard") is None:
        raise UserError("the dashboard needs the package optuna-dashboard: pip install 'farback[search]'")
    if not exists(uri):
        raise UserError(f"{locations.named(uri)} does not exist: `farback search CONFIG` creates it")
    studies = opened(uri)
    pages = addresses(studies, name)
    server, access = listening(studies, port, "" if no_token else page_access.new_token())
    if server.server_port != port:
        echo(f"port {port} is in use; using port {server.server_port}")
    _serve(server, [(name, access.link(page)) for name, page in pages], browser)


def _serve(server: WSGIServer, pages: list[tuple[str, str]], open_browser: bool) -> None:
    """Print the addresses of the pages, then serve until Ctrl-C."""
    for name, address in pages:
        echo(f"{name + ':':14} {address}")
    echo("Ctrl-C stops the server")
    if open_browser:
        webbrowser.open(pages[0][1])
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
        raise UserError(f"{locations.named(storage.uri)} has no study of {experiment!r}; {existing}")
    return [(name, f"/dashboard/studies/{ids[name]}") for name in own]


def listening(storage: Storage, port: int, token: str = "") -> tuple[WSGIServer, page_access.Access]:
    """A server of the dashboard on this port, or on a free port if this one is in use, and who may use it."""
    from optuna_dashboard import wsgi

    access = page_access.Access(free_port(port), token)
    server: WSGIServer = make_server(
        page_access.HOST,
        access.port,
        access.wsgi(wsgi(storage.rdb)),
        server_class=ThreadingServer,
        handler_class=SilentHandler,
    )
    return server, access

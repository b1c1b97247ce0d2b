"""Where an MLflow store is: its URI, and the database file and the artifacts behind it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from farback.records.record import UserError
from farback.stores.redaction import shown

BEGIN = "`farback run` records (`farback init`: a first config)"  # what to do where nothing is recorded
SQLITE = "sqlite:///"

__all__ = ["SQLITE", "artifacts", "check_driver", "database", "default_uri", "local", "located", "shown"]


def default_uri(root: Path) -> str:
    """The store of a project directory: an SQLite file below its `results`, with the artifacts beside it."""
    return SQLITE + str(root.resolve() / "results" / "store" / "mlflow.db")


def located(uri: str | None) -> str:
    """The URI to use: the one given, else MLFLOW_TRACKING_URI, else this directory's. SQLite paths become absolute.

    Raises:
        UserError: a plain folder, which MLflow no longer writes to; a database that nothing here can talk to.
    """
    chosen = uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(Path.cwd())
    path = database(chosen)
    if path is not None:
        return SQLITE + str(path)
    if "://" not in chosen or chosen.startswith("file:"):
        raise UserError(
            f"a store is sqlite:///FILE, a server http://HOST:PORT or another database, got {shown(chosen)!r}"
        )
    if not chosen.startswith("http"):
        check_driver(chosen)
    return chosen


def check_driver(uri: str) -> None:
    """Refuse a database that nothing here can talk to: MLflow would try for minutes.

    Raises:
        UserError: no such kind of database, or its Python package is not installed.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        make_url(uri).get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        raise UserError(f"{shown(uri)} needs the Python package {error.name}, which is not installed") from None
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise UserError(f"{shown(uri)} is no database's URI: write postgresql+psycopg://HOST/NAME, say") from None


def database(uri: str) -> Path | None:
    """The absolute path of the SQLite file that a URI names, or None."""
    if not uri.startswith(SQLITE):
        return None
    return Path(uri.removeprefix(SQLITE).partition("?")[0]).absolute()


def artifacts(uri: str, experiment: str) -> str | None:
    """Where an experiment's artifacts go: beside the SQLite file; None lets the server say."""
    path = database(uri)
    if path is not None:
        return (path.parent / "artifacts" / experiment).as_uri()
    if uri.startswith("http"):
        return None
    return (Path.cwd() / "results" / "store" / "artifacts" / experiment).as_uri()


def local(artifacts_uri: str, uri: str) -> Path | None:
    """The folder of a run's artifacts, if it is on this machine.

    MLflow notes absolute paths: where a project was moved, its artifacts are still found beside its SQLite file.

    Args:
        artifacts_uri: as MLflow noted it.
        uri: of the store.
    """
    if not artifacts_uri.startswith("file:"):
        return None
    noted = Path(url2pathname(urlsplit(artifacts_uri).path))
    path = database(uri)
    if noted.exists() or path is None:
        return noted
    return path.parent / "artifacts" / Path(*noted.parts[-3:])  # EXPERIMENT/RUN/artifacts

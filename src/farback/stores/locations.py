"""Locations of an MLflow store: its URI, database file and artifacts."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from farback.records.record import UserError
from farback.stores.redaction import shown

BEGIN = "`farback run` records trials (`farback init` writes a first config)"  # advice for an empty store
SQLITE = "sqlite:///"

__all__ = ["SQLITE", "artifacts", "check_driver", "database", "default_uri", "local", "located", "shown"]


def default_uri(root: Path) -> str:
    """The URI of a project's default store: an SQLite file below its `results`."""
    return SQLITE + str(root.resolve() / "results" / "store" / "mlflow.db")


def located(uri: str | None) -> str:
    """The URI to use: the given one, else MLFLOW_TRACKING_URI, else the default one. SQLite paths become absolute.

    Raises:
        UserError: the URI names a folder, which MLflow no longer supports, or a database without an installed driver.
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
    """Refuse a database without an installed driver: MLflow would retry for minutes.

    Raises:
        UserError: the kind of database is unknown, or its Python package is not installed.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        make_url(uri).get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        hint = "uv pip install 'farback[postgres]'" if uri.startswith("postgresql") else f"install {error.name}"
        raise UserError(f"{shown(uri)} needs the package {error.name}, which is not installed: {hint}") from None
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise UserError(f"{shown(uri)} is not the URI of a database, such as postgresql+psycopg://HOST/NAME") from None


def database(uri: str) -> Path | None:
    """The absolute path of the SQLite file that a URI names, or None."""
    if not uri.startswith(SQLITE):
        return None
    return Path(uri.removeprefix(SQLITE).partition("?")[0]).absolute()


def artifacts(uri: str, experiment: str) -> str | None:
    """The URI for an experiment's artifacts: beside the SQLite file; None lets the server choose."""
    path = database(uri)
    if path is not None:
        return (path.parent / "artifacts" / experiment).as_uri()
    if uri.startswith("http"):
        return None
    return (Path.cwd() / "results" / "store" / "artifacts" / experiment).as_uri()


def local(artifacts_uri: str, uri: str) -> Path | None:
    """The folder of a run's artifacts, if it is on this machine.

    MLflow records absolute paths; in a project that was moved, the artifacts are still beside its SQLite file.
    """
    if not artifacts_uri.startswith("file:"):
        return None
    recorded = Path(url2pathname(urlsplit(artifacts_uri).path))
    path = database(uri)
    if recorded.exists() or path is None:
        return recorded
    return path.parent / "artifacts" / Path(*recorded.parts[-3:])  # EXPERIMENT/RUN/artifacts

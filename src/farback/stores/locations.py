"""Locations of an MLflow store: its URI, database file and artifacts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from farback.records.user_error import UserError
from farback.stores.redaction import shown
from farback.system.project import project_folder

BEGIN = "`farback run` records trials (`farback init` writes a first config)"  # advice for an empty store
SQLITE = "sqlite:///"
ARTIFACTS = "artifacts"  # the folder beside an SQLite file

__all__ = [
    "ARTIFACTS",
    "SQLITE",
    "ForeignAddress",
    "artifact_root",
    "artifacts",
    "check_driver",
    "database",
    "default_uri",
    "local",
    "located",
    "named",
    "shown",
    "sqlite",
]


class ForeignAddress(UserError):
    """A store names artifacts outside the places that are its own: the command ends with exit code 1."""

    exit_code: ClassVar[int] = 1


def default_uri(root: Path) -> str:
    """The URI of a project's default store: an SQLite file below its `results`."""
    return sqlite(root.resolve() / "results" / "store" / "mlflow.db")


def located(uri: str | None, root: Path | None = None) -> str:
    """The URI to use: the given one, else MLFLOW_TRACKING_URI, else that of the project at `root`.

    By default `root` is the project that contains the current directory. SQLite paths become absolute.

    Raises:
        UserError: the URI names a folder, which MLflow no longer supports, or a database without an installed driver.
    """
    chosen = uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(root or project_folder())
    path = database(chosen)
    if path is not None:
        return sqlite(path)
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


def sqlite(path: Path) -> str:
    """The URI of an SQLite file.

    Raises:
        UserError: no URI of this SQLAlchemy can name it: before 2.1 there was none for a path with a question mark.
    """
    plain, quoted = SQLITE + str(path), SQLITE + quote(str(path), safe="")  # MLflow would make a folder of this path
    for uri in (plain,) if not set("{}") & set(str(path)) else ():  # Optuna replaces what stands in braces
        if database(uri) == path.absolute():
            return uri
    if database(quoted) == path.absolute():
        return quoted
    raise UserError(f"{path} cannot be the path of a database: rename the folder, or install sqlalchemy >= 2.1")


def database(uri: str) -> Path | None:
    """The absolute path of the SQLite file that a URI names, or None."""
    if not uri.startswith(SQLITE):
        return None
    from sqlalchemy.engine import make_url

    return Path(make_url(uri).database or "").absolute()


def named(uri: str) -> str:
    """The store or study at a URI as a person reads it: without secrets, and a path that a URI must quote as it is."""
    path = database(uri)
    return shown(uri) if path is None or uri == SQLITE + str(path) else str(path)


def artifact_root(uri: str, project: Path | None = None) -> Path | None:
    """The folder below which this machine keeps a store's artifacts; None where a server keeps them.

    A database on a server has them in the `project`, by default the one that contains the current directory.
    """
    if uri.startswith("http"):
        return None
    path = database(uri)
    if path is not None:
        return path.parent / ARTIFACTS
    return (project_folder() if project is None else project.resolve()) / "results" / "store" / ARTIFACTS


def artifacts(uri: str, experiment: str, project: Path | None = None) -> str | None:
    """The URI for an experiment's artifacts, below `artifact_root`; None lets the server choose."""
    root = artifact_root(uri, project)
    return None if root is None else (root / experiment).as_uri()


def local(artifacts_uri: str, uri: str, project: Path | None = None) -> Path | None:
    """The folder of a run's artifacts on this machine; None if the server at `uri` keeps them.

    Every use of an artifact address goes through this function, because others may have written the address: nothing
    is read, written or deleted outside `artifact_root`, and no other server is sent the user's credentials. MLflow
    records absolute paths; in a project that was moved or copied, the artifacts are beside its own SQLite file.

    Raises:
        ForeignAddress: the address is not below `artifact_root`, or names another server.
    """
    parts, root = urlsplit(artifacts_uri), artifact_root(uri, project)
    if root is None:
        if parts.scheme == "mlflow-artifacts" and parts.netloc in ("", urlsplit(uri).netloc):
            return None
        raise ForeignAddress(
            f"the store {named(uri)} names the artifacts {shown(artifacts_uri)}, which that server does not serve: "
            "nothing was read or sent there; `mlflow server` with --artifacts-destination serves all artifacts itself"
        )
    recorded = Path(url2pathname(parts.path))
    above, *run = recorded.parts[-4:] or ("",)  # "artifacts", EXPERIMENT, RUN, "artifacts"
    folder = root.joinpath(*run) if database(uri) is not None and above == ARTIFACTS else recorded
    if parts.scheme not in ("", "file") or not folder.resolve().is_relative_to(root.resolve()):
        raise ForeignAddress(
            f"the store {named(uri)} names the artifacts {shown(artifacts_uri)}, which are not below its own folder "
            f"{root}: nothing was read or changed there; if another project recorded them, run the command in it"
        )
    return folder

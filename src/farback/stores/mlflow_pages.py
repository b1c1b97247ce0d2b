"""The process that serves MLflow's pages for `farback ui`: one store, its own artifacts only, for one user.

MLflow's server reads and writes wherever an experiment's artifact location says, and whoever can reach it can create an
experiment. Here every artifact address goes through `locations.local`, and every request through `Access`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from farback.records.user_error import UserError
from farback.stores import locations
from farback.stores.client import connect, quiet
from farback.stores.retries import Retries
from farback.system.page_access import HOST, Access

URI, TOKEN = "MLFLOW_BACKEND_STORE_URI", "FARBACK_UI_TOKEN"  # in the environment: `ps` shows arguments to other users
REFUSED = 3  # exit code: the store cannot be used, and standard error says why
RETRY_SECONDS = 30.0


def pages(uri: str, access: Access) -> Any:
    """MLflow's app for a store, behind `access`.

    Raises:
        StoreFault: the store cannot be used, such as another program's database; nothing was changed.
    """
    Retries(uri, RETRY_SECONDS).call(lambda: connect(uri))
    with quiet():
        from mlflow import server

        untyped: Any = server
        os.environ[untyped.BACKEND_STORE_URI_ENV_VAR] = uri
        os.environ[untyped.ARTIFACT_ROOT_ENV_VAR] = locations.artifacts(uri, "default") or ""
        _serve_own_artifacts_only(uri)
        try:
            from mlflow.server import fastapi_app

            app: Any = fastapi_app
            return access.asgi(app.app)
        except ImportError:  # the first versions of MLflow 3 have a Flask app only
            from starlette.middleware.wsgi import WSGIMiddleware

            return access.asgi(WSGIMiddleware(untyped.app))


def _serve_own_artifacts_only(uri: str) -> None:
    """Let MLflow open artifacts below the store's own folder only."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact import artifact_repository_registry
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    def own(address: str, *_: object, **__: object) -> Any:
        try:
            folder = locations.local(address, uri)
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        assert folder is not None  # the store is a database
        untyped: Any = LocalArtifactRepository
        return untyped(folder.as_uri())

    untyped: Any = artifact_repository_registry
    registry = untyped._artifact_repository_registry
    for scheme in {"", "file", *registry._registry}:
        registry.register(scheme, own)


def main(port: int) -> None:
    """Serve on a port of this machine until a signal."""
    import uvicorn

    uri = os.environ[URI]
    try:
        app = pages(uri, Access(port, os.environ.get(TOKEN, "")))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(REFUSED) from None
    uvicorn.run(app, host=HOST, port=port, log_level="warning", server_header=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))

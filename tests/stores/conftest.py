"""Every store; databases and servers are started once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from farback.stores import locations
from farback.stores.base import Store
from farback.stores.memory import Memory
from farback.stores.mlflow import MLflow


@pytest.fixture
def uri(empty_database: Path, tmp_path: Path) -> str:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return locations.SQLITE + str(tmp_path / "mlflow.db")


@pytest.fixture(scope="session")
def postgres_store(postgres: servers.Postgres) -> str:
    """The address of MLflow's tables in PostgreSQL, shared by the tests that use `on_postgres`."""
    uri = postgres.make("mlflow")
    MLflow(uri).close()
    return uri


@pytest.fixture(scope="session")
def server(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server in front of SQLite, shared by the tests that use `on_server`."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder / "mlflow.db")
    with servers.mlflow_server(locations.SQLITE + str(folder / "mlflow.db"), folder) as address:
        yield address


@pytest.fixture
def on_postgres(postgres_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store in PostgreSQL; artifacts go below the current directory."""
    monkeypatch.chdir(tmp_path)
    yield postgres_store
    set_aside(postgres_store)


@pytest.fixture
def on_server(server: str) -> Iterator[str]:
    """A store behind MLflow's server."""
    yield server
    set_aside(server)


def set_aside(uri: str) -> None:
    """Rename the experiments of a test, so that the next one does not find them."""
    with MLflow(uri) as store:
        for experiment in store.client.mlflow.search_experiments():
            if not experiment.name.startswith(("Default", "aside ")):
                store.client.mlflow.rename_experiment(experiment.experiment_id, f"aside {experiment.experiment_id}")


URIS = {"mlflow": "uri", "postgres": "on_postgres", "server": "on_server"}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("postgres", "server")]


@pytest.fixture(params=["memory", "mlflow", *SLOW])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    opened = Memory() if request.param == "memory" else MLflow(request.getfixturevalue(URIS[request.param]))
    with opened:
        yield opened

"""Every store, and an MLflow database migrated once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from farback.stores import locations
from farback.stores.base import Store
from farback.stores.memory import Memory
from farback.stores.mlflow import MLflow


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database: MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("migrated")
    MLflow(locations.SQLITE + str(folder / "mlflow.db")).close()
    return folder / "mlflow.db"


@pytest.fixture
def uri(migrated: Path, tmp_path: Path) -> str:
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return locations.SQLITE + str(tmp_path / "mlflow.db")


@pytest.fixture(params=["memory", "mlflow"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    opened = Memory() if request.param == "memory" else MLflow(request.getfixturevalue("uri"))
    with opened:
        yield opened

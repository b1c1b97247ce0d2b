"""Where a store is, and what of it may be shown."""

from pathlib import Path

import pytest

from farback.stores.locations import artifacts, database, default_uri, located, shown


@pytest.mark.parametrize(
    ("uri", "visible"),
    [
        ("postgresql://anna:hunter2@db.example.org:5432/mlflow", "postgresql://***@db.example.org:5432/mlflow"),
        ("postgresql+psycopg2://anna:p%40ss/w@host/db", "postgresql+psycopg2://***@host/db"),
        ("mysql://anna:a@b@host/db", "mysql://***@host/db"),
        ("https://token@mlflow.example.org", "https://***@mlflow.example.org"),
        ("https://host/?api_key=hunter2&x=1", "https://host/?api_key=***&x=1"),
        ("postgresql://host/db?user=anna&password=hunter2", "postgresql://host/db?user=anna&password=***"),
        ("sqlite:////home/anna/mlflow.db", "sqlite:////home/anna/mlflow.db"),
        (
            "http://127.0.0.1:5000/#/a?viewStateShareKey=farback-far",
            "http://127.0.0.1:5000/#/a?viewStateShareKey=farback-far",
        ),
    ],
)
def test_secrets_are_masked(uri: str, visible: str) -> None:
    assert shown(uri) == visible


def test_the_default_is_below_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert located(None) == default_uri(tmp_path) == f"sqlite:///{tmp_path.resolve()}/results/store/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:1")
    assert located(None) == "http://host:1"
    assert located("sqlite:///here.db") == f"sqlite:///{Path.cwd()}/here.db"


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:///tmp/mlruns"])
def test_a_folder_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="a store is sqlite"):
        located(uri)


def test_artifacts_lie_beside_the_database(tmp_path: Path) -> None:
    uri = default_uri(tmp_path)
    assert artifacts(uri, "first") == (database(uri).parent / "artifacts" / "first").as_uri()
    assert artifacts("http://host:1", "first") is None

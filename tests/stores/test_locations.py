"""Where a store is, and what of it may be shown."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy
from made_up import finished, trial

from farback.stores import open_store, studies
from farback.stores.locations import artifacts, database, default_uri, local, located, named, shown, sqlite
from farback.stores.mlflow import MLflow
from farback.trials.trial import Trial


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


ODD = ["how far?", "how far? again", "My%20Project", "100%", "a#b", "{braces}", "plus+and space", "übung"]


@pytest.mark.parametrize("name", ODD)
def test_a_database_lies_in_its_folder_whatever_the_folder_is_called(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "mlflow.db"
    path.parent.mkdir()
    uri = sqlite(path)
    assert database(uri) == path
    assert str(path) in named(uri)  # for a person: not percent-encoded
    engine = sqlalchemy.create_engine(uri)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table one (number integer)"))
    engine.dispose()
    assert path.exists()
    assert located(uri) == uri
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_store_and_studies_work_in_such_a_folder_and_write_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "how far? My%20Project {1}"
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    one = trial()
    with MLflow(default_uri(tmp_path / name)) as store, store.begin("first", [one]) as recorder:
        recorder.put(finished(one))
    with MLflow(default_uri(tmp_path / name)) as store:
        assert store.frame("first")["key"].unique().tolist() == [one.key]
    studies.opened(studies.located(None, tmp_path / name)).rdb.engine.dispose()
    assert {path.name for path in (tmp_path / name / "results" / "store").iterdir()} >= {"mlflow.db", "optuna.db"}
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_artifacts_are_in_the_project_wherever_the_command_is_typed(
    on_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, project = trial(), tmp_path / "project"
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        with open_store(on_postgres, project) as store, store.begin("first", [one]) as recorder:
            if name == "here":
                recorder.put(finished(one))
            assert store.frame("first")["key"].unique().tolist() == [one.key]
    assert not [*(tmp_path / "here").iterdir(), *(tmp_path / "there").iterdir()]
    assert list((project / "results" / "store" / "artifacts" / "first").iterdir())


def recorded(project: Path, empty_database: Path) -> tuple[Trial, set[Path]]:
    """A project with one recorded trial and a summary, and the files of its runs."""
    one, page = trial(), project / "report.md"
    (project / "results" / "store").mkdir(parents=True)
    shutil.copy(empty_database, project / "results" / "store" / "mlflow.db")
    with MLflow(default_uri(project)) as store, store.begin("first", [one]) as recorder:
        recorder.put(finished(one))
        page.write_text("first")
        store.summarise("first", files=[page])
    return one, set((project / "results" / "store" / "artifacts").rglob("*.*"))


def test_a_copied_project_leaves_the_original_as_it_was(tmp_path: Path, empty_database: Path) -> None:
    one, before = recorded(tmp_path / "A", empty_database)
    contents = {path: path.read_bytes() for path in before}
    shutil.copytree(tmp_path / "A", tmp_path / "B")
    (tmp_path / "B" / "report.md").write_text("second")
    two = trial(1)
    with MLflow(default_uri(tmp_path / "B")) as store:
        with store.begin("first", [two]) as recorder:
            recorder.put(finished(two))
        store.summarise("first", files=[tmp_path / "B" / "report.md"])
        assert set(store.frame("first")["key"]) == {one.key, two.key}
        runs = store.client.mlflow.search_runs([recorder.experiment_id])
    own = (tmp_path / "B" / "results" / "store" / "artifacts").as_uri() + "/"
    assert all(run.info.artifact_uri.startswith(own) for run in runs)  # MLflow's pages look there
    assert {path: path.read_bytes() for path in (tmp_path / "A").rglob("artifacts/**/*.*")} == contents
    (page,) = (tmp_path / "B").rglob("artifacts/**/report.md")
    assert page.read_text() == "second"


def test_a_moved_project_works_and_its_old_folder_stays_away(tmp_path: Path, empty_database: Path) -> None:
    one, _ = recorded(tmp_path / "A", empty_database)
    (tmp_path / "A").rename(tmp_path / "moved")
    with MLflow(default_uri(tmp_path / "moved")) as store:
        assert store.frame("first")["key"].unique().tolist() == [one.key]
        store.summarise("first", files=[tmp_path / "moved" / "report.md"])
    assert [each.name for each in tmp_path.iterdir()] == ["moved"]


def test_a_summary_keeps_the_files_and_tags_that_others_added(uri: str, tmp_path: Path) -> None:
    for name in ("old.csv", "new.csv"):
        (tmp_path / name).write_text(name)
    with MLflow(uri) as store:
        store.begin("first", [trial()]).close()
        store.summarise("first", tags={"a/bound": "below"}, files=[tmp_path / "old.csv"])
        (run,) = store.client.search("1", "tags.kind = 'summary'")
        store.client.mlflow.set_tag(run.info.run_id, "team/owner", "me")
        folder = local(run.info.artifact_uri, uri)
        (folder / "notes.txt").write_text("mine")
        (folder / "more").mkdir()
        store.summarise("first", tags={"b/bound": "below"}, files=[tmp_path / "new.csv"])
        (run,) = store.client.search("1", "tags.kind = 'summary'")
    assert {name for name in run.data.tags if "/" in name} == {"team/owner", "b/bound"}
    assert {path.name for path in folder.iterdir()} == {"notes.txt", "more", "new.csv"}

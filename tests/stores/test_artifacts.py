"""Addresses of artifacts come from the store: they are used only below its own folder, or on its own server."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from made_up import finished, trial

from farback.stores import locations
from farback.stores.artifacts import Artifacts
from farback.stores.client import Client
from farback.stores.mlflow import MLflow
from farback.stores.retries import Retries

RUN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def thesis(tmp_path: Path) -> Path:
    """A folder of the reader's, with files that have the names of a trial's and of a page's."""
    folder = tmp_path / "thesis"
    (folder / "figures").mkdir(parents=True)
    for name in ("chapter1.tex", "result.json", "scores.csv", "report.html", "figures/a.png"):
        (folder / name).write_text("mine")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def addresses(root: Path, thesis: Path) -> list[str]:
    """What a store may name in place of a run's own folder."""
    (root / "first").mkdir(parents=True, exist_ok=True)
    (root / "first" / RUN).symlink_to(thesis.parent)
    (root / "linked").symlink_to(thesis)
    return [
        thesis.as_uri(),
        str(thesis),
        f"file:{thesis}",
        f"file://localhost{thesis}",
        f"{(root / 'first').as_uri()}/../../{thesis.name}",
        f"{root.as_uri()}/..",
        f"{root.as_uri()}/first/../../thesis",
        f"{root.as_uri()}/first/%2E%2E/%2E%2E/thesis",
        (root / "linked").as_uri(),
        "file:///",
        "",
        "runs:/x/y",
        "s3://bucket/first/run/artifacts",
        "mlflow-artifacts:/1/run/artifacts",
        "mlflow-artifacts://elsewhere.example/1/run/artifacts",
        "http://elsewhere.example/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts",
        "ftp://elsewhere.example/first/run/artifacts",
        "models:/x/1",
        "dbfs:/x",
    ]


def test_nothing_outside_the_store_s_own_folder_is_read_written_or_deleted(tmp_path: Path, thesis: Path) -> None:
    uri, page = f"sqlite:///{tmp_path}/store/mlflow.db", tmp_path / "report.html"
    page.write_text("a page")
    artifacts = Artifacts(uri, Retries(uri, 0.0))
    mine = contents(thesis)
    for address in addresses(tmp_path / "store" / "artifacts", thesis):
        with pytest.raises(locations.ForeignAddress, match="below its own folder") as caught:
            artifacts.replace(address, [page], [])
        assert address in str(caught.value)
        with pytest.raises(locations.ForeignAddress):
            artifacts.write(address, {"result.json": b"theirs"})
        with pytest.raises(locations.ForeignAddress):
            artifacts.read(address, ["result.json"])
        artifacts.sweep(address)
    assert contents(thesis) == mine
    assert contents(tmp_path).keys() == {"report.html", *(f"thesis/{name}" for name in mine)}


def test_a_run_below_a_link_that_leads_out_of_the_store_is_refused(tmp_path: Path, thesis: Path) -> None:
    uri, root = f"sqlite:///{tmp_path}/store/mlflow.db", tmp_path / "store" / "artifacts"
    (root / "first" / RUN).mkdir(parents=True)
    (root / "first" / RUN / "artifacts").symlink_to(thesis)
    mine = contents(thesis)
    with pytest.raises(locations.ForeignAddress):
        Artifacts(uri, Retries(uri, 0.0)).replace(f"{root.as_uri()}/first/{RUN}/artifacts", [], [])
    assert contents(thesis) == mine


def test_a_store_on_another_disk_is_its_own_folder(tmp_path: Path) -> None:
    """`results/store` may be a link."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    uri = f"sqlite:///{tmp_path}/store/mlflow.db"
    artifacts, address = Artifacts(uri, Retries(uri, 0.0)), f"{locations.artifacts(uri, 'first')}/{RUN}/artifacts"
    artifacts.write(address, {"a": b"1"})
    assert artifacts.read(address, ["a"]) == [b"1"]


def test_replacing_deletes_the_named_files_of_this_run_only(tmp_path: Path, thesis: Path) -> None:
    """The names come from the store, too. A link is replaced or deleted, not what it leads to."""
    uri, page = f"sqlite:///{tmp_path}/store/mlflow.db", tmp_path / "report.html"
    page.write_text("a page")
    artifacts, address = Artifacts(uri, Retries(uri, 0.0)), f"{locations.artifacts(uri, 'first')}/{RUN}/artifacts"
    artifacts.write(address, {"old.png": b"old", "notes.txt": b"mine"})
    folder = locations.local(address, uri)
    (folder / "figures").symlink_to(thesis)
    (folder / "report.html").symlink_to(thesis / "report.html")
    (folder / "below").mkdir()
    mine = contents(thesis)
    outside = ["../../../../thesis/chapter1.tex", str(thesis / "chapter1.tex"), "figures/chapter1.tex", "..", ".", ""]
    artifacts.replace(address, [page], ["old.png", "figures", "below", "never.png", *outside])
    assert contents(folder) == {"report.html": "a page", "notes.txt": "mine"}
    assert sorted(path.name for path in folder.iterdir()) == ["below", "notes.txt", "report.html"]
    assert contents(thesis) == mine


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/store/mlflow.db"
    artifacts, address = Artifacts(uri, Retries(uri, 0.0)), f"{locations.artifacts(uri, 'first')}/{RUN}/artifacts"
    artifacts.write(address, {})
    folder = locations.local(address, uri)
    os.mkfifo(folder / "result.json")
    (folder / "scores.csv").symlink_to("/dev/zero")
    for name in ("result.json", "scores.csv"):
        with pytest.raises(OSError, match="not a plain file"):
            artifacts.read(address, [name])


def test_a_summary_s_address_that_somebody_changed_leaves_the_reader_s_files_alone(
    uri: str, tmp_path: Path, thesis: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text("a page")
    one = trial()
    with MLflow(uri) as store, store.begin("first", [one]) as recorder:
        recorder.put(finished(one))
        store.summarise("first", files=[page])
    mine = contents(thesis)
    for kind, call in {
        "summary": lambda store: store.summarise("first", files=[page]),
        "trial": lambda store: store.frame("first"),
    }.items():
        with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as opened:
            of_kind = "select run_uuid from tags where key = 'kind' and value = ?"
            opened.execute(f"update runs set artifact_uri = ? where run_uuid in ({of_kind})", (thesis.as_uri(), kind))
            opened.commit()
        with MLflow(uri) as store, pytest.raises(locations.ForeignAddress, match="thesis"):
            call(store)
    assert contents(thesis) == mine


def test_an_experiment_with_a_foreign_location_is_refused_before_anything_is_trained(uri: str, thesis: Path) -> None:
    with MLflow(uri) as store:
        store.client.mlflow.create_experiment("first", "s3://bucket/first")
        with pytest.raises(locations.ForeignAddress, match="s3://bucket"):
            store.begin("first", [trial()])


def test_a_copied_project_writes_into_its_own_folder(uri: str, tmp_path: Path) -> None:
    one, page = trial(), tmp_path / "report.html"
    page.write_text("first")
    with MLflow(uri) as store, store.begin("first", [one]) as recorder:
        recorder.put(finished(one))
        store.summarise("first", files=[page])
    copy = tmp_path / "copy"
    copy.mkdir()
    for part in tmp_path.glob("mlflow.db*"):
        shutil.copy(part, copy)
    shutil.copytree(tmp_path / "artifacts", copy / "artifacts")
    page.write_text("second")
    with MLflow(locations.SQLITE + str(copy / "mlflow.db")) as store:
        store.summarise("first", files=[page])
    pages = {path.relative_to(tmp_path).parts[0]: path.read_text() for path in tmp_path.rglob("artifacts/report.html")}
    assert pages == {"artifacts": "first", "copy": "second"}


class Listening(ThreadingHTTPServer):
    """A server that records the headers of all requests, and answers them with a status and a location."""

    daemon_threads = True

    def __init__(self, status: int = 404, location: str = "") -> None:
        self.seen: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            server: Listening

            def answer(self) -> None:
                self.server.seen.append(dict(self.headers))
                self.send_response(status)
                if location:
                    self.send_header("Location", location + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_PUT = do_DELETE = do_POST = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def listening(status: int = 404, location: str = "") -> Iterator[Listening]:
    with Listening(status, location) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_an_artifact_on_another_server_receives_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's client would send it the token of the user's server."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "sesame-token")
    with listening() as own, listening() as other:
        artifacts = Artifacts(own.address, Retries(own.address, 0.0))
        for address in (
            f"mlflow-artifacts://127.0.0.1:{other.server_port}/1/run/artifacts",
            f"{other.address}/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts",
            tmp_path.as_uri(),
            "s3://bucket/1/run/artifacts",
        ):
            for call in (
                lambda uri: artifacts.read(uri, ["result.json"]),
                lambda uri: artifacts.write(uri, {"result.json": b""}),
                lambda uri: artifacts.replace(uri, [], []),
            ):
                with pytest.raises(locations.ForeignAddress, match="does not serve"):
                    call(address)
        assert own.seen == other.seen == []
        with pytest.raises(Exception, match="404"):
            artifacts.read("mlflow-artifacts:/1/run/artifacts", ["result.json"])
    assert {seen["Authorization"] for seen in own.seen} == {"Bearer sesame-token"}


def test_a_redirect_to_another_server_carries_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "sesame-token")
    with listening() as other, listening(307, other.address.replace("127.0.0.1", "localhost")) as own:
        with pytest.raises(Exception, match="404"):
            Client(own.address, Retries(own.address, 0.0)).mlflow.get_experiment_by_name("first")
        with pytest.raises(Exception, match="404"):
            Artifacts(own.address, Retries(own.address, 0.0)).read("mlflow-artifacts:/1/run/artifacts", ["a"])
    assert {seen["Authorization"] for seen in own.seen} == {"Bearer sesame-token"}
    assert other.seen
    assert "sesame-token" not in str(other.seen)

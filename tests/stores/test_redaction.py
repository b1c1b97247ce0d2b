"""No password is seen: not in what is printed, raised, recorded or written, however its URI is spelled."""

from __future__ import annotations

import base64
import os
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest

from farback.cli import main, ui
from farback.records.user_error import UserError
from farback.stores import redaction
from farback.stores.redaction import authorization, masked, shown, signed_in
from farback.system.page_access import Access
from some import one_in, some

SENTINEL = "hunter2-Tr0ub4dor"
ENCODED = "hunter2%2DTr0ub4dor"
CONFIG = """\
name: tiny
base: {task: {name: recall, symbols: 2}, lag: 1, cell: elman, hidden: 2, batch: 2, steps: 2, evaluate_every: 1}
"""
SEARCH = """\
name: look
base: {task: {name: recall, symbols: 2}, lag: 1, cell: elman, batch: 2, steps: 2, evaluate_every: 1}
search: {space: {hidden: [1, 2]}, objective: skill, trials: 2, seeds: 1, report: {seeds: 1}}
"""
URIS = [
    f"postgresql://anna:{SENTINEL}@127.0.0.1:PORT/mlflow",
    f"postgresql://127.0.0.1:PORT/mlflow?user=anna&password={SENTINEL}",
    f"postgresql+psycopg://anna:{SENTINEL}@127.0.0.1:PORT/mlflow",
    f"postgresql+nothing://anna:{SENTINEL}@127.0.0.1:PORT/mlflow",
    f"mysql+pymysql://anna:{SENTINEL}@127.0.0.1:PORT/mlflow",
    f"nothing://anna:{SENTINEL}@127.0.0.1:PORT/mlflow",
    f"http://anna:{SENTINEL}@127.0.0.1:PORT",
    f"http://anna:{ENCODED}@127.0.0.1:PORT",
    f"http://anna:{SENTINEL}@127.0.0.1:port",
    f"http://{SENTINEL}@127.0.0.1:PORT",
    f"file://anna:{SENTINEL}@host/store",
    f"anna:{SENTINEL}@host",
]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`signed_in` sets variables: they are taken back."""
    for name in (redaction.USER, redaction.PASSWORD, redaction.TOKEN, "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    yield
    for name in (redaction.USER, redaction.PASSWORD):
        os.environ.pop(name, None)


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        (
            "cannot reach http://anna:x@host:1/a, nor http://host:2",
            "cannot reach http://***@host:1/a, nor http://host:2",
        ),
        ("postgresql://anna:p#a?b/c@host/db", "postgresql://***@host/db"),
        ("mysql://h/d?ssl_key=a&PASSWORD=b c", "mysql://h/d?ssl_key=a&PASSWORD=*** c"),
        ("nothing secret", "nothing secret"),
    ],
)
def test_uris_in_a_text_are_masked(text: str, visible: str) -> None:
    assert shown(text) == visible


@pytest.mark.parametrize(
    "said", ["p/a ss", "p%2Fa%20ss", "p%2Fa+ss", "nonnumeric port: 'p/a ss@host'", "('anna', 'p/a ss')"]
)
@pytest.mark.parametrize("uri", ["http://anna:p%2Fa%20ss@host", "http://anna:p/a ss@host", "x://h/?token=p%2Fa+ss#end"])
def test_parts_of_a_uri_in_a_library_s_message_are_masked(said: str, uri: str) -> None:
    for text in (masked(said, [uri], {}), masked(said, [], {"MLFLOW_TRACKING_URI": uri})):
        assert "***" in text
        assert "ss" not in text


@pytest.mark.parametrize(
    "name", ["MLFLOW_TRACKING_PASSWORD", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_TOKEN"]
)
def test_the_secrets_of_the_environment_are_masked(name: str) -> None:
    assert masked(f"refused for {SENTINEL}", (), {name: SENTINEL, "HOME": "/refused"}) == "refused for ***"


def test_the_shell_s_folder_is_no_secret() -> None:
    """PWD is not a password: paths below it have to be read in messages."""
    environment = {"PWD": "/home/ann/memory", "OLDPWD": "/home/ann", "DB_PWD": "hunter22"}
    said = "/home/ann/memory/results is a file: hunter22"
    assert masked(said, environment=environment) == "/home/ann/memory/results is a file: ***"


def test_a_server_s_password_goes_into_mlflow_s_variables() -> None:
    """MLflow's errors show its URI, so its URI holds no password."""
    assert signed_in("http://host:1") == "http://host:1"
    assert redaction.PASSWORD not in os.environ
    assert signed_in("https://anna%40b:p%2Fa%40ss@host:1/base") == "https://host:1/base"
    assert (os.environ[redaction.USER], os.environ[redaction.PASSWORD]) == ("anna@b", "p/a@ss")
    assert signed_in("postgresql://a:b@host/db") == "postgresql://a:b@host/db"
    with pytest.raises(UserError, match="MLFLOW_TRACKING_TOKEN") as refused:
        signed_in(f"https://{SENTINEL}@host")
    assert SENTINEL not in str(refused.value)


def test_the_header_equals_the_one_of_mlflow_s_client() -> None:
    import requests
    from mlflow.utils.rest_utils import MlflowHostCreds, http_request

    sent: list[str | None] = []

    def answer(self: requests.Session, request: requests.PreparedRequest, **_: object) -> requests.Response:
        sent.append(request.headers.get("Authorization"))
        response = requests.Response()
        response.status_code = 200
        return response

    environments = [{redaction.USER: "anna", redaction.PASSWORD: "p/a:ss"}, {redaction.TOKEN: "abc"}, {}]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", answer)
        for one in environments:
            creds = MlflowHostCreds(
                "http://127.0.0.1:1", one.get(redaction.USER), one.get(redaction.PASSWORD), one.get(redaction.TOKEN)
            )
            http_request(creds, "/api", "GET")
    assert sent == [authorization(one).get("Authorization") for one in environments]
    assert base64.b64decode(str(sent[0]).split()[1]) == b"anna:p/a:ss"


@pytest.fixture
def port() -> Iterator[int]:
    """A tracking server, and a PostgreSQL, that let nobody in: it is of no use to try again."""

    class Refusing(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            begun = self.rfile.read(8)
            if begun[:4] in (b"POST", b"GET "):
                self.wfile.write(b"HTTP/1.0 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
                return
            while begun[4:] in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"):  # PostgreSQL: encrypted? no
                self.wfile.write(b"N")
                begun = self.rfile.read(8)
            said = b'SFATAL\0C28P01\0Mpassword authentication failed for user "anna"\0\0'
            self.wfile.write(b"E" + (len(said) + 4).to_bytes(4, "big") + said)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusing)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def everything_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """What a command says and leaves behind in its folder, the names of files too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").write_text(CONFIG)
    (tmp_path / "configs" / "look.yaml").write_text(SEARCH)

    def ran(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["farback", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = "".join(capfd.readouterr())
        left = [
            f"{path}\n{path.read_bytes().decode(errors='replace')}" for path in tmp_path.rglob("*") if path.is_file()
        ]
        code = ended.value.code
        return (code if isinstance(code, int) else int(bool(code))), "\n".join([said, *left])

    return ran


@pytest.mark.parametrize(
    ("uri", "how"), some(zip(URIS, cycle(["option", "joined", "variable"]), strict=False), one_in(4))
)
def test_a_store_that_cannot_be_reached_keeps_the_password(
    uri: str, how: str, port: int, everything_said: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever MLflow, SQLAlchemy or urllib raises, chained or not."""
    uri = uri.replace("PORT", str(port))
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 0)
    given = {"option": ["--store", uri], "joined": [f"--store={uri}"], "variable": []}[how]
    if how == "variable":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    code, text = everything_said("run", "tiny", "--dry-run", *given)
    assert code != 0
    assert SENTINEL not in text
    assert ENCODED not in text


@pytest.mark.parametrize(
    ("uri", "command"),
    some(zip(URIS, cycle([("search", "look"), ("report", "look"), ("dashboard",)]), strict=False), one_in(4)),
)
def test_a_storage_that_cannot_be_reached_keeps_the_password(
    uri: str, command: tuple[str, ...], port: int, empty_database: Path, everything_said: Callable[..., tuple[int, str]]
) -> None:
    where = [] if command == ("dashboard",) else ["--store", f"sqlite:///{empty_database}"]
    code, text = everything_said(*command, "--storage", uri.replace("PORT", str(port)), *where)
    assert code != 0
    assert SENTINEL not in text
    assert ENCODED not in text


@pytest.mark.slow
def test_no_secret_of_the_environment_is_recorded(
    everything_said: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tags, parameters, notes, studies, pages: every byte of every file below the project."""
    for name in (redaction.PASSWORD, redaction.TOKEN, "PGPASSWORD"):
        monkeypatch.setenv(name, SENTINEL)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"http://anna:{SENTINEL}@127.0.0.1:PORT")
    code, text = everything_said("run", "tiny", "--workers", "1")
    assert code == 0, text
    assert "mlflow.db" in text
    assert SENTINEL not in text
    code, text = everything_said("search", "look", "--workers", "1")
    assert code == 0, text
    assert "optuna.db" in text
    assert SENTINEL not in text


def test_no_traceback_shows_local_variables() -> None:
    from farback.cli import app

    assert not app.pretty_exceptions_enable


@pytest.mark.parametrize("uri", URIS)
def test_the_arguments_of_the_ui_s_server_hold_no_uri(uri: str) -> None:
    assert not any(SENTINEL in word or "://" in word for word in ui.command(5000))
    assert ui.environment(uri, Access(5000, "secret-token"), {})["MLFLOW_BACKEND_STORE_URI"] == uri

"""Real servers for tests, each on a free port of 127.0.0.1 and gone with the process that started it.

PostgreSQL is Debian's package (`apt-get install postgresql`), MLflow's server is the one that is installed beside us.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

START_SECONDS = 120.0  # MLflow's server takes 10 s on an idle machine
USER = "postgres"  # who runs PostgreSQL where we are root, which it refuses to be run by
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}  # nothing is kept: it need not be safe


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_missing() -> str:
    """Why no PostgreSQL can be started here; nothing where it can."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed: uv pip install -c constraints.txt -e '.[postgres]'"
    if programs() is None:
        return "PostgreSQL is not installed: apt-get install postgresql"
    if os.getuid() == 0 and (shutil.which("setpriv") is None or not _known(USER)):
        return f"PostgreSQL does not run as root, and there is no setpriv or no user {USER!r} to run it"
    return ""


def programs() -> Path | None:
    """The folder of PostgreSQL's programs: Debian keeps them out of the path, by version. The newest."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).resolve().parent if named else None


class Postgres:
    """A running PostgreSQL."""

    def __init__(self, port: int, password: str) -> None:
        self.port, self.password = port, password
        self.process: subprocess.Popen[bytes] | None = None

    def uri(self, database: str) -> str:
        """The address of a database in it."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def make(self, database: str, template: str = "template0") -> str:
        """Make a database, a copy of `template`; its address."""
        import psycopg

        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute(f'create database "{database}" template "{template}"'.encode())
        return self.uri(database)


@contextlib.contextmanager
def postgres(settings: dict[str, str] | None = None) -> Iterator[Postgres]:
    """A PostgreSQL with an empty cluster and a password of its own.

    Args:
        settings: of the server; by default quick ones, which a power loss would not survive.
    """
    binaries = programs()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # not below pytest's own folders, which are root's alone
    server = Postgres(free_port(), secrets.token_hex(8))
    try:
        (folder / "password").write_text(server.password)
        if os.getuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, USER)
        initdb = [
            binaries / "initdb",
            "-D",
            folder / "data",
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(_as_user(*initdb, "--pwfile", folder / "password"), check=True, capture_output=True)
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(folder), "port": str(server.port)}
        options |= QUICK if settings is None else settings
        command = [binaries / "postgres", "-D", folder / "data"]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            server.process = subprocess.Popen(_as_user(*command), stdout=log, stderr=log)
        _wait(lambda: _connects(server.uri("postgres")), server.process, folder / "log")
        yield server
    finally:
        if server.process is not None:
            server.process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            server.process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def mlflow_server(backend: str, folder: Path, workers: int = 1, port: int | None = None) -> Iterator[str]:
    """MLflow's server in front of a database; its address.

    Args:
        backend: the database's URI.
        folder: for artifacts, which go through the server, and the log.
        workers: its processes.
        port: to listen on, as that of a server that comes back; by default a free one.
    """
    port = free_port() if port is None else port
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", backend, "--workers", str(workers)]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        environment = {**os.environ, **quiet}
        process = subprocess.Popen(
            _with_us(*command), env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(lambda: _answers(f"{address}/health"), process, folder / "server.log")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def _with_us(*command: object) -> list[str]:
    """The command, told to end when we are killed."""
    words = [str(word) for word in command]
    return ["setpriv", "--pdeathsig", "INT", *words] if shutil.which("setpriv") else words


def _as_user(*command: object) -> list[str]:
    """The command by a user that PostgreSQL lets run it."""
    wrapped = _with_us(*command)
    if os.getuid() != 0:
        return wrapped
    return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", *wrapped]


def _known(user: str) -> bool:
    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not ready():
        said = log.read_text(errors="replace")[-2000:]
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}: {said}")
        if time.monotonic() > until:
            raise RuntimeError(f"the server did not answer within {START_SECONDS:g} s: {said}")
        time.sleep(0.1)


def _connects(uri: str) -> bool:
    import psycopg

    try:
        psycopg.connect(uri, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

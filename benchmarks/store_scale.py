"""Time the store at different sizes: `python benchmarks/store_scale.py --into docs/scale.md`.

A store is filled with artificial finished trials of one experiment (`store_filling`), then queried like `farback run`.
SQLite is timed at every size; PostgreSQL and MLflow's server, on this machine, at the smaller ones. `--folder` keeps
the SQLite files and the rows of the table, so that the next call measures only what is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import psutil

from farback.cli.list import between
from farback.experiment import Experiment
from farback.stores import locations
from farback.stores.base import Recorder
from farback.stores.mlflow import MLflow
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Progress
from farback.trials.trial import Trial

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parent.parent / "tests"))
from store_filling import fill, trials, with_key

import servers

MISSING = 100  # trials that the big experiment, and a second one, have still to train
REPEATS, LONG_SECONDS = 5, 20.0  # calls, and seconds after which no further call begins
EVENTS, COHORT = 5000, 10  # progress events, and trials that they belong to
LARGEST_FRAME = {"MLflow server": 1000}  # the server sends artifacts one by one
COLUMNS = ("trials stored", "put", "begin", "resume", "of those missing", "beside", "frame", "memory", "disk")
CONFIG = """\
name: big
base:
  task: recall
  hidden: 8
sweep:
  - cell: [elman, gru, lstm, mgu]
    lag: [5, 10, 20, 40, 80]
    optimizer.lr: [0.001, 0.002, 0.005, 0.01, 0.02]
    seed: {{range: {seeds}}}
"""
FRAME = """
import re, sys, time
from pathlib import Path
from farback.stores.mlflow import MLflow
def peak():  # of this process only: ru_maxrss starts at the value of the parent process
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
store = MLflow(sys.argv[1])
store.frame("none")
before, began = peak(), time.perf_counter()
rows = len(store.frame("big"))
print(rows, time.perf_counter() - began, peak() - before)
"""


def seconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """How long a call takes: the fastest of several, since other work on the machine only slows it down."""
    started, found = time.perf_counter(), math.inf
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        found = min(found, time.perf_counter() - began)
        if time.perf_counter() - started > LONG_SECONDS:
            break
    return found


def measured(name: str, uri: str, count: int, events: Sequence[Event], bytes_used: int) -> list[str]:
    """A row of the table, of a store that was filled with `count` trials."""
    stored = trials(count)
    missing = trials(MISSING, start=10_000)
    everything = [*stored, *missing]
    keys, left = [trial.key for trial in everything], [trial.key for trial in missing]
    with MLflow(uri) as store:
        store.begin("big", everything).close()  # writes the views; a resumed run finds them
    with MLflow(uri) as store, contextlib.ExitStack() as open_recorders:

        def begun(name: str, announced: Sequence[Trial]) -> Recorder:
            return open_recorders.enter_context(store.begin(name, announced))

        begin = seconds(lambda: begun("big", everything))
        resume = seconds(lambda: check(store.finished("big", keys), set(keys) - set(left)))
        some = seconds(lambda: check(store.finished("big", left), set()))

        def beside() -> None:
            name = f"beside {secrets.token_hex(4)}"  # a new one each time
            begun(name, missing)
            check(store.finished(name, left), set())

        other = seconds(beside)
        recorder = begun(f"puts {secrets.token_hex(4)}", missing)
        put = min(seconds(partial(record, recorder, events, trial), 1) for trial in missing[:REPEATS])
    frame, memory = "", ""
    if count <= LARGEST_FRAME.get(name, count):
        output = subprocess.run([sys.executable, "-c", FRAME, uri], capture_output=True, text=True, check=True).stdout
        _, took, kilobytes = output.split()
        frame, memory = f"{float(took):.1f} s", f"{int(kilobytes) / 1024:.0f} MB"
    times = [f"{1000 * value:.0f} ms" for value in (put, begin, resume, some, other)]
    disk = f"{bytes_used / 2**20:.0f} MB" if bytes_used else ""
    row = [name, f"{count:,}".replace(",", " "), *times, frame, memory, disk]
    print(" | ".join(row), file=sys.stderr)
    return row


def record(recorder: Recorder, events: Sequence[Event], trial: Trial) -> None:
    """Record all events of a trial."""
    for event in with_key(events, trial):
        recorder.put(event)


def check(found: set[str], expected: set[str]) -> None:
    """Check that a query gives the right trials."""
    if found != expected:
        raise RuntimeError(f"found {len(found)} trials, expected {len(expected)}")


def size(folder: Path) -> int:
    """Bytes on the disk below a folder."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def known(folder: Path, name: str, measure: Callable[[], list[str]]) -> list[str]:
    """A row of the table, measured unless the folder has it from an earlier call."""
    path = folder / "rows" / f"{name}.json"
    if not path.exists():
        row = measure()
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(row))
    found: list[str] = json.loads(path.read_text())
    return found


def on_sqlite(folder: Path, count: int, events: Sequence[Event]) -> list[str]:
    """SQLite, with the database and the artifacts in a folder that is filled once."""
    place = folder / f"sqlite-{count}"
    uri = locations.SQLITE + str(place / "mlflow.db")
    if not (place / "filled").exists():
        shutil.rmtree(place, ignore_errors=True)  # partly filled by an interrupted call
        with MLflow(uri) as store:
            fill(store, uri, "big", trials(count), events, lambda artifacts: local(artifacts, uri))
        (place / "filled").touch()
    return measured("SQLite", uri, count, events, size(place))


def on_postgres(folder: Path, count: int, events: Sequence[Event]) -> list[str]:
    """PostgreSQL with Debian's settings, which write every commit to disk; artifacts in a folder."""
    with servers.postgres(settings={}) as running, inside(folder):
        uri = running.make("store")
        with MLflow(uri) as store:
            fill(store, uri, "big", trials(count), events, lambda artifacts: local(artifacts, uri))
        return measured("PostgreSQL", uri, count, events, 0)


def on_server(folder: Path, count: int, events: Sequence[Event]) -> list[str]:
    """MLflow's server with PostgreSQL, also for artifacts."""
    with servers.postgres(settings={}) as running:
        database = running.make("store")
        with servers.mlflow_server(database, folder) as address:
            with MLflow(address) as store:
                fill(
                    store,
                    database,
                    "big",
                    trials(count),
                    events,
                    lambda artifacts: folder / "artifacts" / artifacts.removeprefix("mlflow-artifacts:/"),
                )
            return measured("MLflow server", address, count, events, 0)


def local(artifacts: str, uri: str) -> Path:
    """The folder of artifacts on this machine."""
    found = locations.local(artifacts, uri)
    if found is None:
        raise RuntimeError(f"{artifacts} is not on this machine")
    return found


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Change the current folder, in which a store on a database server puts its artifacts."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def written_events(folder: Path, events: Sequence[Event]) -> str:
    """How many progress events per second the writer records on SQLite, including the final write."""
    (pattern,) = [event for event in events if isinstance(event, Progress)][:1]
    cohort = trials(COHORT)

    def write() -> None:
        with (
            MLflow(locations.SQLITE + str(folder / "events.db")) as store,
            store.begin(f"events {secrets.token_hex(4)}", cohort) as recorder,
        ):
            for step in range(EVENTS // COHORT):
                for trial in cohort:
                    recorder.put(replace(pattern, key=trial.key, step=step))

    return f"{EVENTS / seconds(write, 3):.0f} events of progress a second, of {len(pattern.metrics)} numbers each"


def expanded(folder: Path, count: int) -> str:
    """How long it takes to read a config with `count` trials, and to compute all their keys."""
    path = folder / "configs" / "big.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(CONFIG.format(seeds=count // 100))
    took = seconds(lambda: [trial.key for trial in Experiment.load(path).trials()], 3)
    return f"{took:.1f} s for {count:,}".replace(",", " ")


def main() -> None:
    """Measure, then print the table or write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000], help="on SQLite")
    parser.add_argument("--postgres", type=int, nargs="*", default=[1000, 10_000], help="on PostgreSQL")
    parser.add_argument("--server", type=int, nargs="*", default=[1000], help="behind a server; 10 ms a trial, twice")
    parser.add_argument("--folder", type=Path, help="keep what is made and measured, 5 GB for 100 000 trials")
    parser.add_argument("--into", type=Path, help="the page to write the table into")
    options = parser.parse_args()
    events = list(train(Cohort(tuple(trials(1)))))
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="store-scale-") as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        load = os.getloadavg()[0]
        for count in options.sizes:
            rows.append(known(folder, f"sqlite-{count}", partial(on_sqlite, folder, count, events)))
        for place, filled, counts in (
            ("postgres", on_postgres, options.postgres),
            ("server", on_server, options.server),
        ):
            for count in counts:
                own = Path(temporary) / f"{place}-{count}"
                own.mkdir()
                rows.append(known(folder, own.name, partial(filled, own, count, events)))
        pace = written_events(Path(temporary), events)
        configs = ", ".join(expanded(Path(temporary), count) for count in options.sizes)
    header = ["store", *COLUMNS]
    lines = [header, ["---", *["---:"] * len(COLUMNS)], *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    versions = ", ".join(f"{name} {version(name)}" for name in ("mlflow", "SQLAlchemy", "psycopg", "pydantic"))
    cores, memory = psutil.cpu_count(), psutil.virtual_memory().total / 2**30
    about = (
        f"Reading the config and computing every key takes {configs} trials. The writer records {pace} (SQLite). "
        f"Measured with {versions}, Python {platform.python_version()} on {cores} cores with {memory:.0f} GB, at a "
        f"load average of {load:.1f} from other work; times are the fastest of {REPEATS}, a frame is read once."
    )
    text = f"{table}\n\n{about}"
    if options.into:
        page = between(options.into.read_text(encoding="utf-8"), "store", text, str(options.into))
        options.into.write_text(page, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()

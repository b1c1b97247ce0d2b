"""Fixtures of the fault tests: the undisturbed run, random instants, and the counts for the table of faults."""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from catalogue import FAULTS, Tally, written
from filelock import FileLock
from instants import Instants, Pace
from projects import TRIALS, Command, Project, wait_for
from store_contents import StoreContent, store_content

from farback.kernels.precompile import precompile
from farback.kernels.unroll import DiagonalKernel, GatedKernel

Count = Callable[[str, str], None]
LEAST = 200  # random kills that a run must make before its table is written as a success
MARK = "fault"  # name of the report property that holds a fault
TALLY = pytest.StashKey[Tally]()
BEGAN = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults-table", type=Path, help="document in which to write the table of faults")
    group.addoption("--faults-seed", default="farback", help="seed of the random instants")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TALLY], config.stash[BEGAN] = Tally(), time.monotonic()
    config.pluginmanager.register(Counting(config), "farback-faults")


class Counting:
    """Counts faults in the process that receives all reports: with several test workers, the controller."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.tally = config, config.stash[TALLY]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and "[" in report.nodeid:
            kind, _, _ = report.nodeid.rpartition("[")[2].rstrip("]").rpartition("-")
            self.tally.skipped.setdefault(kind, "skipped")
        if report.when == "call" or (report.when == "setup" and report.failed):
            self.tally.add([text for name, text in report.user_properties if name == MARK], report.passed)  # type: ignore[misc]

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        path = self.config.getoption("--faults-table")
        if path is None or hasattr(self.config, "workerinput") or exitstatus not in (0, 1):
            return
        failed = sum(tried.cases - tried.passed for tried in self.tally.kinds.values())
        cases = sum(tried.cases for tried in self.tally.kinds.values())
        minutes = (time.monotonic() - self.config.stash[BEGAN]) / 60
        day = datetime.now(UTC).date().isoformat()
        seed = self.config.getoption("--faults-seed")
        verdict = "all survived" if not failed else f"**{failed} of the cases failed**"
        if self.tally.kills < LEAST:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            verdict += f"; **fewer than the required {LEAST} kills**"
        what = f"{self.tally.times} faults, {self.tally.kills} of them kills at random instants, in {cases} cases"
        about = f"{day}, seed `{seed}`, {minutes:.0f} minutes: {what}: {verdict}."
        written(path, self.tally.table(about))


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Count:
    """A function that counts a fault: its kind, and the phase of the command in which it happened, or ""."""

    def add(kind: str, phase: str) -> None:
        assert kind in FAULTS
        request.node.user_properties.append((MARK, (kind, phase)))

    return add


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path / "project")
    yield made
    made.end()


@pytest.fixture(scope="session")
def _reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoreContent, Pace]:
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    with FileLock(shared / "reference.lock"):  # one test worker makes it for all
        file = shared / "reference"
        if not file.exists():
            file.write_bytes(pickle.dumps(_made(shared / "never stopped")))
        reference: tuple[StoreContent, Pace] = pickle.loads(file.read_bytes())
    return reference


def _made(root: Path) -> tuple[StoreContent, Pace]:
    """The results of an undisturbed run in one process without checkpoints, and the time of its phases."""
    precompile([GatedKernel("elman", "tanh"), GatedKernel("gru"), DiagonalKernel()])  # not part of the phase "start"
    project = Project(root)
    pace = _paced(project.start("run", "configs/small.yaml", "--workers", "1", "--checkpoint-seconds", "1000"))
    return store_content(project), pace


def _paced(command: Command) -> Pace:
    """Wait for the end of a command and measure its phases."""
    wait_for(lambda: command.training or not command.alive)
    training = time.monotonic()
    wait_for(lambda: command.project.recorded() == TRIALS or not command.alive)
    writing = time.monotonic()
    assert command.wait() == 0, command.log
    return Pace(training - command.began, writing - training, time.monotonic() - writing)


@pytest.fixture(scope="session")
def reference(_reference: tuple[StoreContent, Pace]) -> StoreContent:
    """The content of the store and the page of an undisturbed run."""
    return _reference[0]


@pytest.fixture(scope="session")
def pace(_reference: tuple[StoreContent, Pace]) -> Pace:
    return _reference[1]


@pytest.fixture
def instants(request: pytest.FixtureRequest, pace: Pace) -> Instants:
    """The random instants of this test case."""
    seed = f"{request.config.getoption('--faults-seed')} {request.node.nodeid.partition('::')[2]}"
    print(f"instants: --faults-seed {request.config.getoption('--faults-seed')!r}, pace {pace}", file=sys.stderr)  # noqa: T201
    return Instants(seed, pace)

"""A Dask cluster started from the command line: a scheduler and workers on free ports of 127.0.0.1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent


class Cluster:
    """A scheduler and workers, started on entering and killed on leaving.

    Args:
        folder: for the scheduler's file, the workers' files and the logs.
        workers: of one thread each, without a nanny, so that a killed worker is not restarted.
        options: for both `dask scheduler` and `dask worker`, such as those of TLS.
    """

    def __init__(self, folder: Path, workers: int = 2, options: Sequence[str] = ()) -> None:
        self.folder, self.count, self.options = folder, workers, list(options)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def __enter__(self) -> Self:
        self.scheduler = self.start_scheduler()
        for _ in range(self.count):
            self.start_worker()
        return self

    def start_scheduler(self, port: str = "0") -> subprocess.Popen[bytes]:
        """Start a scheduler; by default on a free port."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self.address = ""
        process = self._run("scheduler", "--port", port, "--scheduler-file", str(file))
        deadline = time.monotonic() + 60
        while not self.address:
            assert process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.05)
            if file.exists():
                try:
                    self.address = json.loads(file.read_text())["address"]
                except ValueError:  # half written
                    continue
        return process

    def start_worker(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start one more worker."""
        fixed = ["--nthreads", "1", "--memory-limit", "0", "--local-directory", str(self.folder), "--no-nanny"]
        worker = self._run(
            "worker", self.address, *fixed, "--preload", "farback.training.loop", *options, **environment
        )
        self.workers.append(worker)
        return worker

    def _run(self, kind: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        paths = [str(HERE), str(HERE.parents[1] / "src")]
        own: dict[str, Any] = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "dask", kind, *arguments, "--host", "127.0.0.1", "--no-dashboard"]
        with (self.folder / f"{kind}.log").open("ab") as log:
            return subprocess.Popen([*command, *self.options], stdout=log, stderr=log, env=own | environment)

    def output(self) -> str:
        """The logs of all processes."""
        return "\n".join(path.read_text() for path in self.folder.glob("*.log"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
        for process in [*self.workers, self.scheduler]:
            process.wait()

"""A Dask cluster as a person starts it: a scheduler and workers from the command line, on free ports of 127.0.0.1."""

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
    """Starts on entering, and leaves no process behind.

    Args:
        folder: for the scheduler's file, the workers' files and what they print.
        workers: how many workers of one thread, each a process without a nanny, so that to kill it is to lose a node.
        options: of `dask scheduler` and `dask worker` alike, such as those of TLS.
    """

    def __init__(self, folder: Path, workers: int = 2, options: Sequence[str] = ()) -> None:
        self.folder, self.count, self.options = folder, workers, list(options)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def __enter__(self) -> Self:
        self.scheduler = self.started()
        for _ in range(self.count):
            self.join()
        return self

    def started(self, port: str = "0") -> subprocess.Popen[bytes]:
        """A scheduler."""
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

    def join(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """One more worker."""
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
        """What the processes printed."""
        return "\n".join(path.read_text() for path in self.folder.glob("*.log"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
        for process in [*self.workers, self.scheduler]:
            process.wait()

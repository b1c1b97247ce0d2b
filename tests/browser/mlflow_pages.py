"""MLflow's pages of an experiment, as `farback ui` starts them and as a person finds a chart on them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page

import servers

MINUTE = 60_000.0  # milliseconds: MLflow's first page takes seconds on an idle machine

Open = Callable[[str], Page]
Picture = Callable[[Page, str], None]


def farbacks(*arguments: str) -> list[str]:
    """The command that farback's own command line is."""
    return [sys.executable, "-m", "farback.cli", *arguments]


def clean() -> dict[str, str]:
    """Our variables without a store of somebody else's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}


def project(folder: Path, name: str, config: str, command: str) -> Path:
    """A folder with an experiment in it, done and reported.

    Args:
        folder: where it goes.
        name: the experiment's.
        config: its text.
        command: `run` or `search`.
    """
    (folder / "configs").mkdir()
    (folder / "configs" / f"{name}.yaml").write_text(config)
    line = farbacks(command, f"configs/{name}.yaml")
    done = subprocess.run(line, cwd=folder, env=clean(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@contextmanager
def served(folder: Path, name: str) -> Iterator[dict[str, str]]:
    """What `farback ui` prints: the name of each view, and where it is."""
    command = farbacks("ui", name, "--port", str(servers.free_port()))
    with subprocess.Popen(command, cwd=folder, env=clean(), stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            said = []
            for line in serving.stdout:  # it ends by itself when MLflow does not start within its two minutes
                said.append(line)
                if line.startswith("Ctrl-C"):
                    break
            yield dict(re.findall(r"^(\w[\w ]*): +(http://127\.0\.0\.1:\S+)$", "".join(said), re.MULTILINE))
        finally:
            serving.terminate()  # ends the server, too, and is an end like Ctrl-C
            assert serving.wait(30) == 0


def card(page: Page, metric: str) -> Locator:
    """The chart of a metric."""
    return page.get_by_test_id("experiment-view-compare-runs-card").filter(
        has=page.get_by_role("heading", name=metric, exact=True)
    )


def headers(page: Page) -> list[str]:
    """The headers of the table of runs that are in sight, from the left."""
    found = page.locator(".ag-header-cell:visible").all()
    placed = sorted((box["x"], header.inner_text().strip()) for header in found if (box := header.bounding_box()))
    return [text for _, text in placed if text]

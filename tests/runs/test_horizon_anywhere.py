"""`farback.horizon` with worker processes from a script, `python -c`, standard input and a Jupyter kernel."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SETTINGS = (
    'task={"name": "recall", "symbols": 2, "filler": "blank"}, hidden=4, steps=40, evaluate_every=20, batch=8, '
    'limit=16, workers=2, optimizer={"name": "adam", "lr": 0.03}'
)
CODE = f"import farback\nfound = farback.horizon('memoryless', precision=0.6, {SETTINGS})\n"
ANSWER = (
    "Most fresh memoryless networks fail on recall at lag 1, the smallest tried (95 %: up to 1); 6 networks trained"
)
SECONDS = 600.0


@pytest.mark.parametrize("way", ["a script", "python -c", "standard input"])
def test_it_trains_in_workers_without_a_main_guard(way: str, tmp_path: Path) -> None:
    code = CODE + "print(repr(found))\n"
    script = tmp_path / "script.py"
    script.write_text(code)
    arguments = {"a script": [str(script)], "python -c": ["-c", code], "standard input": ["-"]}[way]
    command, stdin = [sys.executable, *arguments], code if way == "standard input" else None
    done = subprocess.run(command, cwd=tmp_path, input=stdin, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(ANSWER)
    assert done.stderr.startswith("memoryless: lags 1 to 16, about 30 networks to train in 2 workers\n")
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Any]:
    """A Jupyter kernel in a folder of its own, as (manager, client)."""
    pytest.importorskip("ipykernel")
    manager = pytest.importorskip("jupyter_client").manager.KernelManager()
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=SECONDS)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def outputs(client: Any, code: str) -> Iterator[tuple[str, str]]:
    """What a cell shows, as it arrives: the kind of the message, and its text."""
    request = client.execute(code)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        message = client.get_iopub_msg(timeout=SECONDS)
        content, kind = message["content"], message["msg_type"]
        if message["parent_header"].get("msg_id") != request:
            continue
        if kind == "status" and content["execution_state"] == "idle":
            return
        if kind == "stream":
            yield content["name"], content["text"]
        elif kind == "error":
            yield kind, "\n".join(content["traceback"])
        elif "data" in content:
            yield kind, str(content["data"])
    raise TimeoutError(code)


def test_a_cell_of_a_notebook_shows_lines_and_the_answer(kernel: Any) -> None:
    """Without widgets: text on stderr, and the result as text."""
    shown = list(outputs(kernel[1], CODE + "found"))
    assert {kind for kind, _ in shown} == {"stderr", "execute_result"}, shown
    progress = "".join(text for kind, text in shown if kind == "stderr")
    assert progress.startswith("memoryless: lags 1 to 16, about 30")
    assert "\x1b" not in progress
    assert ANSWER in shown[-1][1]
    assert "'image/png'" in next(text for kind, text in outputs(kernel[1], "found.plot()") if kind == "execute_result")


MODULE = f"""
import farback, torch
class Mine(torch.nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.weights = torch.nn.Linear(inputs + hidden, hidden)
    def forward(self, x, state):
        return torch.tanh(self.weights(torch.cat([x, state], -1)))
farback.horizon(Mine, precision=0.6, progress=False, {SETTINGS})
"""


def test_a_class_of_a_cell_is_trained(kernel: Any) -> None:
    ((kind, text),) = outputs(kernel[1], MODULE)
    assert kind == "execute_result", text
    assert "fresh Mine networks" in text


def test_an_interrupted_cell_returns_the_result_so_far(kernel: Any) -> None:
    manager, client = kernel
    long = f"import farback\nfarback.horizon('gru', precision=0.02, seeds=10000, {SETTINGS})"
    shown, is_interrupted = [], False
    for kind, text in outputs(client, long):
        shown.append((kind, text))
        if not is_interrupted and re.search(r"horizon so far: ([\d.]+ \(|at least|below)", text):
            manager.interrupt_kernel()
            is_interrupted = True
    assert is_interrupted, shown
    assert shown[-1][0] == "execute_result", shown
    assert "stopped before the precision was reached" in shown[-1][1]
    assert list(outputs(client, "print(1 + 1)")) == [("stdout", "2\n")]

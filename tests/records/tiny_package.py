"""An installed package with plug-ins of every kind: modules, and a dist-info folder with entry points."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

SOURCES = {
    "ema.py": '''
        """A leaky tanh unit."""

        import torch

        from farback.cells.base import GatedCell, recurrent


        class Ema(GatedCell):
            """h_t = 0.9 h_{t-1} + 0.1 tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)

            Source: nobody.
            """

            def step(self, p, gates_RBG, state):
                return (0.9 * state[0] + 0.1 * torch.tanh(gates_RBG + recurrent(state[0], p)),)
        ''',
    "tasks.py": '''
        """Two tasks in one file: each says what it is called."""

        from typing import Literal

        from farback.tasks.recall import Recall


        class Near(Recall):
            """Recall of two symbols."""

            name: Literal["near"] = "near"
            symbols: int = 2


        class Far(Recall):
            """Recall of three symbols."""

            name: Literal["far"] = "far"
            symbols: int = 3
        ''',
    "small.py": '''
        """A start near zero."""

        from farback.inits.torch import Torch


        class Small(Torch):
            """A hundredth of torch's values."""

            def draw(self, layer, rng):
                return {name: value / 100 for name, value in super().draw(layer, rng).items()}
        ''',
    "doubled.py": '''
        """An encoder that doubles."""

        from farback.encoders.identity import IdentityEncoder


        class Doubled(IdentityEncoder):
            """Twice the input."""
        ''',
    "plain.py": '''
        """A plain rule."""

        from farback.optimizers.sgd import SGD


        class Plain(SGD):
            """Gradient descent."""
        ''',
    "sudden.py": '''
        """A schedule of one step."""

        from farback.schedules.base import Schedule


        class Sudden(Schedule):
            """A tenth of the rate in the second half."""

            def decay(self, done):
                return 1.0 if done < 0.5 else 0.1
        ''',
    "last.py": '''
        """A measure of nothing."""

        from farback.measures.base import Measure, Row


        class Last(Measure):
            """The number of weights."""

            def rows(self, network, task, seeds, untrained):
                return [[Row(-1, "weights", float(len(network.parameters)))] for _ in seeds]
        ''',
    "absent.py": "import no_such_library\n",
}
ENTRIES = {
    "farback.cells": {"ema": "tiny_memory.ema:Ema"},
    "farback.tasks": {"near": "tiny_memory.tasks:Near", "far": "tiny_memory.tasks:Far"},
    "farback.inits": {"small": "tiny_memory.small:Small"},
    "farback.encoders": {"doubled": "tiny_memory.doubled:Doubled"},
    "farback.optimizers": {"plain": "tiny_memory.plain:Plain"},
    "farback.schedules": {"sudden": "tiny_memory.sudden:Sudden"},
    "farback.measures": {"last": "tiny_memory.last:Last"},
}
Entries = Mapping[str, Mapping[str, str]]


def installed(site: Path, entries: Entries, name: str = "tiny-memory", version: str = "0.1") -> Path:
    """Write a package with its metadata into a folder for `sys.path`."""
    package = site / "tiny_memory"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    for file, source in SOURCES.items():
        (package / file).write_text(textwrap.dedent(source).lstrip())
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{key} = {value}" for key, value in own.items())]) for group, own in entries.items()
    ]
    (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
    return site

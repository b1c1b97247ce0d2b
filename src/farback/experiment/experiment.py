"""An experiment: a config that was read and checked. It is a sweep or a search."""

from __future__ import annotations

import math
import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farback.experiment.overrides import overridden
from farback.experiment.problems import ConfigError, Problem, joined, shown
from farback.experiment.sections import executor_section
from farback.experiment.yaml_tree import Entry, Node, read
from farback.records.execution import Placement
from farback.records.record import UserError, choices
from farback.system import devices
from farback.system.project import RESULTS, root_of
from farback.trials.trial import Trial

KEYS = ("name", "question", "base", "sweep", "search", "claims", "checkpoint_seconds", "executor", "device")
CHECKPOINT_SECONDS = 60.0  # checkpoints cost next to nothing, and a minute of training is soon repeated
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a folder below results/, and an MLflow experiment


@dataclass(frozen=True)
class Experiment(ABC):
    """What a sweep and a search have in common.

    Attributes:
        name: the config's stem.
        question: one sentence, or nothing.
        base: the fields that every trial shares, as written, overrides included.
        path: the config.
        text: the config's source.
        overrides: as given to `load`.
        checkpoint_seconds: between two checkpoints; part of no trial's identity.
        executor: where the config says that trials are trained; part of no trial's identity.
        device: that they are trained on (`farback.system.devices`); part of no trial's identity.
        seeds_shifted: added to the seed of every trial, to repeat the experiment with other seeds.
    """

    name: str
    question: str
    base: dict[str, Any]
    path: Path
    text: str = field(repr=False)
    overrides: tuple[str, ...]
    checkpoint_seconds: float
    executor: Placement | None = field(compare=False)
    device: str
    seeds_shifted: int = field(default=0, kw_only=True)

    @staticmethod
    def load(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
        """Read a config and make every trial of a sweep; for a search, try the ends of its space.

        Args:
            path: a YAML file.
            overrides: each "key=value": a dotted path below `base`, an axis of the sweep or a key of the search
                (`search.trials`), and a YAML value.

        Returns:
            A `farback.experiment.Sweep` or a `farback.experiment.Search`.

        Raises:
            ConfigError: everything that is wrong, a line each: place, dotted path, value, what is allowed.
        """
        path = Path(path)
        text, document = read(path)
        problems: list[Problem] = []
        _check_top(document, path, problems)
        entries = document.entries
        executor = executor_section(entries.get("executor"), problems)
        base, sweep, search = _base(document, problems), entries.get("sweep"), entries.get("search")
        if sweep and search:
            message = f"a config is a sweep or a search, and the sweep is at {sweep.key}: keep one"
            raise ConfigError([*problems, Problem(str(search.key), "search", message)])
        base, sweep, search = overridden(base, sweep, search, overrides, problems)
        seconds = float(entries["checkpoint_seconds"].node.plain) if "checkpoint_seconds" in entries else None
        device = entries["device"].node.plain if "device" in entries else devices.CPU
        question = entries["question"].node.plain if "question" in entries else ""
        seconds = CHECKPOINT_SECONDS if seconds is None else seconds
        common = path.stem, question, base.node.plain, path, text, tuple(overrides), seconds, executor, device
        loader = _LOADERS["search" if search else "sweep"]
        made = loader(common, base, search or sweep, entries.get("claims"), problems)
        if problems or made is None:
            raise ConfigError(sorted(problems, key=_position))
        return made

    @abstractmethod
    def contrasts(self) -> list[tuple[str, str, list[Trial]]]:
        """For each axis: its path, its place in the config, and trials that differ along this axis only."""

    @property
    def root(self) -> Path:
        """The folder that holds `results/` (`farback.system.project`)."""
        return root_of(self.path)

    @property
    def shown(self) -> str:
        """The path as it was given."""
        return str(self.path)

    @property
    def arguments(self) -> str:
        """The config and the options that changed it, as typed on a command line."""
        shift = [f"--shift-seeds {self.seeds_shifted}"] if self.seeds_shifted else []
        return " ".join([shlex.quote(self.shown), *(f"--set {shlex.quote(text)}" for text in self.overrides), *shift])

    @property
    def results_folder(self) -> Path:
        """Where the page goes: `results/NAME`, or a folder beside it where options changed the config.

        Raises:
            UserError: it is a symbolic link, so that writing there could replace files outside the project. `results`
                itself may be one.
        """
        shift = [f"seeds-{self.seeds_shifted}"] if self.seeds_shifted else []
        settings = re.sub(r"[^\w.=-]+", "_", "-".join([*self.overrides, *shift]))[:100]
        path = self.root / RESULTS / (f"{self.name}--{settings}" if settings else self.name)
        if path.is_symlink():
            raise UserError(
                f"{path} is a symbolic link to {path.readlink()}; farback does not write a page through it: remove the "
                "link, or link results/ as a whole"
            )
        return path


Common = tuple[str, str, dict[str, Any], Path, str, tuple[str, ...], float, Placement | None, str]
Loader = Callable[[Common, Entry, Entry | None, Entry | None, list[Problem]], Experiment | None]
_LOADERS: dict[str, Loader] = {}


def loads(kind: str) -> Callable[[Loader], Loader]:
    """Register the function that turns a config's section, "sweep" or "search", into an experiment.

    It takes what all experiments have in common, the entries of base, of the section and of `claims`, and a list to
    which it adds what is wrong.
    """

    def register(loader: Loader) -> Loader:
        _LOADERS[kind] = loader
        return loader

    return register


def _position(problem: Problem) -> tuple[int, ...]:
    """Line and column, for the order of the file; a problem without a place comes first."""
    found = re.search(r":(\d+):(\d+)$", problem.location)
    return tuple(map(int, found.groups())) if found else (0, 0)


def _check_top(document: Node, path: Path, problems: list[Problem]) -> None:
    """Check everything in a config but its base, sweep and search."""
    if not isinstance(document.value, dict):
        what = "is empty" if document.value is None else f"must be a mapping, got {shown(document.plain)}"
        raise ConfigError([Problem(str(document.mark), "", f"{what}; a config has the keys {', '.join(KEYS)}")])
    for key, entry in document.entries.items():
        if key not in KEYS:
            problems.append(
                Problem(str(entry.key), joined(key), f"unknown key {shown(key)}; {choices(key, list(KEYS))}")
            )
    allowed = "1 to 64 letters, digits, - and _"
    if not NAME.fullmatch(path.stem):
        problems.append(Problem(str(path), "", f"the file's name must be {allowed}, and .yaml; got {shown(path.stem)}"))
    name = document.entries.get("name")
    if name is None:
        problems.append(Problem(str(document.mark), "name", f"is missing: write name: {path.stem}"))
    elif not isinstance(name.node.value, str) or not NAME.fullmatch(name.node.value):
        problems.append(Problem(str(name.node.mark), "name", f"must be {allowed}, got {shown(name.node.plain)}"))
    elif name.node.value != path.stem:
        got = shown(name.node.value)
        message = f"must equal the file's name, {shown(path.stem)}, for results are kept under it; got {got}"
        problems.append(Problem(str(name.node.mark), "name", message))
    question = document.entries.get("question")
    if question and not isinstance(question.node.value, str):
        problems.append(Problem(str(question.node.mark), "question", f"must be text, got {shown(question.node.plain)}"))
    seconds = document.entries.get("checkpoint_seconds")
    if seconds and not _is_time(seconds.node.value):
        message = f"must be a number of seconds, 0 or more, got {shown(seconds.node.plain)}"
        problems.append(Problem(str(seconds.node.mark), "checkpoint_seconds", message))
    device = document.entries.get("device")
    if device and not (isinstance(device.node.value, str) and re.fullmatch(devices.FORM, device.node.value)):
        message = f"must be {devices.ALLOWED}, got {shown(device.node.plain)}"
        problems.append(Problem(str(device.node.mark), "device", message))


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _base(document: Node, problems: list[Problem]) -> Entry:
    """The base; an empty one where there is none, since axes may give every field."""
    entry = document.entries.get("base")
    if entry is None:
        return Entry(document.mark, Node(document.mark, {}))
    if entry.node.value is not None and not isinstance(entry.node.value, dict):
        got = shown(entry.node.plain)
        problems.append(Problem(str(entry.node.mark), "base", f"must be a mapping of a trial's fields, got {got}"))
    return entry if isinstance(entry.node.value, dict) else Entry(entry.key, Node(entry.node.mark, {}))

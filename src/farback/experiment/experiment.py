"""An experiment: a config that was read, checked and turned into trials."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from farback.experiment.expansion import expanded
from farback.experiment.overrides import overridden
from farback.experiment.problems import ConfigError, Mark, Problem, joined, shown
from farback.experiment.search import Search, declared
from farback.experiment.search_check import checked, contrasts
from farback.experiment.sections import claimed, placed
from farback.experiment.selection import selected
from farback.experiment.sweep import Axis, Grid, grids
from farback.experiment.yaml_tree import Entry, Node, read
from farback.records.claim import Claim
from farback.records.execution import Placement
from farback.records.record import UserError, choices
from farback.system import devices
from farback.system.project import root_of
from farback.trials.trial import Trial

KEYS = ("name", "question", "base", "sweep", "search", "claims", "checkpoint_seconds", "executor", "device")
CHECKPOINT_SECONDS = 60.0  # their cost is nothing, and a minute is soon made up for
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a folder below results/, and an MLflow experiment


@dataclass(frozen=True)
class Experiment:
    """What a config says: a question, and the trials that answer it, or the search that finds them.

    Attributes:
        name: the config's stem.
        question: one sentence, or nothing.
        base: the fields that every trial shares, as they were written, overrides included.
        sweep: the grids; none of a search.
        path: the config.
        text: the config's source.
        overrides: as given to `load`.
        search: the search, where the config has one instead of a sweep.
        checkpoint_seconds: between two checkpoints of what trains: it changes no trial.
        executor: where the config says its trials are trained; part of no trial's identity.
        device: where it trains (`farback.system.devices`): nor does that.
        claims: published statements that it checks; part of no trial.
        seeds_shifted: added to the seed of every trial, to repeat the experiment with other seeds.
    """

    name: str
    question: str
    base: dict[str, Any]
    sweep: tuple[Grid, ...]
    path: Path
    text: str
    overrides: tuple[str, ...] = ()
    made: tuple[tuple[Trial, ...], ...] = field(default=(), repr=False)
    document: Node | None = field(default=None, repr=False, compare=False)
    search: Search | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    executor: Placement | None = field(default=None, compare=False)
    device: str = devices.CPU
    claims: tuple[Claim, ...] = ()
    seeds_shifted: int = 0

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """Read a config and make all of its trials; of a search, try the ends of its space.

        Args:
            path: a YAML file.
            overrides: each "key=value", a dotted path below `base`, an axis of the sweep or a key of the search
                (`search.trials`), and a YAML value.

        Raises:
            ConfigError: with everything that is wrong, a line each: place, dotted path, value, what is allowed.
        """
        path = Path(path)
        text, document = read(path)
        problems: list[Problem] = []
        _check_top(document, path, problems)
        executor = placed(document.entries.get("executor"), problems)
        claims = claimed(document.entries.get("claims"), problems)
        base, sweep, searched = _base(document, problems), document.entries.get("sweep"), document.entries.get("search")
        if sweep and searched:
            message = f"a config is a sweep or a search, and the sweep is at {sweep.key}: keep one"
            raise ConfigError([*problems, Problem(str(searched.key), "search", message)])
        if searched and claims:
            message = "claims go with a sweep: what a search trains is not known beforehand"
            problems.append(Problem(str(document.entries["claims"].key), "claims", message))
        base, sweep, searched = overridden(base, sweep, searched, overrides, problems)
        found, made = [], []
        search = declared(base, searched, problems) if searched else None
        if searched:
            search = checked(search, base, problems) if search and not problems else None
        else:
            found = grids(sweep, base.key, problems)
            made = expanded(base, [] if problems else found, problems)
        if problems:
            raise ConfigError(sorted(problems, key=_position))
        question = document.entries["question"].node.plain if "question" in document.entries else ""
        kept = tuple(found), path, text, tuple(overrides), tuple(made), document, search
        entry = document.entries.get("checkpoint_seconds")
        seconds = float(entry.node.plain) if entry else CHECKPOINT_SECONDS
        device = document.entries["device"].node.plain if "device" in document.entries else devices.CPU
        return cls(path.stem, question, base.node.plain, *kept, seconds, executor, device, claims)

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
        return " ".join([self.shown, *(f"--set {shlex.quote(text)}" for text in self.overrides), *shift])

    @property
    def results_folder(self) -> Path:
        """Where the page goes: `results/NAME`, or a folder beside it where options changed the config.

        Raises:
            UserError: it is a symbolic link, so writing there could replace files outside the project. `results` itself
                may be one.
        """
        shift = [f"seeds-{self.seeds_shifted}"] if self.seeds_shifted else []
        settings = re.sub(r"[^\w.=-]+", "_", "-".join([*self.overrides, *shift]))[:100]
        path = self.root / "results" / (f"{self.name}--{settings}" if settings else self.name)
        if path.is_symlink():
            raise UserError(
                f"{path} is a symbolic link to {path.readlink()}; farback does not write a page through it: remove the "
                "link, or link results/ as a whole"
            )
        return path

    def shifted(self, seeds: int) -> Self:
        """The same experiment with so much added to every seed: other networks and other data, nothing else."""
        made = tuple(tuple(trial.reseeded(trial.seed + seeds) for trial in trials) for trials in self.made)
        return replace(self, made=made, seeds_shifted=self.seeds_shifted + seeds)

    def trials(self) -> list[Trial]:
        """Every trial: grid after grid as written, the last axis of a grid fastest.

        Raises:
            UserError: the config is a search, whose trials come from its study: `farback.runs.search.winners`.
        """
        if self.search:
            raise UserError(
                f"{self.shown} is a search, whose trials are found as it goes: `farback search {self.name}` runs it"
            )
        return [trial for trials in self.made for trial in trials]

    def brackets(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Of these trials those that differ in the lag alone and are picked by bisection, by rising lag."""
        wanted = {trial.key for trial in trials if trial.bracket}
        chains: dict[tuple[int, ...], list[Trial]] = {}
        for index, (grid, made) in enumerate(zip(self.sweep, self.made, strict=True)):
            if not grid.bracket:
                continue
            for combination, trial in zip(grid.combinations(), made, strict=True):
                if trial.key in wanted:
                    others = [level for axis, level in zip(grid.axes, combination, strict=True) if not axis.bracket]
                    chains.setdefault((index, *others), []).append(trial)
        return [tuple(sorted(chain, key=lambda trial: trial.lag)) for chain in chains.values()]

    def only(self, filters: Sequence[str]) -> list[Trial]:
        """The trials that pass every filter, such as `cell=lstm`, `lag=5,10`, `cell.nonlinearity=tanh`.

        Raises:
            ConfigError: a key or a value that no trial has, with the choices.
        """
        return selected(self.trials(), filters)

    def axes(self) -> list[tuple[Axis, ...]]:
        """The axes of every grid, with their levels and where those stand."""
        return [grid.axes for grid in self.sweep]

    def contrasts(self) -> list[tuple[str, str, list[Trial]]]:
        """For each axis of each grid: its path, its place, and trials that differ in this axis only.

        The other axes stay at their first level. Paths paired by `zip` are one axis. An axis of one level is left out.
        Of a search: the groups, and each dimension at its choices or ends.
        """
        if self.search:
            return contrasts(self.search)
        found = []
        for grid, trials in zip(self.sweep, self.made, strict=True):
            stride = grid.count
            for axis in grid.axes:
                count = len(axis.levels)
                stride //= count
                if count > 1:
                    found.append((axis.path, str(axis.keys[0]), [trials[level * stride] for level in range(count)]))
        return found

    def where(self, path: str) -> str:
        """The place ("file:line:column") of a dotted path: `base.task.symbols`, `sweep[0].lag`, `sweep[0].lag[2]`.

        Raises:
            KeyError: the config has nothing there.
        """
        parts = re.findall(r"[^.\[\]]+", path)
        mark, node = Mark(self.shown, 1, 1), self.document
        while parts and node is not None:
            taken = next((size for size in range(len(parts), 0, -1) if ".".join(parts[:size]) in node.entries), 0)
            if taken:
                mark, node = node.entries[".".join(parts[:taken])]
            elif isinstance(node.value, tuple) and parts[0].isdecimal() and int(parts[0]) < len(node.value):
                node, taken = node.value[int(parts[0])], 1
                mark = node.mark
            else:
                raise KeyError(path)
            parts = parts[taken:]
        return str(mark)


def _position(problem: Problem) -> tuple[int, ...]:
    """Line and column, for the order of the file; what has none comes first."""
    found = re.search(r":(\d+):(\d+)$", problem.location)
    return tuple(map(int, found.groups())) if found else (0, 0)


def _check_top(document: Node, path: Path, problems: list[Problem]) -> None:
    """Everything about a config but its base, sweep and search."""
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
    """Whether a value of a config is a length of time."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _base(document: Node, problems: list[Problem]) -> Entry:
    """The base; an empty one where there is none, for axes may give every field."""
    entry = document.entries.get("base")
    if entry is None:
        return Entry(document.mark, Node(document.mark, {}))
    if entry.node.value is not None and not isinstance(entry.node.value, dict):
        got = shown(entry.node.plain)
        problems.append(Problem(str(entry.node.mark), "base", f"must be a mapping of a trial's fields, got {got}"))
    return entry if isinstance(entry.node.value, dict) else Entry(entry.key, Node(entry.node.mark, {}))

"""An experiment: a config file that was read and checked. It is a sweep or a search."""

from __future__ import annotations

import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farback.experiment.config_file import ConfigFile, config_file
from farback.experiment.overrides import overridden
from farback.experiment.problems import ConfigError, Problem, Problems, shown
from farback.experiment.shown_names import with_own_names
from farback.experiment.yaml_tree import KeyValue, Node, read
from farback.records.claim import Claim
from farback.records.execution import Placement
from farback.records.own_files import use_project
from farback.records.record import digest
from farback.records.user_error import UserError
from farback.system.project import OPTIONS, RESULTS, root_of
from farback.trials.trial import Trial

OPTION_CHARACTERS = 100  # in the name of a folder


@dataclass(frozen=True)
class Experiment(ABC):
    """The base class of `Sweep` and `Search`.

    Attributes:
        name: the config file's name without .yaml.
        question: the question that it answers, or an empty text.
        base: the settings that every trial shares, as plain values, overrides included.
        path: the config file.
        text: the text of the config file.
        overrides: the "key=value" texts that were passed to `load`.
        checkpoint_seconds: seconds between two checkpoints of a running training.
        executor: where trials are trained; None if the config does not say.
        memory: megabytes that an update may keep for its backward pass; None if the config does not say.
        device: the device that trials are trained on (`farback.system.devices`).
        claims: published statements that the experiment checks; always empty for a search.
        seeds_shifted: a number added to the seed of every trial, to repeat the experiment with other seeds.
    """

    name: str
    question: str
    base: dict[str, Any]
    path: Path
    text: str = field(repr=False)
    overrides: tuple[str, ...]
    checkpoint_seconds: float
    executor: Placement | None = field(compare=False)
    memory: int | None = field(compare=False)
    device: str
    claims: tuple[Claim, ...]
    seeds_shifted: int = field(default=0, kw_only=True)

    @property
    def memory_bytes(self) -> int | None:
        """The bytes that an update may keep for its backward pass; None if the config does not say."""
        return None if self.memory is None else self.memory * 10**6

    @staticmethod
    def load(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
        """Read a config file and check everything in it before anything runs.

        For a sweep, this builds every trial; for a search, trials at the ends of the search space.

        Args:
            path: a YAML file.
            overrides: each "key=value". The key is a dotted path below `base`, an axis of the sweep, or a key of the
                search such as `search.trials`. The value is YAML.

        Returns:
            A `farback.experiment.Sweep` or a `farback.experiment.Search`.

        Raises:
            ConfigError: the config is wrong. The message has one line for each problem: its place, its dotted path,
                the value, and what is allowed.
        """
        path = Path(path)
        use_project(root_of(path))
        text, document = read(path)
        if not isinstance(document.value, dict):
            keys = ", ".join(ConfigFile.model_fields)
            what = "is empty" if document.value is None else f"must be a mapping, got {shown(document.plain)}"
            raise ConfigError.at(document.mark, "", f"{what}; a config has the keys {keys}")
        problems = Problems()
        config = config_file(document, path, problems)
        sweep, search = document.entries.get("sweep"), document.entries.get("search")
        if search and sweep:
            message = f"a config has either a sweep or a search, and the sweep is at {sweep.key}: keep one"
            problems.add(search.key, "search", message)
            raise ConfigError(problems)
        if search and config.claims:
            message = "only a sweep can check claims: the trials of a search are not known beforehand"
            problems.add(document.entries["claims"].key, "claims", message)
        base, sweep, search = overridden(_base(document), sweep, search, overrides, problems)
        base, sweep, search = with_own_names(base), sweep and with_own_names(sweep), search and with_own_names(search)
        common = {key: getattr(config, key) for key in SHARED_KEYS} | {"overrides": tuple(overrides)}
        common |= {"name": path.stem, "base": base.node.plain, "path": path, "text": text}
        experiment = LOADERS["search" if search else "sweep"](common, base, search or sweep, problems)
        if problems or experiment is None:
            raise ConfigError(sorted(problems, key=_position))
        return experiment

    @abstractmethod
    def contrasts(self) -> list[tuple[str, str, list[Trial]]]:
        """For each axis: its path, its place in the config, and trials that differ only along this axis."""

    @property
    def root(self) -> Path:
        """The folder that holds `results/` (`farback.system.project`)."""
        return root_of(self.path)

    @property
    def shown(self) -> str:
        """The path of the config as the user wrote it, for messages."""
        return str(self.path)

    @property
    def arguments(self) -> str:
        """The command-line arguments that load this experiment again: the config and the options that changed it."""
        shift = [f"--shift-seeds {self.seeds_shifted}"] if self.seeds_shifted else []
        return " ".join([shlex.quote(self.shown), *(f"--set {shlex.quote(text)}" for text in self.overrides), *shift])

    @property
    def results_folder(self) -> Path:
        """The folder of the report: `results/NAME`, or `results/NAME--OPTIONS` if options changed the config.

        Raises:
            UserError: there is something else than a folder in its place; or the folder is a symbolic link, so writing
                to it could replace files outside the project. The folder `results` itself may be a symbolic link.
        """
        options = [*self.overrides, *([f"seeds-{self.seeds_shifted}"] if self.seeds_shifted else [])]
        text = "-".join(options)
        settings = re.sub(r"[^\w.=-]+", "_", text)
        is_exact = settings == text and len(text) <= OPTION_CHARACTERS
        if options and not (is_exact and re.split(r"-(?=[^-=]+=|seeds-)", text) == options):
            settings = f"{settings[: OPTION_CHARACTERS - 7]}-{digest(options)[:6]}"  # other options give the same text
        path = self.root / RESULTS / (f"{self.name}{OPTIONS}{settings}" if settings else self.name)
        if path.is_symlink():
            raise UserError(
                f"{path} is a symbolic link to {path.readlink()}; farback does not write reports through links: "
                "remove the link, or make results/ itself the link"
            )
        for place in (path.parent, path):
            if place.exists() and not place.is_dir():
                raise UserError(f"{place} is a file, and the report needs a folder there: move or rename the file")
        return path


# The functions that make a sweep and a search; the modules `sweep` and `search_config` register them. Arguments: the
# fields that all experiments share, the sections `base` and `sweep` or `search`, and a list that collects problems.
Loader = Callable[[dict[str, Any], KeyValue, KeyValue | None, Problems], Experiment | None]
LOADERS: dict[str, Loader] = {}
SHARED_KEYS = ("question", "claims", "checkpoint_seconds", "executor", "memory", "device")


def _position(problem: Problem) -> tuple[int, ...]:
    """Line and column, to sort problems in the order of the file; a problem without a place comes first."""
    place = re.search(r":(\d+):(\d+)$", problem.location)
    return tuple(map(int, place.groups())) if place else (0, 0)


def _base(document: Node) -> KeyValue:
    """The section `base`; an empty one if it is missing, because axes may set every field."""
    section = document.entries.get("base") or KeyValue(document.mark, Node(document.mark, {}))
    return section if section.node.entries else KeyValue(section.key, Node(section.node.mark, {}))

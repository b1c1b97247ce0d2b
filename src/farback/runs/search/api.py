"""A search from Python: as `farback.run`, for a config with `search:`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML

from farback import executors as executors
from farback.executors import Executor
from farback.experiment import Experiment
from farback.records.record import UserError
from farback.runs import dead_axes
from farback.runs import sweep as runner
from farback.runs.search.driver import Driver
from farback.runs.search.study import delete
from farback.runs.search.winners import Winner, winners
from farback.stores import open_store
from farback.stores.base import Store
from farback.stores.studies import exists, located, opened
from farback.system import devices
from farback.system.atomic_files import aside
from farback.trials.events import Failed


@dataclass(frozen=True)
class Found:
    """What a search did, in this call, and what it found.

    Attributes:
        trained: trainings of this call, of the report too.
        reused: those that the store held.
        diverged: of the trained ones; they are results.
        failed: trainings that could not be carried out.
        failures: these.
        winners: the best setting of each group, as in `winners`.
        fresh: for each winner and each objective, its values from the report's seeds.
        configs: the winners as configs that `farback run` takes.
    """

    trained: int
    reused: int
    diverged: int
    failed: int
    failures: tuple[Failed, ...] = field(compare=False)
    winners: tuple[Winner, ...]
    fresh: tuple[tuple[tuple[float, ...], ...], ...]
    configs: tuple[Path, ...]


def search(
    experiment: Experiment | str | Path,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    store: Store | str | None = None,
    storage: str | None = None,
    trials: int | None = None,
    checkpoint_seconds: float | None = None,
) -> Found:
    """Search until every group has its trials, then report the winners on fresh seeds.

    May be stopped at any instant and called again, and by several processes at once.

    Args:
        experiment: a config with `search:`, or the path of one.
        workers: processes of a pool, as for `farback.run`.
        executor: where cohorts run, instead.
        store: of the trainings, as for `farback.run`.
        storage: of the studies: a database's URI; by default `results/store/optuna.db`.
        trials: of each group, where it should be more than the config says.
        checkpoint_seconds: between checkpoints; by default what the config says, else 60.

    Raises:
        ConfigError: the config has a mistake; nothing was trained.
        UserError: it is no search, or its studies were begun with another one.
    """
    config = experiment if isinstance(experiment, Experiment) else Experiment.load(experiment)
    check(config)
    device = devices.checked(config.device)
    where = executor or executors.opened(executors.chosen(config.executor, workers=workers, device=device), config.root)
    with open_store(store, config.root) as trials_store, where as running:
        driver = begun(config, trials_store, running, running.size, storage, trials, checkpoint_seconds)
        for _ in driver.events():
            pass
        for _ in driver.reported():
            pass
        return finished(driver)


def check(config: Experiment) -> None:
    """Refuse what is no search, and a choice that changes nothing.

    Raises:
        UserError: it is one of these.
    """
    if config.search is None:
        raise UserError(f"{config.shown} has no search: `farback run {config.name}` trains a sweep")
    dead_axes.check(config)


def begun(
    config: Experiment,
    store: Store,
    executor: Executor,
    workers: int,
    storage: str | None,
    trials: int | None,
    checkpoint_seconds: float | None,
) -> Driver:
    """The driver of a search, its studies made or found."""
    assert config.search is not None
    total = max(config.search.trials, trials or 0)
    studies, folder = opened(located(storage, config.root)), runner.checkpoints(config, checkpoint_seconds)
    return Driver(config, store, executor, studies, workers, total, folder)


def forget(config: Experiment, storage: str | None) -> list[str]:
    """Delete the studies of a search, whose trainings stay in the store; their names."""
    uri = located(storage, config.root)
    return delete(config, opened(uri)) if exists(uri) else []


def finished(driver: Driver) -> Found:
    """What came out, the winners' configs written."""
    found = winners(driver.experiment, driver.history())
    fresh = [
        tuple(zip(*(driver.objectives(trial) for trial in winner.trials if trial.key in driver.known), strict=True))
        for winner in found
    ]
    return Found(
        driver.trained,
        driver.reused,
        driver.diverged,
        len(driver.failures),
        tuple(driver.failures),
        tuple(found),
        tuple(fresh),
        tuple(write(driver.experiment, found)),
    )


def write(experiment: Experiment, found: Sequence[Winner]) -> list[Path]:
    """Write each winner as a config below `results/NAME`: the reported trials, for `farback run`."""
    assert experiment.search is not None
    folder = experiment.results_folder
    folder.mkdir(parents=True, exist_ok=True)
    texts = configs(experiment, found)
    for name, text in texts.items():
        with aside(folder / name) as file:
            file.write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in texts]


def configs(experiment: Experiment, found: Sequence[Winner]) -> dict[str, str]:
    """The text of each winner's config, by the name of its file."""
    assert experiment.search is not None
    texts = {}
    for winner, name in zip(found, names(found), strict=True):
        question = f"What does the best setting of {winner.group or experiment.name} in {experiment.name} do?"
        sweep = [{"seed": {"range": len(experiment.search.report_seeds)}}]
        text = StringIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        yaml.width = 10_000
        yaml.dump({"name": name, "question": question, "base": winner.base, "sweep": sweep}, text)
        seen = ", ".join(f"{number:.6g}" for number in winner.values)
        objectives = " and ".join(str(objective) for objective in experiment.search.objectives)
        head = f"# The best of {experiment.name}, trial {winner.slot}: {objectives} {seen} while it was searched.\n"
        texts[f"{name}.yaml"] = head + text.getvalue()
    return texts


def names(found: Sequence[Winner]) -> list[str]:
    """The names of the winners' configs: winner-GROUP, and which trial it is where a group has several."""
    groups = [winner.group for winner in found]
    labels = [re.sub(r"[^a-z0-9]+", "-", group.lower()).strip("-")[:40] for group in groups]
    found_names: list[str] = []
    for winner, label in zip(found, labels, strict=True):
        several = groups.count(winner.group) > 1
        parts = ["winner", label, str(winner.slot) if several else ""]
        name = "-".join(part for part in parts if part)
        found_names.append(name if name not in found_names else f"{name}-{len(found_names)}")
    return found_names

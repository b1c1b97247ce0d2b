"""A search from Python: as `farback.run`, for a config with `search:`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML

from farback.executors import Executor
from farback.experiment import Experiment, Search
from farback.records.record import UserError
from farback.runs.search.driver import SearchRun
from farback.runs.search.study import delete
from farback.runs.search.winners import Winner, winners
from farback.runs.session import Options, Session, open_session
from farback.stores.base import Store
from farback.stores.studies import exists, located, opened
from farback.system.atomic_files import aside
from farback.trials.events import Failed


@dataclass(frozen=True)
class Found:
    """What a search did, in this call, and what it found.

    Attributes:
        trained: networks trained in this call, those of the report included.
        reused: networks that the store held.
        diverged: of the trained ones; they are results.
        failed: networks that could not be trained.
        failures: why.
        winners: the best setting of each group, as in `winners`.
        fresh: for each winner and each objective, its values with the report's seeds.
        configs: the winners as configs for `farback run`.
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
    device: str | None = None,
) -> Found:
    """Search until every group has its trials, then report the winners on fresh seeds.

    May be stopped at any instant and called again, and by several processes at once.

    Args:
        experiment: a search, or the path of its config.
        workers: processes of a pool, as for `farback.run`.
        executor: where cohorts run, instead.
        store: of the trained networks, as for `farback.run`.
        storage: of the studies: a database's URI; by default `results/store/optuna.db`.
        trials: of each group, if it should be more than the config says.
        checkpoint_seconds: between checkpoints; by default what the config says, else 60.
        device: cpu, cuda or cuda:N; by default what the config says, else cpu.

    Raises:
        ConfigError: the config has a mistake; nothing was trained.
        UserError: it is a sweep, or its studies were begun with another config.
    """
    config = checked_search(experiment if isinstance(experiment, Experiment) else Experiment.load(experiment))
    options = Options(workers, executor, None, store, storage, checkpoint_seconds, device)
    with open_session([config], options) as session, open_search(session, config, trials) as run:
        for _ in run.events():
            pass
        for _ in run.report_events():
            pass
        return found_by(run)


def checked_search(experiment: Experiment) -> Search:
    """An experiment, if it is a search.

    Raises:
        UserError: it is a sweep.
    """
    if not isinstance(experiment, Search):
        raise UserError(f"{experiment.shown} has no search: `farback run {experiment.name}` trains a sweep")
    return experiment


def open_search(session: Session, config: Search, trials: int | None = None) -> SearchRun:
    """A run of a search, its studies made or found."""
    total = max(config.trials_per_group, trials or 0)
    return SearchRun(session, config, opened(located(session.options.storage, config.root)), total)


def forget(config: Search, storage: str | None) -> list[str]:
    """Delete the studies of a search, whose trained networks stay in the store; their names."""
    uri = located(storage, config.root)
    return delete(config, opened(uri)) if exists(uri) else []


def found_by(run: SearchRun) -> Found:
    """What a run found; the winners' configs are written."""
    best = winners(run.search, run.history())
    fresh = [
        tuple(zip(*(run.objectives(trial) for trial in winner.trials if trial.key in run.known), strict=True))
        for winner in best
    ]
    return Found(
        run.trained,
        run.reused,
        run.diverged,
        len(run.failures),
        tuple(run.failures),
        tuple(best),
        tuple(fresh),
        tuple(write_configs(run.search, best)),
    )


def write_configs(search: Search, best: Sequence[Winner]) -> list[Path]:
    """Write each winner as a config below `results/NAME`: the reported trials, for `farback run`."""
    folder = search.results_folder
    folder.mkdir(parents=True, exist_ok=True)
    texts = winner_configs(search, best)
    for name, text in texts.items():
        with aside(folder / name) as file:
            file.write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in texts]


def winner_configs(search: Search, best: Sequence[Winner]) -> dict[str, str]:
    """The text of each winner's config, by the name of its file."""
    texts = {}
    for winner, name in zip(best, _names(best), strict=True):
        question = f"What does the best setting of {winner.group or search.name} in {search.name} do?"
        sweep = [{"seed": {"range": len(search.report_seeds)}}]
        text = StringIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        yaml.width = 10_000
        yaml.dump({"name": name, "question": question, "base": winner.base, "sweep": sweep}, text)
        seen = ", ".join(f"{number:.6g}" for number in winner.values)
        objectives = " and ".join(str(objective) for objective in search.objectives)
        head = f"# The best of {search.name}, trial {winner.slot}: {objectives} {seen} while it was searched.\n"
        texts[f"{name}.yaml"] = head + text.getvalue()
    return texts


def _names(best: Sequence[Winner]) -> list[str]:
    """The names of the winners' configs: winner-GROUP, with the trial's number if a group has several."""
    groups = [winner.group for winner in best]
    labels = [re.sub(r"[^a-z0-9]+", "-", group.lower()).strip("-")[:40] for group in groups]
    names: list[str] = []
    for winner, label in zip(best, labels, strict=True):
        several = groups.count(winner.group) > 1
        parts = ["winner", label, str(winner.slot) if several else ""]
        name = "-".join(part for part in parts if part)
        names.append(name if name not in names else f"{name}-{len(names)}")
    return names

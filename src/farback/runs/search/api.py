"""`farback.search`, which runs a search from Python, as `farback.run` runs a sweep."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from farback.executors import Executor
from farback.experiment import Experiment, Search
from farback.records.counted_nouns import counted
from farback.records.user_error import UserError
from farback.runs.progress import Lines, Tally
from farback.runs.search.driver import SearchRun
from farback.runs.search.study import delete
from farback.runs.search.winners import Winner, winner_configs, winners
from farback.runs.session import RunOptions, Session, load, open_session
from farback.stores.base import Store
from farback.stores.studies import exists, located, opened
from farback.system.atomic_files import aside
from farback.trials.events import Failed


@dataclass(frozen=True)
class Found:
    """The result of a search, with the counts of this call.

    Attributes:
        trained: networks trained in this call, including those on fresh seeds.
        reused: networks that had a result before.
        diverged: trained networks whose loss diverged; a divergence is a result.
        failed: networks that could not be trained.
        failures: the failed networks with their errors.
        winners: the best setting of each group, as `winners` returns it.
        fresh: for each winner and each objective, the values on the report's seeds.
        configs: paths of the winners' configs, for `farback run`.
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
    progress: bool = True,
) -> Found:
    """Search until every group has its trials, then train the winners on fresh seeds.

    May be stopped at any time and called again. Several processes may call it at once.

    Args:
        experiment: a search, or the path or name of its config.
        workers, executor, store, checkpoint_seconds, device, progress: as in `farback.run`.
        storage: URI of the database of Optuna's studies; default: `results/store/optuna.db`.
        trials: the number of trials of each group, if larger than the number in the config.

    Raises:
        ConfigError: the config has a mistake; nothing was trained.
        UserError: the experiment is a sweep, or its studies were made with another config.
    """
    config = checked_search(load(experiment))
    options = RunOptions(workers, executor, None, store, storage, checkpoint_seconds, device)
    with open_session([config], options) as session, open_search(session, config, trials) as run:
        lines = Lines(progress)
        lines.say(f"{config.name}: {run.done} of {counted(run.total, 'trial')} done already")
        for _ in run.events():
            lines.update(lambda: f"{run.done} of {counted(run.total, 'trial')} done")
        tally: Tally | None = None
        for event in run.report_events():
            tally = tally or Tally(run.plan)  # the plan is known only after the first event
            tally.add(event)
            lines.update(tally.line)
        return found_by(run)


def checked_search(experiment: Experiment) -> Search:
    """The experiment, which must be a search. Raises UserError: it is a sweep."""
    if not isinstance(experiment, Search):
        raise UserError(f"{experiment.shown} has no `search:`; run it with `farback run {experiment.name}`")
    return experiment


def open_search(session: Session, config: Search, trials: int | None = None) -> SearchRun:
    """A run of a search; its studies are created or loaded."""
    total = max(config.trials_per_group, trials or 0)
    return SearchRun(session, config, opened(located(session.options.storage, config.root)), total)


def forget(config: Search, storage: str | None) -> list[str]:
    """Delete the studies of a search and return their names. The trained networks stay in the store."""
    uri = located(storage, config.root)
    return delete(config, opened(uri)) if exists(uri) else []


def found_by(run: SearchRun) -> Found:
    """The result of a run; writes the winners' configs to `results/NAME`."""
    found = winners(run.search, run.history())
    fresh = [
        tuple(zip(*(run.objectives(trial) for trial in winner.trials if trial.key in run.known), strict=True))
        for winner in found
    ]
    folder = run.search.results_folder
    folder.mkdir(parents=True, exist_ok=True)
    configs = winner_configs(run.search, found)
    for name, text in configs.items():
        with aside(folder / name) as file:
            file.write_text(text, encoding="utf-8", newline="\n")
    return Found(
        trained=run.trained,
        reused=run.reused,
        diverged=run.diverged,
        failed=len(run.failures),
        failures=tuple(run.failures),
        winners=tuple(found),
        fresh=tuple(fresh),
        configs=tuple(folder / name for name in configs),
    )

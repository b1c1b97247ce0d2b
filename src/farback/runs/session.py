"""Opens the device, the store and the executor of a run, for `farback.run`, `farback.search` and the commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from farback.executors import Executor, chosen_placement, open_executor
from farback.experiment import Experiment, Sweep
from farback.runs import trial_checks
from farback.runs.changed_files import warn_of_changed_files
from farback.runs.schedule import Remaining, is_finished, missing_from_store
from farback.stores import NothingRecorded, open_store
from farback.stores.base import Store
from farback.system import devices
from farback.system.project import config_path
from farback.training.checkpoint_folder import CheckpointFolder


@dataclass(frozen=True)
class RunOptions:
    """Where a run trains and records. No result depends on these options.

    Attributes:
        workers: processes of the pool; default: the config's `executor:`, else one per core. 1 trains in this process.
        executor: serial, pool, dask or an `Executor`; default: the config's, else pool.
        address: the address of a Dask scheduler.
        store: a store or its URI; default: MLFLOW_TRACKING_URI, else a database in `results/`.
        storage: URI of the Optuna studies of a search; default: a database in `results/`.
        checkpoint_seconds: seconds between checkpoints; default: the config's, else 60.
        device: cpu, cuda or cuda:N; default: the config's, else cpu.
    """

    workers: int | None = None
    executor: Executor | str | None = None
    address: str | None = None
    store: Store | str | None = None
    storage: str | None = None
    checkpoint_seconds: float | None = None
    device: str | None = None


@dataclass(frozen=True)
class Session:
    """An opened store and executor, and the device to train on.

    Attributes:
        finished: the trials of the sweeps, by name, if every trial of all of them was recorded before.
    """

    store: Store
    executor: Executor
    device: str
    options: RunOptions
    finished: Mapping[str, Remaining] = field(default_factory=dict)

    def checkpoints(self, experiment: Experiment) -> CheckpointFolder:
        """The folder with the checkpoints of an experiment."""
        seconds = self.options.checkpoint_seconds
        if seconds is None:
            seconds = experiment.checkpoint_seconds
        return CheckpointFolder.of(experiment.root, experiment.name, seconds)


@contextmanager
def open_session(experiments: Sequence[Experiment], options: RunOptions) -> Iterator[Session]:
    """Check the experiments, all of one project, then open a store and an executor for them.

    `options` override the configs. With several experiments, `executor:` and `device:` of the configs are ignored.
    Sweeps of which every trial is recorded were checked when they were trained, and are not checked again.

    Raises:
        ConfigError, UserError: as `checked_executor`.
    """
    root = experiments[0].root
    with ExitStack() as stack:
        store, finished = None, {}
        with suppress(NothingRecorded), ExitStack() as reading:
            store = reading.enter_context(open_store(options.store, root, reading=True))
            if finished := _finished(experiments, store):
                stack.push(reading.pop_all())
        executor, device = checked_executor(experiments, options, bool(finished))
        running = stack.enter_context(executor)
        trials = {one.name: trial_checks.known_trials(one, one.contrasts()) for one in experiments}
        if not finished:
            from farback.training.loop import train  # it needs numba, whose import a finished run does not wait for

            running.prepare(train, sum(map(len, trials.values())))  # workers and the store take seconds to start
        if store is None or not finished:
            store = stack.enter_context(open_store(options.store, root))
        for name, known in trials.items():
            warn_of_changed_files(store, name, known)
        yield Session(store, running, device, options, finished)


def _finished(experiments: Sequence[Experiment], store: Store) -> dict[str, Remaining]:
    """The trials of these experiments, by name, if they are sweeps of which every trial is recorded; else empty."""
    found = {}
    for one in experiments:
        if not isinstance(one, Sweep):
            return {}
        found[one.name] = missing_from_store(store, one, one.trials())
        if not is_finished(store, one, found[one.name]):
            return {}
    return found


def checked_executor(
    experiments: Sequence[Experiment], options: RunOptions, finished: bool = False
) -> tuple[Executor, str]:
    """Check the experiments as `open_session`, and return their executor, which is not open yet, and their device.

    Trials of `finished` experiments are not checked.

    Raises:
        ConfigError: an axis changes nothing, or a trial does not fit into memory.
        UserError: the device does not exist, two options contradict each other, or a report's folder cannot be made.
    """
    first = experiments[0]
    single = len(experiments) == 1
    device = devices.checked(options.device or (first.device if single else devices.CPU))
    for experiment in experiments:
        _ = experiment.results_folder  # raises now, rather than after hours of training
        if not finished:
            trial_checks.check(experiment)
    executor = options.executor
    if not isinstance(executor, Executor):
        configured = first.executor if single else None
        executor = open_executor(
            chosen_placement(configured, executor, options.address, options.workers, device), first.root
        )
    return executor, device


def load(experiment: Experiment | str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """An experiment, from the path or name of its config. An `Experiment` is returned as it is, without `overrides`.

    Raises:
        ConfigError: the config has a mistake.
        UserError: there is no such config.
    """
    return experiment if isinstance(experiment, Experiment) else Experiment.load(config_path(experiment), overrides)

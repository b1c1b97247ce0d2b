"""One way to open a run, for `farback.run`, `farback.search` and the commands that train."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from farback.executors import Executor, chosen, opened
from farback.experiment import Experiment
from farback.runs import dead_axes
from farback.stores import open_store
from farback.stores.base import Store
from farback.system import devices
from farback.training.checkpoint_folder import Folder


@dataclass(frozen=True)
class Options:
    """Where a run trains and records; no result depends on these.

    Attributes:
        workers: processes of a pool; by default what the config's `executor:` says, else one for each core. 1 trains
            in this process.
        executor: serial, pool or dask, or an executor; by default what the config says, else pool.
        address: of a Dask scheduler.
        store: a store or its URI; by default MLFLOW_TRACKING_URI, else a database below `results/`.
        storage: URI of the studies of a search; by default a database below `results/`.
        checkpoint_seconds: between checkpoints; by default what the config says, else 60.
        device: cpu, cuda or cuda:N; by default what the config says, else cpu.
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
    """An opened store and an opened executor.

    Attributes:
        store: where trials are recorded.
        executor: where cohorts train.
        device: that they train on.
        options: as given.
    """

    store: Store
    executor: Executor
    device: str
    options: Options

    def checkpoints(self, experiment: Experiment) -> Folder:
        """The folder of an experiment's checkpoints."""
        given = self.options.checkpoint_seconds
        return Folder.of(experiment.root, experiment.name, experiment.checkpoint_seconds if given is None else given)


@contextmanager
def open_session(experiments: Sequence[Experiment], options: Options) -> Iterator[Session]:
    """Check experiments of one project, then open a store and an executor for them.

    Args:
        experiments: at least one; of several, what their configs say of executor and device does not count.
        options: go before what a config says.

    Raises:
        ConfigError: an axis that changes nothing, or a trial that does not fit into memory.
        UserError: the device is not there, or the options do not go together.
    """
    first = experiments[0]
    alone = len(experiments) == 1
    device = devices.checked(options.device or (first.device if alone else devices.CPU))
    for experiment in experiments:
        dead_axes.check(experiment)
    executor = options.executor
    if not isinstance(executor, Executor):
        declared = first.executor if alone else None
        executor = opened(chosen(declared, executor, options.address, options.workers, device), first.root)
    with open_store(options.store, first.root) as store, executor as running:
        yield Session(store, running, device, options)

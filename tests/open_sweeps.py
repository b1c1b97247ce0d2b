"""A run of a sweep in a store of a test's own, opened as `farback.run` does."""

from collections.abc import Iterator, Sequence

from farback.executors import Executor, Serial
from farback.experiment import Experiment
from farback.runs.session import RunOptions, Session
from farback.runs.sweep import SweepRun, checked_sweep
from farback.stores.base import Store
from farback.system import devices
from farback.trials.events import Event
from farback.trials.trial import Trial


def session(store: Store, executor: Executor | None = None, checkpoint_seconds: float | None = None) -> Session:
    """An open store, and an executor that needs no closing."""
    return Session(store, executor or Serial(), devices.CPU, RunOptions(checkpoint_seconds=checkpoint_seconds))


def sweep_run(
    experiment: Experiment,
    store: Store,
    executor: Executor | None = None,
    *,
    trials: Sequence[Trial] | None = None,
    checkpoint_seconds: float | None = None,
) -> SweepRun:
    """A run of all trials, or of some."""
    sweep = checked_sweep(experiment)
    opened = session(store, executor, checkpoint_seconds)
    return SweepRun(opened, sweep, sweep.trials() if trials is None else trials)


def recorded_events(run: SweepRun) -> Iterator[Event]:
    """The events of a run, which is recorded until the iterator ends or is closed."""
    with run:
        yield from run.events()

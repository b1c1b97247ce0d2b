"""`farback.horizon`, which measures the horizon of one network in one call, without a config."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from rich.console import Console
from torch import nn

from farback import tables
from farback.cells.base import Cell
from farback.cells.module import ModuleCell
from farback.cells.support.user_class import is_given
from farback.executors import Executor, Serial, chosen_placement, open_executor
from farback.executors.pool import cores
from farback.experiment.chosen_trials import JUDGED, ChosenTrials
from farback.records.counted_nouns import counted
from farback.records.user_error import UserError
from farback.runs.adaptive_trials import AdaptiveTrials
from farback.runs.displays import SweepDisplay
from farback.runs.horizon_arguments import HIDDEN, horizon_search
from farback.runs.horizon_result import HorizonResult
from farback.runs.leased_work import LeasedWork
from farback.runs.network_search import HorizonSearch, outcomes
from farback.runs.progress import Tally
from farback.runs.schedule import Remaining, plan
from farback.runs.sweep import execute
from farback.stats.threshold_search import GROUP
from farback.stores import open_store
from farback.stores.base import Store
from farback.stores.memory import Memory
from farback.system import devices
from farback.system.project import project_folder
from farback.tasks.base import Task
from farback.trials.events import Failed


def horizon(
    network: str | Mapping[str, Any] | Cell | type[nn.Module] | Callable[[int, int], nn.Module],
    task: str | Mapping[str, Any] | Task = "recall",
    *,
    precision: float = 0.3,
    limit: int = 1280,
    hidden: int = HIDDEN,
    seeds: int | None = None,
    workers: int | None = None,
    name: str | None = None,
    store: Store | str | None = None,
    device: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> HorizonResult:
    """How far back a network can learn to look: the lag at which half of freshly drawn networks learn a task.

    Each network is trained at one lag, with a seed of its own. The next lag is the one that tells most about the
    horizon for the time it costs (docs/horizons.md). A training has at most 600 updates of 16 sequences, and ends early
    when the network has learned the lag. The optimizer is Adam with the learning rate that suits the network best, of
    0.003, 0.01 and 0.03; the networks that choose it are not counted. `settings` changes all this.

    Args:
        network: the name of a cell ("lstm") or its spec ({"name": "elman", "nonlinearity": "relu"}); or a subclass of
            `torch.nn.Module`, or a function (inputs, hidden) -> module, that is called as `torch.nn.GRU` with
            `batch_first` or as `torch.nn.GRUCell` (the cell `module`). `torch.nn.RNN`, `LSTM`, `GRU` and their cells
            are farback's elman, lstm and gru, with the same equations and compiled kernels. A class or function that
            takes a number of outputs by name, such as MyModel(inputs, outputs), is a whole network with its own
            readout (`network` in a config). What cannot be imported
            from a file, such as a class of a notebook, is trained in this process.
        task: the name of a task or its spec, without a lag.
        precision: the standard deviation of the horizon, in octaves (factors of two), at which the measurement ends.
        limit: the largest lag to try, in steps.
        hidden: hidden units of each layer; a whole network gets it if its class takes such a number by name.
        seeds: at most about so many networks are counted, at least 12; default: 60.
        workers: processes; default: as many as are useful. 1 trains in this process. No result depends on it.
        name: where to record the trainings in the store; those that it has already are used. By default nothing is
            written.
        store: a store or its URI, if there is a `name`; default: MLFLOW_TRACKING_URI, else a database in `results/`.
        device: cpu, cuda or cuda:N; default: cpu.
        progress: print to stderr how much is done: a bar on a terminal, else a line every ten seconds.
        settings: other fields of a trial by their names in a config, such as `init="chrono"`, `depth=2`, `steps=1000`,
            `optimizer={"name": "sgd", "lr": 0.1}` (which is not tuned).

    Returns:
        The result. After Ctrl-C at Python's prompt or in a notebook, that of the networks trained so far.

    Raises:
        ConfigError: an argument is wrong; nothing was trained.
        UserError: a training failed, or the device does not exist.
    """
    given = {"hidden": hidden, **settings} if "match" not in settings else settings
    search = horizon_search(network, task, given, precision=precision, limit=limit, seeds=seeds)
    cell = search.arms[0].cell
    is_local = isinstance(cell, ModuleCell) and is_given(cell.path)
    if is_local and name is not None:
        raise UserError(
            f"farback.horizon: name: {cell.label()} can only be recorded if it is imported from a file, whose "
            "text tells it from other versions of itself"
        )
    if store is not None and name is None:
        raise UserError("farback.horizon: store: needs a `name`, under which the trainings are recorded")
    if workers is not None and workers < 1:
        raise UserError(f"farback.horizon: workers: must be at least 1, got {workers}")
    device = devices.checked(device or devices.CPU)
    if workers is None and device == devices.CPU:
        workers = min(cores(), GROUP * len(search.arms))  # no more networks are trained at the same time
    executor = Serial() if is_local else open_executor(chosen_placement(workers=workers, device=device))
    terminal = False if Console().is_jupyter else None  # a notebook says that it is one, and shows escape codes
    console = Console(stderr=True, force_jupyter=False, force_terminal=terminal, quiet=not progress)
    with open_store(store if name else Memory(), project_folder()) as opened:
        measurement = _Measurement(search, opened, name or "horizon", is_local)
        try:
            with executor:
                measurement.run(executor, device, console)
        except KeyboardInterrupt:
            if not measurement.has_result:
                raise
            if not hasattr(sys, "ps1"):  # a script must end; a prompt and a notebook show what is returned
                console.print(f"interrupted: {measurement.result()}", highlight=False, markup=False, soft_wrap=True)
                raise
        return measurement.result()


class _Measurement:
    """The trainings of one network, recorded under a name in a store."""

    def __init__(self, search: ChosenTrials, store: Store, name: str, is_local: bool) -> None:
        self.arms, self.store, self.name, self.is_local = search.arms, store, name, is_local
        frame = store.frame(name)
        self.remaining = Remaining.of([], set(frame["key"]), AdaptiveTrials([search], outcomes(frame)))
        (self.network,) = self.remaining.adaptive.networks

    def run(self, executor: Executor, device: str, console: Console) -> None:
        """Train until the horizon is known to the precision.

        Raises:
            UserError: a training failed with an error.
        """
        if self.remaining.is_empty:
            return
        made = plan(self.remaining, executor.size)
        tally = Tally(made)
        display = SweepDisplay(tally, console)
        low, high = self.network.search.ends
        where = f"{executor.size} workers" if executor.size > 1 else "this process"
        why = " (it is in no file that workers could import)" if self.is_local else ""
        networks = counted(self.remaining.amount, "network")
        display.say(f"{self.network.label}: lags {low} to {high}, {networks} to train in {where}{why}")
        with display.live(), self.store.begin(self.name, made.remaining.trials) as recorder:
            work = LeasedWork(self.store, self.name, recorder)
            with closing(execute(made, executor, work, device)) as events:
                for event in events:
                    if isinstance(event, Failed):
                        raise UserError(f"a training of {self.network.label} failed: {event.error}\n{event.traceback}")
                    tally.add(event)
                    display.add(event)

    @property
    def has_result(self) -> bool:
        """Whether networks were trained that count."""
        return any(role == JUDGED for role, _ in self.network.counts)

    def result(self) -> HorizonResult:
        """The horizon as known so far.

        Trainings of a batch that is not complete are left out: successes end early, so that they would be too many.
        """
        network = self.network
        assert isinstance(network, HorizonSearch)
        assert network.chosen is not None
        keys = network.trials.keys() - {trial.key for _, trial in network.batch}
        frame = self.store.frame(self.name)
        frame = tables.with_roles(frame[frame["key"].isin(keys)].reset_index(drop=True), self.remaining.roles)
        settings = self.arms[network.chosen].parameters()
        settings = {name: value for name, value in settings.items() if name not in ("lag", "seed")}
        return HorizonResult.of(frame, settings, network.judged.done)

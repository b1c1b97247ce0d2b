"""`farback run` and `farback report`."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from farback.cli.app import (
    Address,
    CheckpointSeconds,
    Config,
    Device,
    ExecutorName,
    Place,
    Settings,
    ShiftSeeds,
    StorageURI,
    StoreURI,
    Workers,
    app,
    config_path,
)
from farback.cli.listing import refresh_schema
from farback.cli.stopping import Stopping, command

if TYPE_CHECKING:  # torch, mlflow and the rest are imported by the commands that need them: `--help` stays quick
    from rich.console import Console

    from farback.executors import Executor
    from farback.experiment import Experiment
    from farback.report.page import Page
    from farback.stores.base import Store
    from farback.trial import Failed, Trial


@app.command()
def run(
    config: Config,
    settings: Settings = None,
    only: Annotated[list[str] | None, typer.Option(help="train a part: --only cell.name=lstm --only lag=5,10")] = None,
    workers: Workers = None,
    executor: ExecutorName = None,
    address: Address = None,
    store: StoreURI = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be trained, and how long it takes")
    ] = False,
    checkpoint_seconds: CheckpointSeconds = None,
    device: Device = None,
    shift_seeds: ShiftSeeds = 0,
) -> None:
    """Train what the store does not hold of a config, then write its report.

    May be stopped at any instant: the same command goes on. SIGINT (Ctrl-C) and SIGTERM first checkpoint what trains.
    """
    stopping, place = Stopping(), Place(executor, address, workers)
    with stopping.listening():
        _run(
            stopping, config, settings or [], only or [], shift_seeds, place, store, dry_run, checkpoint_seconds, device
        )


def _run(
    stopping: Stopping,
    config: str,
    settings: list[str],
    only: list[str],
    shift_seeds: int,
    place: Place,
    store: str | None,
    dry_run: bool,
    checkpoint_seconds: float | None,
    device: str | None,
) -> None:
    from rich.console import Console

    from farback import devices, runner, wiring
    from farback.executors.opening import chosen, opened
    from farback.stores.opening import open_store

    console = Console()
    experiment = loaded(config, settings, shift_seeds)
    where = devices.checked(device or experiment.device)
    trials = experiment.only(only)
    wiring.check(experiment)
    refresh_schema(experiment.path)
    executing = opened(chosen(experiment.executor, *place, device=where), experiment.root)
    with open_store(store, experiment.root) as recording, executing as running:
        if dry_run:
            _foretell(experiment, trials, recording, running, where, console)
            return
        training = Training(recording, running, where, checkpoint_seconds)
        failures = trained(experiment, trials, training, stopping, console)
        show(runner.publish(experiment, recording), experiment, console)
    failed(failures, console)


class Training(NamedTuple):
    """Where trials are recorded, and how they are trained."""

    store: Store
    executor: Executor
    device: str
    checkpoint_seconds: float | None


def loaded(config: str, settings: list[str], shift_seeds: int) -> Experiment:
    """The experiment that a person typed."""
    from farback.experiment import Experiment

    experiment = Experiment.load(config_path(config), settings)
    return experiment.shifted(shift_seeds) if shift_seeds else experiment


def _foretell(
    experiment: Experiment, trials: list[Trial], recording: Store, running: Executor, where: str, console: Console
) -> None:
    """Say what a run would train, and how long it takes."""
    from farback import runner
    from farback.display import minutes

    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    frame = recording.frame(experiment.name)
    plan = runner.outlook(experiment, trials, frame, running.size)
    todo = f"{plan.amount} to train on {running.size} workers"
    say(f"{experiment.name}: {len(plan.trials)} trials, {plan.reused} recorded already, {todo}")
    if plan.missing:
        estimate = runner.estimate(plan, running, frame, where)
        say(f"estimated time: {minutes(estimate.expected)}; at most {minutes(estimate.most)}, ", end="")
        say("if no trial stops early" if not plan.picked else "if no trial stops early and all lags are long")


def trained(
    experiment: Experiment, trials: list[Trial], training: Training, stopping: Stopping, console: Console
) -> list[Failed]:
    """Train what is missing of these trials, showing how it goes; those that failed.

    Raises:
        KeyboardInterrupt: a signal came; what trains was checkpointed, and the console told how to go on.
    """
    from farback import runner
    from farback.display import Display

    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    store, running, where, seconds = training
    folder = runner.checkpoints(experiment, seconds)
    plan = runner.prepared(experiment, trials, store, running.size, folder)
    tally = runner.Tally(plan)
    display = Display(plan, tally, console)
    begun = f", {plan.begun} of them from checkpoints" if plan.begun else ""
    say(f"{experiment.name}: {plan.amount} trials to train{begun}, {plan.reused} recorded already")
    try:
        with stopping.finishing(running), display.shown():
            for event in runner.execute(plan, running, store, folder, where, experiment.name):
                tally.add(event)
                display.add(event)
    except KeyboardInterrupt:
        left = {trial.key for trial in plan.needed()} - tally.finished.keys()
        kept = len(folder.held() & left)
        say(
            f"\ninterrupted: {len(tally.finished)} trials were recorded, {len(left)} are left, "
            f"{kept} of them have a checkpoint; to go on:\n{command()}"
        )
        raise
    return tally.failures


def failed(failures: list[Failed], console: Console) -> None:
    """Say which trials failed, if any did, and end the command with exit code 1."""
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    for failure in failures[:5]:
        say(f"failed: trial {failure.key}: {failure.error}", style="red")
    if failures:
        say(f"{len(failures)} trials failed; the next run tries them again", style="red")
        raise typer.Exit(1)


@app.command()
def report(
    config: Config,
    store: StoreURI = None,
    settings: Settings = None,
    storage: StorageURI = None,
    shift_seeds: ShiftSeeds = 0,
) -> None:
    """Write results/NAME again from the store (of a search, from the study too), training nothing."""
    from rich.console import Console

    from farback import runner
    from farback.stores.opening import open_store

    experiment = loaded(config, settings or [], shift_seeds)
    with open_store(store, experiment.root) as opened:
        if experiment.search:
            from farback.search.publishing import publish

            page = publish(experiment, opened, storage)
        else:
            page = runner.publish(experiment, opened)
    show(page, experiment, Console())


def show(page: Page, experiment: Experiment, console: Console) -> None:
    """Print the headline of a page that was written, and say where everything is."""
    from rich.table import Table as Printed

    for table in page.analysis.tables[:1]:
        printed = Printed(title=table.caption, title_justify="left")
        fits = console.width >= 100
        columns = [name for name in table.shown.columns if fits or not str(name).startswith("lag ")]
        for index, column in enumerate(columns):
            printed.add_column(str(column), justify="left" if index == 0 else "right")
        for row in table.shown[columns].itertuples(index=False):
            printed.add_row(*(str(cell) for cell in row))
        console.print(printed)
    console.print(page.analysis.headline, highlight=False)
    pictures = [path for path in page.files if path.suffix == ".png"]
    console.print()
    for label, path in [("figure", pictures[0] if pictures else None), ("report", page.html)]:
        if path is not None:
            console.print(f"{label:8} {os.path.relpath(path)}", highlight=False, soft_wrap=True)
    console.print(f"browse   make ui NAME={experiment.name}      (or: farback ui {experiment.name})", highlight=False)
    console.print(
        f"rebuild  make report NAME={experiment.name}  (or: farback report {experiment.name})", highlight=False
    )

"""`farback run` and `farback report`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from farback.cli.app import (
    Address,
    CheckpointSeconds,
    Config,
    Device,
    ExecutorName,
    Json,
    Place,
    Settings,
    ShiftSeeds,
    StorageURI,
    StoreURI,
    Workers,
    app,
    config_path,
)
from farback.cli.console import Printer, failed_plain, page_plain
from farback.cli.list import refresh_schema
from farback.cli.signals import Stopping, command

if TYPE_CHECKING:  # torch, mlflow and the rest are imported by the commands that need them: `--help` stays quick
    from farback.executors import Executor
    from farback.experiment import Experiment
    from farback.report.page import Page
    from farback.runs.progress import Summary
    from farback.stores.base import Store
    from farback.trials.events import Failed
    from farback.trials.trial import Trial


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
    as_json: Json = False,
) -> None:
    """Train what the store does not hold of a config, then write its report.

    May be stopped at any instant: the same command goes on. SIGINT (Ctrl-C) and SIGTERM first checkpoint what trains.
    """
    stopping, place = Stopping(), Place(executor, address, workers)
    with stopping.listening():
        console = Printer(as_json)
        _run(
            stopping,
            console,
            config,
            settings or [],
            only or [],
            shift_seeds,
            place,
            store,
            dry_run,
            checkpoint_seconds,
            device,
        )


def _run(
    stopping: Stopping,
    console: Printer,
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
    from farback.executors import chosen, opened
    from farback.runs import dead_axes
    from farback.stores import open_store
    from farback.system import devices

    experiment = loaded(config, settings, shift_seeds)
    where = devices.checked(device or experiment.device)
    trials = experiment.only(only)
    dead_axes.check(experiment)
    if not dry_run:
        refresh_schema(experiment.path)
    executing = opened(chosen(experiment.executor, *place, device=where), experiment.root)
    with open_store(store, experiment.root) as recording, executing as running:
        if dry_run:
            _foretell(experiment, trials, recording, running, where, console)
            return
        _ = experiment.results_folder  # refused now, not after hours of training
        training = Training(recording, running, where, checkpoint_seconds)
        done = trained(experiment, trials, training, stopping, console)
        said = {"name": experiment.name, "trained": done.trained, "reused": done.reused, "diverged": done.diverged}
        said |= failed_plain(done.failures)
        if done.trained or done.reused or not done.failed:  # else there is nothing to write a page of
            from farback.runs.page import publish

            page = publish(experiment, recording)
            show(page, experiment, console)
            said |= page_plain(page)
        console.document(said)
    failed(done.failures, console)


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
    experiment: Experiment, trials: list[Trial], recording: Store, running: Executor, where: str, console: Printer
) -> None:
    """Say what a run would train, and how long it takes."""
    from farback.cli.progress import minutes
    from farback.runs import schedule, sweep

    say = console.say
    frame = recording.frame(experiment.name)
    plan = schedule.outlook(experiment, trials, frame, running.size)
    todo = f"{plan.amount} to train on {running.size} workers"
    say(f"{experiment.name}: {len(plan.trials)} trials, {plan.reused} recorded already, {todo}")
    estimate = None
    if plan.missing:
        estimate = sweep.estimate(plan, running, frame, where)
        say(f"estimated time: {minutes(estimate.expected)}; at most {minutes(estimate.most)}, ", end="")
        say("if no trial stops early" if not plan.picked else "if no trial stops early and all lags are long")
    seconds = {"seconds": estimate.expected, "seconds_at_most": estimate.most} if estimate else {}
    counts = {"trials": len(plan.trials), "reused": plan.reused, "to_train": len(plan.needed())}
    console.document({"name": experiment.name, **counts, "workers": running.size, **seconds})


def trained(
    experiment: Experiment, trials: list[Trial], training: Training, stopping: Stopping, console: Printer
) -> Summary:
    """Train what is missing of these trials, showing how it goes.

    Raises:
        KeyboardInterrupt: a signal came; what trains was checkpointed, and the console told how to go on.
    """
    from farback.cli.progress import Display
    from farback.runs import sweep

    store, running, where, seconds = training
    folder = sweep.checkpoints(experiment, seconds)
    plan = sweep.prepared(experiment, trials, store, running.size, folder)
    from farback.runs.progress import Tally

    tally = Tally(plan)
    display = Display(plan, tally, console)
    begun = f", {plan.begun} of them from checkpoints" if plan.begun else ""
    console.say(f"{experiment.name}: {plan.amount} trials to train{begun}, {plan.reused} recorded already")
    try:
        with stopping.finishing(running), display.shown():
            for event in sweep.execute(plan, running, store, folder, where, experiment.name):
                tally.add(event)
                display.add(event)
    except KeyboardInterrupt:
        left = {trial.key for trial in plan.needed()} - tally.finished.keys()
        kept = len(folder.held() & left)
        console.say(
            f"\ninterrupted: {len(tally.finished)} trials were recorded, {len(left)} are left, "
            f"{kept} of them have a checkpoint; to go on:\n{command()}"
        )
        raise
    return tally.summary()


def failed(failures: Sequence[Failed], console: Printer) -> None:
    """Say which trials failed, if any did, and end the command with exit code 1."""
    for failure in failures[:5]:
        console.say(f"failed: trial {failure.key}: {failure.error}", style="red")
    if failures:
        console.say(f"{len(failures)} trials failed; the next run tries them again", style="red")
        raise typer.Exit(1)


@app.command()
def report(
    config: Config,
    store: StoreURI = None,
    settings: Settings = None,
    storage: StorageURI = None,
    shift_seeds: ShiftSeeds = 0,
    as_json: Json = False,
) -> None:
    """Write results/NAME again from the store (of a search, from the study too), training nothing."""
    from farback.stores import open_store

    experiment = loaded(config, settings or [], shift_seeds)
    with open_store(store, experiment.root) as opened:
        if experiment.search:
            from farback.runs.search.page import publish as publish_search

            page = publish_search(experiment, opened, storage)
        else:
            from farback.runs.page import publish

            page = publish(experiment, opened)
    console = Printer(as_json)
    show(page, experiment, console)
    console.document({"name": experiment.name, **page_plain(page)})


def show(page: Page, experiment: Experiment, console: Printer) -> None:
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
    console.print()
    console.places(page)
    console.print(f"browse   {typed('ui', experiment)}", highlight=False, soft_wrap=True)
    console.print(f"rebuild  {typed('report', experiment)}", highlight=False, soft_wrap=True)


def typed(command: str, experiment: Experiment) -> str:
    """How a person gives a command, which is a target of the Makefile where the project has one.

    Args:
        command: `ui`, which takes a name, or `report`, which takes a config with what made another experiment of it.
        experiment: the one that was run.
    """
    from farback.system.project import config_of

    here = experiment.root.resolve() == Path.cwd().resolve()
    named = here and config_of(experiment.name).absolute() == experiment.path.absolute()
    if command == "ui" and not here:
        return f"cd {shlex.quote(str(experiment.root))} && farback ui {experiment.name}"
    if command == "report" and (not named or experiment.overrides or experiment.seeds_shifted):
        return f"farback report {experiment.arguments}"
    makefile = experiment.root / "Makefile"
    if makefile.exists() and re.search(rf"^{command}:", makefile.read_text("utf-8", "replace"), re.MULTILINE):
        return f"make {command} NAME={experiment.name}  (or: farback {command} {experiment.name})"
    return f"farback {command} {experiment.name}"

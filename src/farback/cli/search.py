"""`farback search` and `farback dashboard`."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Annotated

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
    StorageURI,
    StoreURI,
    Workers,
    app,
    config_path,
)
from farback.cli.completion import configs
from farback.cli.console import Printer, failed_plain, page_plain
from farback.cli.list import refresh_schema
from farback.cli.run import show, typed
from farback.cli.signals import Stopping, command

if TYPE_CHECKING:
    from farback.report.page import Page
    from farback.runs.search import Found
    from farback.runs.search.driver import Driver


@app.command()
def search(
    config: Config,
    settings: Settings = None,
    trials: Annotated[int | None, typer.Option(min=1, help="raise the number of trials of each group")] = None,
    workers: Workers = None,
    executor: ExecutorName = None,
    address: Address = None,
    store: StoreURI = None,
    storage: StorageURI = None,
    restart: Annotated[bool, typer.Option("--restart", help="delete the studies and begin again")] = False,
    checkpoint_seconds: CheckpointSeconds = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Search a config's space until every group has its trials, then report the winners on fresh seeds.

    May be stopped at any instant: the same command goes on. SIGINT (Ctrl-C) and SIGTERM first checkpoint what trains.
    """
    stopping, place = Stopping(), Place(executor, address, workers)
    with stopping.listening():
        asked = (config, settings or [], trials, place, store, storage, restart, checkpoint_seconds, device)
        _search(stopping, Printer(as_json), *asked)


def _search(
    stopping: Stopping,
    console: Printer,
    config: str,
    settings: list[str],
    trials: int | None,
    place: Place,
    store: str | None,
    storage: str | None,
    restart: bool,
    checkpoint_seconds: float | None,
    device: str | None,
) -> None:
    from farback.cli.search_progress import Panel
    from farback.executors import chosen, opened
    from farback.experiment import Experiment
    from farback.runs.search.api import begun, check, finished, forget
    from farback.runs.search.page import publish
    from farback.stores import open_store
    from farback.system import devices

    say = console.say
    experiment = Experiment.load(config_path(config), settings)
    experiment = replace(experiment, device=devices.checked(device or experiment.device))
    check(experiment)
    refresh_schema(experiment.path)
    if restart:
        for name in forget(experiment, storage):
            say(f"deleted the study {name}")
    where = opened(chosen(experiment.executor, *place, device=experiment.device), experiment.root)
    with open_store(store, experiment.root) as recording, where as running:
        driver = begun(experiment, recording, running, running.size, storage, trials, checkpoint_seconds)
        panel = Panel(driver, console)
        objectives = " and ".join(str(objective) for objective in driver.search.objectives)
        say(f"{experiment.name}: {objectives}, {panel.done} of {panel.total} trials done already")
        try:
            with stopping.finishing(running):
                with panel.shown():
                    for event in driver.events():
                        panel.add(event)
                if not running.finishing:
                    _report(driver, console)
        except KeyboardInterrupt:
            kept = len(driver.folder.held())
            say(
                f"\ninterrupted: {panel.done} of {panel.total} trials are done, {kept} trainings have a checkpoint; "
                f"to go on:\n{command()}"
            )
            raise
        found, page = finished(driver), publish(experiment, recording, storage)
        _found(driver, found, page, console)
        panel = Panel(driver, console)  # as it stands at the end
        counts = {"trials": panel.total, "done": panel.done, "diverged": driver.diverged}
        said = {**counts, **failed_plain(driver.failures), "configs": found.configs, **page_plain(page)}
        console.document({"name": experiment.name, **said})
        if driver.failures:
            say(f"{len(driver.failures)} trainings failed, the first: {driver.failures[0].error}", style="red")
            raise typer.Exit(1)


def _report(driver: Driver, console: Printer) -> None:
    """Train the winners from fresh seeds, with the sweep's display."""
    from farback.cli.progress import Display

    events = driver.reported()
    first = next(events, None)
    from farback.runs.progress import Tally

    tally = Tally(driver.plan)
    display = Display(driver.plan, tally, console)
    if first is None:
        return
    console.print(f"the winners, from fresh seeds: {len(driver.plan.missing)} trainings", highlight=False)
    with display.shown():
        for event in chain([first], events):
            tally.add(event)
            display.add(event)


def _found(driver: Driver, found: Found, page: Page, console: Printer) -> None:
    """What fresh seeds gave, and where everything is."""
    experiment = driver.experiment
    show(page, experiment, console)
    for path in found.configs:
        console.print(f"config   {os.path.relpath(path)}", highlight=False, soft_wrap=True)
    console.print(f"study    {typed('dashboard', experiment)}", highlight=False, soft_wrap=True)


@app.command()
def dashboard(
    config: Annotated[
        str | None, typer.Argument(help="the search to open (default: all of them)", autocompletion=configs)
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="where to listen, on 127.0.0.1")] = 8080,
    storage: StorageURI = None,
    browser: Annotated[bool, typer.Option(help="open a browser")] = False,
) -> None:
    """Browse the studies in optuna-dashboard, on this machine only."""
    from pathlib import Path

    from farback.cli.dashboard import serve
    from farback.stores.studies import located

    root = Path.cwd()
    name = None
    if config is not None:
        path = config_path(config)
        name = path.stem
        if path.exists():
            from farback.experiment import Experiment

            root = Experiment.load(path).root
    raise typer.Exit(serve(located(storage, root), name, port, browser))

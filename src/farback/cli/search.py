"""`farback search`."""

from __future__ import annotations

import os
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
    Settings,
    StorageURI,
    StoreURI,
    Workers,
    app,
    config_path,
)
from farback.cli.console import Printer, failures_document, page_document
from farback.cli.list import refresh_schema
from farback.cli.report import show_page, typed
from farback.cli.signals import Signals, resume_command

if TYPE_CHECKING:
    from farback.experiment import Search
    from farback.runs.search.driver import SearchRun
    from farback.runs.session import Options


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
    restart: Annotated[bool, typer.Option("--restart", help="delete the studies and start over")] = False,
    checkpoint_seconds: CheckpointSeconds = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Search a config's space until every group has its trials, then report the winners on fresh seeds.

    May be stopped at any instant: the same command resumes. SIGINT (Ctrl-C) and SIGTERM first write checkpoints.
    """
    signals = Signals()
    with signals.handled():
        from farback.experiment import Experiment
        from farback.runs.search.api import checked_search
        from farback.runs.session import Options

        options = Options(workers, executor, address, store, storage, checkpoint_seconds, device)
        found = checked_search(Experiment.load(config_path(config), settings or []))
        _search(found, options, trials, restart, signals, Printer(as_json))


def _search(
    search: Search, options: Options, trials: int | None, restart: bool, signals: Signals, console: Printer
) -> None:
    from farback.cli.search_progress import SearchDisplay
    from farback.runs.search.api import forget, found_by, open_search
    from farback.runs.search.page import publish
    from farback.runs.session import open_session

    say = console.say
    with open_session([search], options) as session:
        refresh_schema(search.path)
        for name in forget(search, options.storage) if restart else ():
            say(f"deleted the study {name}")
        with open_search(session, search, trials) as run:
            display = SearchDisplay(run, console)
            objectives = " and ".join(str(objective) for objective in search.objectives)
            say(f"{search.name}: {objectives}, {display.done} of {display.total} trials done already")
            try:
                with signals.finishing(session.executor):
                    with display.shown():
                        for event in run.events():
                            display.add(event)
                    if not session.executor.finishing:
                        _report(run, console)
            except KeyboardInterrupt:
                kept = len(run.folder.held())
                say(
                    f"\ninterrupted: {display.done} of {display.total} trials are done, {kept} networks have a "
                    f"checkpoint; to resume:\n{resume_command()}"
                )
                raise
            found, page = found_by(run), publish(search, session.store, options.storage)
            show_page(page, search, console)
            for path in found.configs:
                console.print(f"config   {os.path.relpath(path)}", highlight=False, soft_wrap=True)
            console.print(f"study    {typed('dashboard', search)}", highlight=False, soft_wrap=True)
            display = SearchDisplay(run, console)  # as it stands at the end
        counts = {"trials": display.total, "done": display.done, "diverged": run.diverged}
        document = {**counts, **failures_document(run.failures), "configs": found.configs, **page_document(page)}
        console.document({"name": search.name, **document})
    if run.failures:
        say(f"{len(run.failures)} networks could not be trained, the first: {run.failures[0].error}", style="red")
        raise typer.Exit(1)


def _report(run: SearchRun, console: Printer) -> None:
    """Train the winners with fresh seeds, with the progress display of a sweep."""
    from farback.cli.progress import Display
    from farback.runs.progress import Tally

    events = run.report_events()
    first = next(events, None)
    if first is None:
        return
    tally = Tally(run.plan)
    display = Display(run.plan, tally, console)
    console.print(f"winners on fresh seeds: {len(run.plan.remaining.missing)} networks to train", highlight=False)
    with display.shown():
        for event in chain([first], events):
            tally.add(event)
            display.add(event)

"""`farback search`."""

from __future__ import annotations

import os
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from farback.cli import shared_options as shared
from farback.cli.console import LOADING, OPENING, WRITING, Printer, failures_document, page_document, step
from farback.cli.list import refresh_schema
from farback.cli.report import command_for, show_page
from farback.cli.run import estimate_text, exit_on_failures
from farback.cli.signals import SignalHandler, resume_command
from farback.records.counted_nouns import counted

if TYPE_CHECKING:  # importing these at run time would slow `--help` down
    from farback.experiment import Search
    from farback.runs.search.driver import SearchRun
    from farback.runs.session import RunOptions


def search(
    config: shared.Config,
    settings: shared.Settings = None,
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="increase the number of trials per group to this")
    ] = None,
    workers: shared.Workers = None,
    executor: shared.ExecutorName = None,
    address: shared.Address = None,
    store: shared.StoreURI = None,
    storage: shared.StorageURI = None,
    restart: Annotated[bool, typer.Option("--restart", help="delete the studies and start over")] = False,
    dry_run: shared.DryRun = False,
    checkpoint_seconds: shared.CheckpointSeconds = None,
    device: shared.Device = None,
    as_json: shared.Json = False,
) -> None:
    """Try settings until every group has its number of trials, then train the best setting of each on fresh seeds.

    You can stop it at any time; the same command resumes. SIGINT (Ctrl-C) and SIGTERM write checkpoints first.
    """
    signals, console = SignalHandler(), Printer(as_json)
    with signals.handled():
        step(LOADING)
        from farback.cli.search_progress import SearchDisplay
        from farback.runs.search.api import checked_search, forget, found_by, open_search
        from farback.runs.search.search_page import publish
        from farback.runs.session import RunOptions, load, open_session

        options = RunOptions(workers, executor, address, store, storage, checkpoint_seconds, device)
        loaded = checked_search(load(config, settings or []))
        step(OPENING)
        if dry_run:
            _estimate(loaded, options, trials, restart, console)
            return
        with open_session([loaded], options) as session:
            refresh_schema(loaded.path)
            for name in forget(loaded, options.storage) if restart else ():
                console.say(f"deleted the study {name}")
            with open_search(session, loaded, trials) as run:
                display = signals.display = SearchDisplay(run, console)
                objectives = " and ".join(str(objective) for objective in loaded.objectives)
                total = counted(display.total, "trial")
                console.say(f"{loaded.name}: {objectives}, {display.done} of {total} done already")
                try:
                    with signals.finishing(session.executor):
                        with display.live():
                            for event in run.events():
                                display.add(event)
                        if not session.executor.finishing:
                            _report(run, signals, console)
                except KeyboardInterrupt:
                    count = len(run.folder.keys())
                    kept = f"{counted(count, 'network')} {'has' if count == 1 else 'have'} a checkpoint"
                    console.say(f"\ninterrupted: {display.done} of {display.total} trials are done, {kept}; to resume:")
                    console.say(resume_command())
                    raise
                step(WRITING)
                found, page = found_by(run), publish(loaded, session.store, options.storage)
                show_page(page, loaded, console)
                for path in found.configs:
                    console.say(f"config   {os.path.relpath(path)}")
                console.say(f"study    {command_for('dashboard', loaded)}")
                display = SearchDisplay(run, console)  # reads the final counts
            counts = {"trials": display.total, "done": display.done, "diverged": run.diverged}
            document = {**counts, **failures_document(run.failures), "configs": found.configs, **page_document(page)}
            console.document({"name": loaded.name, **document})
        exit_on_failures(run.failures, console)


def _estimate(search: Search, options: RunOptions, trials: int | None, restart: bool, console: Printer) -> None:
    """Print what a search has left to do and how long it would take."""
    from farback.runs.frames import recorded
    from farback.runs.search.expected import expected
    from farback.runs.session import checked_executor

    executor, device = checked_executor([search], options)
    scores = recorded(search.name, options.store, search.root)
    with executor as running:
        what = expected(search, scores, running, device, storage=options.storage, trials=trials, restart=restart)
        workers = running.size
    left, seeds = what.total - what.done, len(search.search_seeds)
    console.say(
        f"{search.name}: {what.done} of {counted(what.total, 'setting')} done already, {left} to try with "
        f"{counted(seeds, 'seed')} each, then {counted(what.reported, 'training')} on fresh seeds: "
        f"at most {counted(what.trainings, 'training')} on {counted(workers, 'worker')}"
    )
    seconds = {"seconds": what.seconds, "seconds_at_most": what.seconds_at_most} if what.trainings else {}
    if seconds:
        console.say(estimate_text(what.seconds, what.seconds_at_most))
    counts = {"trials": what.total, "done": what.done, "to_train": what.trainings, "fresh": what.reported}
    console.document({"name": search.name, **counts, "workers": workers, **seconds})


def _report(run: SearchRun, signals: SignalHandler, console: Printer) -> None:
    """Train the best settings with fresh seeds, and display the progress."""
    from farback.runs.displays import SweepDisplay
    from farback.runs.progress import Tally
    from farback.trials.events import Finished

    events = run.report_events()
    first = next(events, None)  # the plan is known only after the first event
    if first is None:
        return
    tally = Tally(run.plan)
    display = signals.display = SweepDisplay(tally, console, run.reported)
    just_ended = {first.key} if isinstance(first, Finished) else set()  # added below, as every event is
    for key in (run.reported.keys() & run.known.keys()) - just_ended:
        display.add_recorded(run.known[key][1])
    console.say(f"best settings on fresh seeds: {counted(len(run.plan.remaining.listed), 'network')} to train")
    with display.live():
        for event in chain([first], events):
            tally.add(event)
            display.add(event)

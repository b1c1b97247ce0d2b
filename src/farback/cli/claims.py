"""`farback claims`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farback.cli import shared_options as shared
from farback.cli.console import LOADING, WRITING, Printer, failures_document, page_document, step
from farback.cli.list import refresh_schema
from farback.cli.run import estimated, exit_on_failures, train_with_progress
from farback.cli.signals import SignalHandler
from farback.records.counted_nouns import counted

if TYPE_CHECKING:  # importing these at run time would slow `--help` down
    from farback.experiment import Sweep
    from farback.report.page import Page
    from farback.runs.claims import Ledger
    from farback.runs.session import RunOptions
    from farback.trials.events import Failed


def claims(
    only: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="train only for this claim (its id) or experiment (its name)")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="write the page from the store, training nothing")] = False,
    dry_run: shared.DryRun = False,
    shift_seeds: shared.ShiftSeeds = 0,
    workers: shared.Workers = None,
    executor: shared.ExecutorName = None,
    address: shared.Address = None,
    store: shared.StoreURI = None,
    checkpoint_seconds: shared.CheckpointSeconds = None,
    device: shared.Device = None,
    as_json: shared.Json = False,
) -> None:
    """Check published claims: train the missing trials of every config with `claims:`, then write results/claims.

    You can stop it at any time; the same command resumes. SIGINT (Ctrl-C) and SIGTERM write checkpoints first.
    With --shift-seeds, all trials are repeated with other seeds, and the pages are written beside the original pages.
    """
    signals = SignalHandler()
    with signals.handled():
        step(LOADING)
        from farback.runs.claims import opened
        from farback.runs.session import RunOptions
        from farback.system.project import project_folder

        options = RunOptions(workers, executor, address, store, None, checkpoint_seconds, device)
        ledger = opened(Path(os.path.relpath(project_folder())), shift_seeds)
        _claims(ledger, only or [], options, report, dry_run, signals, Printer(as_json))


def _claims(
    ledger: Ledger,
    only: list[str],
    options: RunOptions,
    report: bool,
    dry_run: bool,
    signals: SignalHandler,
    console: Printer,
) -> None:
    from farback.runs.claims import publish
    from farback.runs.schedule import missing_from_store
    from farback.runs.session import open_session
    from farback.stores import open_store

    chosen = ledger.chosen(only)
    if dry_run:
        planned = _estimate([] if report else chosen, options, console)
        console.document({**planned, "gpu": _gpu_experiments(ledger, console)})
        return
    failures: list[Failed] = []
    counts: Counter[str] = Counter(trained=0, diverged=0)
    with open_store(options.store, ledger.root) as store:
        todo = [] if report else [one for one in chosen if not missing_from_store(store, one, one.trials()).is_empty]
        if todo:
            with open_session(todo, replace(options, store=store)) as session:
                for sweep in todo:
                    refresh_schema(sweep.path)
                    done = train_with_progress(session, sweep, sweep.trials(), signals, console)
                    failures += done.failures
                    counts.update(trained=done.trained, diverged=done.diverged)
        step(WRITING)
        page = publish(ledger, chosen if only else ledger.experiments, store)
    _show(page, console)
    tables = [table.frame for table in page.analysis.tables if table.name in ("claims", "gpu")]
    rows = [row for frame in tables for row in frame.to_dict("records")]
    console.document({**counts, **failures_document(failures), "claims": rows, **page_document(page)})
    exit_on_failures(failures, console)


def _estimate(sweeps: Sequence[Sweep], options: RunOptions, console: Printer) -> dict[str, Any]:
    """Print what would be trained for each experiment, and how long; returns the same as a dictionary for --json.

    Nothing is written, and a database that does not exist is not made.
    """
    from farback.runs.frames import recorded
    from farback.runs.progress import minutes
    from farback.runs.schedule import missing_from_frame, plan
    from farback.runs.session import checked_executor

    experiments: list[dict[str, Any]] = []
    frames = {sweep.name: recorded(sweep.name, options.store, sweep.root) for sweep in sweeps}
    remaining = {one.name: missing_from_frame(frames[one.name], one, one.trials()) for one in sweeps}
    todo = [one for one in sweeps if not remaining[one.name].is_empty]
    if not todo:
        console.say("nothing is left to train")
        return {"experiments": [], "seconds": 0.0, "seconds_at_most": 0.0}
    executor, device = checked_executor(todo, options)
    with executor as running:
        for sweep in todo:
            what = remaining[sweep.name]
            seconds = estimated(plan(what, running.size), running, frames[sweep.name], device, sweep)
            ids = [claim.id for claim in sweep.claims]
            time = f"{minutes(seconds['seconds'])}, at most {minutes(seconds['seconds_at_most'])}"
            console.say(f"{sweep.name}: {counted(what.amount, 'trial')}, {time} ({', '.join(ids)})")
            experiments.append({"name": sweep.name, "claims": ids, "to_train": what.expected, **seconds})
    totals = {name: sum(one[name] for one in experiments) for name in ("seconds", "seconds_at_most")}
    most = minutes(totals["seconds_at_most"])
    console.say(f"in all: {minutes(totals['seconds'])}; at most {most}, if no trial stops early")
    return {"experiments": experiments, **totals}


def _gpu_experiments(ledger: Ledger, console: Printer) -> list[str]:
    """Print the experiments that this command does not train because they need a GPU; returns their names."""
    from farback.runs.claims import needs_gpu

    sweeps = [sweep for sweep in ledger.experiments if needs_gpu(sweep)]
    for sweep in sweeps:
        console.say(f"{sweep.name}: needs a GPU; on a machine with one: farback run {sweep.arguments} --device cuda")
    return [sweep.name for sweep in sweeps]


def _show(page: Page, console: Printer) -> None:
    """Print the claims that have a verdict, and the path of the page."""
    table = next((table for table in page.analysis.tables if table.name == "claims"), None)
    if table is not None:
        judged = table.shown[table.shown["found"] != ""].drop(columns=["claim", "page"], errors="ignore")
        if len(judged):
            rows = [[str(cell) for cell in row] for row in judged.itertuples(index=False)]
            console.table(table.caption, list(judged.columns), rows, text_columns=len(judged.columns))
    console.say(page.analysis.headline)
    console.places(page)

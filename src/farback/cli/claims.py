"""`farback claims`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farback.cli.app import (
    Address,
    CheckpointSeconds,
    Device,
    DryRun,
    ExecutorName,
    Json,
    ShiftSeeds,
    StoreURI,
    Workers,
    app,
)
from farback.cli.console import Printer, failures_document, page_document
from farback.cli.list import refresh_schema
from farback.cli.run import exit_on_failures, train_with_progress
from farback.cli.signals import Signals

if TYPE_CHECKING:  # as in `run`: `--help` stays quick
    from farback.experiment import Sweep
    from farback.report.page import Page
    from farback.runs.claims import Ledger
    from farback.runs.session import Options, Session
    from farback.trials.events import Failed


@app.command()
def claims(
    only: Annotated[
        list[str] | None, typer.Option(help="train for this claim alone, by its id, or by its experiment's name")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="write the page from the store, training nothing")] = False,
    dry_run: DryRun = False,
    shift_seeds: ShiftSeeds = 0,
    workers: Workers = None,
    executor: ExecutorName = None,
    address: Address = None,
    store: StoreURI = None,
    checkpoint_seconds: CheckpointSeconds = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Check published claims: train what is missing of the configs that carry them, then write results/claims.

    May be stopped at any instant: the same command resumes. SIGINT (Ctrl-C) and SIGTERM first write checkpoints.
    With --shift-seeds everything is repeated with other seeds, and the pages lie beside the first ones.
    """
    signals = Signals()
    with signals.handled():
        from farback.runs.claims import opened
        from farback.runs.session import Options

        options = Options(workers, executor, address, store, None, checkpoint_seconds, device)
        _claims(opened(Path(), shift_seeds), only or [], options, report, dry_run, signals, Printer(as_json))


def _claims(
    ledger: Ledger,
    only: list[str],
    options: Options,
    report: bool,
    dry_run: bool,
    signals: Signals,
    console: Printer,
) -> None:
    from farback.runs.claims import publish
    from farback.runs.schedule import remaining_in
    from farback.runs.session import open_session
    from farback.stores import open_store

    wanted = ledger.chosen(only)
    failures: list[Failed] = []
    counts: Counter[str] = Counter()
    planned: dict[str, Any] = {"experiments": [], "seconds": 0.0, "seconds_at_most": 0.0}
    with open_store(options.store, ledger.root) as store:
        todo = [] if report else [one for one in wanted if remaining_in(store, one, one.trials()).needed()]
        if todo:
            with open_session(todo, replace(options, store=store)) as session:
                if dry_run:
                    planned = _estimate(session, todo, console)
                for sweep in [] if dry_run else todo:
                    refresh_schema(sweep.path)
                    done = train_with_progress(session, sweep, sweep.trials(), signals, console)
                    failures += done.failures
                    counts.update(trained=done.trained, diverged=done.diverged)
        if dry_run:
            console.document({**planned, "gpu": _elsewhere(ledger, bool(todo), console)})
            return
        page = publish(ledger, wanted if only else ledger.experiments, store)
    _show(page, console)
    tables = [table.frame for table in page.analysis.tables if table.name in ("claims", "gpu")]
    rows = [row for frame in tables for row in frame.to_dict("records")]
    document = {"trained": counts["trained"], "diverged": counts["diverged"], **failures_document(failures)}
    console.document({**document, "claims": rows, **page_document(page)})
    exit_on_failures(failures, console)


def _estimate(session: Session, todo: list[Sweep], console: Printer) -> dict[str, Any]:
    """Print what would be trained of each sweep, and how long each and all of them take; the same as a document."""
    from farback.cli.progress import minutes
    from farback.runs.estimate import estimate
    from farback.runs.schedule import plan, remaining_beside

    expected = most = 0.0
    experiments: list[dict[str, Any]] = []
    for sweep in todo:
        frame = session.store.frame(sweep.name)
        what = remaining_beside(frame, sweep, sweep.trials())
        each = estimate(plan(what, session.executor.size), session.executor, frame, session.device)
        expected, most = expected + each.expected, most + each.most
        ids = [claim.id for claim in sweep.claims]
        time = f"{minutes(each.expected)}, at most {minutes(each.most)}"
        console.say(f"{sweep.name}: {what.amount} trials, {time} ({', '.join(ids)})")
        seconds = {"seconds": each.expected, "seconds_at_most": each.most}
        experiments.append({"name": sweep.name, "claims": ids, "to_train": len(what.needed()), **seconds})
    console.say(f"in all: {minutes(expected)}; at most {minutes(most)}, if no trial stops early")
    return {"experiments": experiments, "seconds": expected, "seconds_at_most": most}


def _elsewhere(ledger: Ledger, more: bool, console: Printer) -> list[str]:
    """Print what this command does not train; the names of those experiments."""
    from farback.runs.claims import needs_gpu

    if not more:
        console.say("nothing is missing")
    large = [sweep for sweep in ledger.experiments if needs_gpu(sweep)]
    for sweep in large:
        console.say(f"{sweep.name}: needs a GPU; where there is one: farback run {sweep.shown} --device cuda")
    return [sweep.name for sweep in large]


def _show(page: Page, console: Printer) -> None:
    """The rows that were run with their verdicts, and where the page is."""
    from rich.table import Table as Printed

    table = next((table for table in page.analysis.tables if table.name == "claims"), None)
    if table is not None:
        run = table.shown[table.shown["found"] != ""]
        columns = [name for name in run.columns if name not in ("claim", "page")]
        printed = Printed(title=table.caption, title_justify="left")
        for column in columns:
            printed.add_column(column, overflow="fold")
        for row in run[columns].itertuples(index=False):
            printed.add_row(*map(str, row))
        if len(run):
            console.print(printed)
    console.print(page.analysis.headline, highlight=False, soft_wrap=True)
    console.places(page)

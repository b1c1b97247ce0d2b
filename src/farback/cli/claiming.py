"""`farback claims`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farback.cli.app import (
    Address,
    CheckpointSeconds,
    Device,
    ExecutorName,
    Place,
    ShiftSeeds,
    StoreURI,
    Workers,
    app,
)
from farback.cli.listing import refresh_schema
from farback.cli.printing import Printer
from farback.cli.running import Training, failed, trained
from farback.cli.stopping import Stopping

if TYPE_CHECKING:  # as in `running`: `--help` stays quick
    from farback.executors import Executor
    from farback.experiment import Experiment
    from farback.ledger import Ledger
    from farback.report.page import Page
    from farback.stores.base import Store
    from farback.trial import Failed


@app.command()
def claims(
    only: Annotated[
        list[str] | None, typer.Option(help="train for this claim alone, by its id, or by its experiment's name")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="write the page from the store, training nothing")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be trained, and how long it takes")
    ] = False,
    shift_seeds: ShiftSeeds = 0,
    workers: Workers = None,
    executor: ExecutorName = None,
    address: Address = None,
    store: StoreURI = None,
    checkpoint_seconds: CheckpointSeconds = None,
    device: Device = None,
) -> None:
    """Check published claims: train what is missing of the configs that carry them, then write results/claims.

    May be stopped at any instant: the same command goes on. SIGINT (Ctrl-C) and SIGTERM first checkpoint what trains.
    With --shift-seeds all is repeated with other seeds, and the pages lie beside the first.
    """
    stopping, place = Stopping(), Place(executor, address, workers)
    with stopping.listening():
        _claims(stopping, only or [], report, dry_run, shift_seeds, place, store, checkpoint_seconds, device)


def _claims(
    stopping: Stopping,
    only: list[str],
    report: bool,
    dry_run: bool,
    shift_seeds: int,
    place: Place,
    store: str | None,
    checkpoint_seconds: float | None,
    device: str | None,
) -> None:
    from farback import devices, ledger, wiring
    from farback.executors.opening import chosen, opened
    from farback.stores.opening import open_store

    console = Printer()
    where = devices.checked(device or devices.CPU)
    known = ledger.opened(Path(), shift_seeds)
    wanted = known.chosen(only)
    failures: list[Failed] = []
    with open_store(store, known.root) as recording:
        todo = [] if report else [one for one in wanted if ledger.outlook(one, recording).needed()]
        for experiment in todo:
            wiring.check(experiment)
            refresh_schema(experiment.path)
        if todo:
            with opened(chosen(None, *place, device=where), known.root) as running:
                if dry_run:
                    _foretell(todo, recording, running, where, console)
                else:
                    training = Training(recording, running, where, checkpoint_seconds)
                    for experiment in todo:
                        failures += trained(experiment, experiment.trials(), training, stopping, console).failures
        if dry_run:
            _elsewhere(known, bool(todo), console)
            return
        page = ledger.publish(known, wanted if only else known.experiments, recording)
    _show(page, console)
    failed(failures, console)


def _foretell(todo: list[Experiment], recording: Store, running: Executor, where: str, console: Printer) -> None:
    """Say what would be trained of each experiment, and how long each takes and all of them."""
    from farback import runner
    from farback.display import minutes

    say = console.say
    expected = most = 0.0
    for experiment in todo:
        frame = recording.frame(experiment.name)
        plan = runner.outlook(experiment, experiment.trials(), frame, running.size)
        each = runner.estimate(plan, running, frame, where)
        expected, most = expected + each.expected, most + each.most
        ids = ", ".join(claim.id for claim in experiment.claims)
        say(f"{experiment.name}: {plan.amount} trials, {minutes(each.expected)}, at most {minutes(each.most)} ({ids})")
    say(f"in all: {minutes(expected)}; at most {minutes(most)}, if no trial stops early")


def _elsewhere(known: Ledger, more: bool, console: Printer) -> None:
    """Say what this command does not train."""
    from farback.ledger import needs_gpu

    say = console.say
    if not more:
        say("nothing is missing")
    for experiment in filter(needs_gpu, known.experiments):
        say(f"{experiment.name}: needs a GPU; where there is one: farback run {experiment.shown} --device cuda")


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
    console.print(f"report   {os.path.relpath(page.html)}", highlight=False, soft_wrap=True)

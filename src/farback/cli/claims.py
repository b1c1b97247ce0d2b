"""`farback claims`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farback.cli.app import (
    Address,
    CheckpointSeconds,
    Device,
    ExecutorName,
    Json,
    Place,
    ShiftSeeds,
    StoreURI,
    Workers,
    app,
)
from farback.cli.console import Printer, failed_plain, page_plain
from farback.cli.list import refresh_schema
from farback.cli.run import Training, failed, trained
from farback.cli.signals import Stopping

if TYPE_CHECKING:  # as in `running`: `--help` stays quick
    from farback.executors import Executor
    from farback.experiment import Experiment
    from farback.report.page import Page
    from farback.runs.claims import Ledger
    from farback.stores.base import Store
    from farback.trials.events import Failed


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
    as_json: Json = False,
) -> None:
    """Check published claims: train what is missing of the configs that carry them, then write results/claims.

    May be stopped at any instant: the same command goes on. SIGINT (Ctrl-C) and SIGTERM first checkpoint what trains.
    With --shift-seeds all is repeated with other seeds, and the pages lie beside the first.
    """
    stopping, place = Stopping(), Place(executor, address, workers)
    with stopping.listening():
        console = Printer(as_json)
        _claims(stopping, console, only or [], report, dry_run, shift_seeds, place, store, checkpoint_seconds, device)


def _claims(
    stopping: Stopping,
    console: Printer,
    only: list[str],
    report: bool,
    dry_run: bool,
    shift_seeds: int,
    place: Place,
    store: str | None,
    checkpoint_seconds: float | None,
    device: str | None,
) -> None:
    from farback.executors import chosen, opened
    from farback.runs import claims as ledger
    from farback.runs import dead_axes
    from farback.stores import open_store
    from farback.system import devices

    where = devices.checked(device or devices.CPU)
    known = ledger.opened(Path(), shift_seeds)
    wanted = known.chosen(only)
    failures: list[Failed] = []
    counts: Counter[str] = Counter()
    planned: dict[str, Any] = {"experiments": [], "seconds": 0.0, "seconds_at_most": 0.0}
    with open_store(store, known.root) as recording:
        todo = [] if report else [one for one in wanted if ledger.outlook(one, recording).needed()]
        for experiment in todo:
            dead_axes.check(experiment)
            if not dry_run:
                refresh_schema(experiment.path)
        if todo:
            with opened(chosen(None, *place, device=where), known.root) as running:
                if dry_run:
                    planned = _foretell(todo, recording, running, where, console)
                else:
                    training = Training(recording, running, where, checkpoint_seconds)
                    for experiment in todo:
                        done = trained(experiment, experiment.trials(), training, stopping, console)
                        failures += done.failures
                        counts.update(trained=done.trained, diverged=done.diverged)
        if dry_run:
            console.document({**planned, "gpu": _elsewhere(known, bool(todo), console)})
            return
        page = ledger.publish(known, wanted if only else known.experiments, recording)
    _show(page, console)
    stated = [table.frame for table in page.analysis.tables if table.name in ("claims", "gpu")]
    rows = [row for frame in stated for row in frame.to_dict("records")]
    said = {"trained": counts["trained"], "diverged": counts["diverged"], **failed_plain(failures)}
    console.document({**said, "claims": rows, **page_plain(page)})
    failed(failures, console)


def _foretell(
    todo: list[Experiment], recording: Store, running: Executor, where: str, console: Printer
) -> dict[str, Any]:
    """Say what would be trained of each experiment, and how long each takes and all of them; the same as a document."""
    from farback.cli.progress import minutes
    from farback.runs import schedule, sweep

    say = console.say
    expected = most = 0.0
    experiments: list[dict[str, Any]] = []
    for experiment in todo:
        frame = recording.frame(experiment.name)
        plan = schedule.outlook(experiment, experiment.trials(), frame, running.size)
        each = sweep.estimate(plan, running, frame, where)
        expected, most = expected + each.expected, most + each.most
        ids = [claim.id for claim in experiment.claims]
        took = f"{minutes(each.expected)}, at most {minutes(each.most)}"
        say(f"{experiment.name}: {plan.amount} trials, {took} ({', '.join(ids)})")
        seconds = {"seconds": each.expected, "seconds_at_most": each.most}
        experiments.append({"name": experiment.name, "claims": ids, "to_train": len(plan.needed()), **seconds})
    say(f"in all: {minutes(expected)}; at most {minutes(most)}, if no trial stops early")
    return {"experiments": experiments, "seconds": expected, "seconds_at_most": most}


def _elsewhere(known: Ledger, more: bool, console: Printer) -> list[str]:
    """Say what this command does not train; the names of those experiments."""
    from farback.runs.claims import needs_gpu

    say = console.say
    if not more:
        say("nothing is missing")
    large = [experiment for experiment in known.experiments if needs_gpu(experiment)]
    for experiment in large:
        say(f"{experiment.name}: needs a GPU; where there is one: farback run {experiment.shown} --device cuda")
    return [experiment.name for experiment in large]


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

"""`farback run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from farback.cli.app import (
    Address,
    CheckpointSeconds,
    Config,
    Device,
    DryRun,
    ExecutorName,
    Json,
    Settings,
    ShiftSeeds,
    StoreURI,
    Workers,
    app,
    config_path,
)
from farback.cli.console import Printer, failures_document, page_document
from farback.cli.list import refresh_schema
from farback.cli.report import show_page
from farback.cli.signals import Signals, resume_command

if TYPE_CHECKING:  # torch, mlflow and the rest are imported by the commands that need them: `--help` stays quick
    from farback.experiment import Sweep
    from farback.runs.progress import Summary
    from farback.runs.session import Options, Session
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
    dry_run: DryRun = False,
    checkpoint_seconds: CheckpointSeconds = None,
    device: Device = None,
    shift_seeds: ShiftSeeds = 0,
    as_json: Json = False,
) -> None:
    """Train what the store does not hold of a config, then write its report.

    May be stopped at any instant: the same command resumes. SIGINT (Ctrl-C) and SIGTERM first write checkpoints.
    """
    signals = Signals()
    with signals.handled():
        from farback.runs.session import Options

        options = Options(workers, executor, address, store, None, checkpoint_seconds, device)
        sweep = loaded(config, settings or [], shift_seeds)
        _run(sweep, sweep.only(only or []), options, dry_run, signals, Printer(as_json))


def _run(
    sweep: Sweep, trials: list[Trial], options: Options, dry_run: bool, signals: Signals, console: Printer
) -> None:
    from farback.runs.page import publish
    from farback.runs.session import open_session

    with open_session([sweep], options) as session:
        if dry_run:
            _estimate(session, sweep, trials, console)
            return
        refresh_schema(sweep.path)
        _ = sweep.results_folder  # refused now, not after hours of training
        done = train_with_progress(session, sweep, trials, signals, console)
        document = {"name": sweep.name, "trained": done.trained, "reused": done.reused, "diverged": done.diverged}
        document |= failures_document(done.failures)
        if done.trained or done.reused or not done.failed:  # else there is nothing to write a page about
            page = publish(sweep, session.store)
            show_page(page, sweep, console)
            document |= page_document(page)
        console.document(document)
    exit_on_failures(done.failures, console)


def loaded(config: str, settings: list[str], shift_seeds: int) -> Sweep:
    """The sweep that a person typed."""
    from farback.experiment import Experiment
    from farback.runs.sweep import checked_sweep

    sweep = checked_sweep(Experiment.load(config_path(config), settings))
    return sweep.shifted(shift_seeds) if shift_seeds else sweep


def _estimate(session: Session, sweep: Sweep, trials: list[Trial], console: Printer) -> None:
    """Print what a run would train and how long it takes."""
    from farback.cli.progress import minutes
    from farback.runs.estimate import estimate
    from farback.runs.schedule import plan, remaining_beside

    frame = session.store.frame(sweep.name)
    what = remaining_beside(frame, sweep, trials)
    workers = session.executor.size
    todo = f"{what.amount} to train on {workers} workers"
    console.say(f"{sweep.name}: {len(what.trials)} trials, {what.reused} recorded already, {todo}")
    seconds = {}
    if what.missing:
        found = estimate(plan(what, workers), session.executor, frame, session.device)
        console.say(f"estimated time: {minutes(found.expected)}; at most {minutes(found.most)}, ", end="")
        console.say("if no trial stops early" if not what.picked else "if no trial stops early and all lags are long")
        seconds = {"seconds": found.expected, "seconds_at_most": found.most}
    counts = {"trials": len(what.trials), "reused": what.reused, "to_train": len(what.needed())}
    console.document({"name": sweep.name, **counts, "workers": workers, **seconds})


def train_with_progress(
    session: Session, sweep: Sweep, trials: list[Trial], signals: Signals, console: Printer
) -> Summary:
    """Train what is missing of these trials, with a progress display.

    Raises:
        KeyboardInterrupt: a signal came; checkpoints were written, and the console shows how to resume.
    """
    from farback.cli.progress import Display
    from farback.runs.progress import Tally
    from farback.runs.sweep import SweepRun

    this = SweepRun(session, sweep, trials)
    what = this.plan.remaining
    tally = Tally(this.plan)
    display = Display(this.plan, tally, console)
    resumed = f", {this.plan.resumed} of them from checkpoints" if this.plan.resumed else ""
    console.say(f"{sweep.name}: {what.amount} trials to train{resumed}, {what.reused} recorded already")
    try:
        with signals.finishing(session.executor), display.shown():
            for event in this.events():
                tally.add(event)
                display.add(event)
    except KeyboardInterrupt:
        left = {trial.key for trial in what.needed()} - tally.finished.keys()
        kept = len(this.folder.held() & left)
        console.say(
            f"\ninterrupted: {len(tally.finished)} trials were recorded, {len(left)} are left, "
            f"{kept} of them have a checkpoint; to resume:\n{resume_command()}"
        )
        raise
    return tally.summary()


def exit_on_failures(failures: Sequence[Failed], console: Printer) -> None:
    """Print which trials failed, if any did, and end the command with exit code 1."""
    for failure in failures[:5]:
        console.say(f"failed: trial {failure.key}: {failure.error}", style="red")
    if failures:
        console.say(f"{len(failures)} trials failed; the next run tries them again", style="red")
        raise typer.Exit(1)

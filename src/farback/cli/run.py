"""`farback run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from farback.cli import shared_options as shared
from farback.cli.console import ESTIMATING, LOADING, OPENING, WRITING, Printer, failures_document, page_document, step
from farback.cli.list import refresh_schema
from farback.cli.report import show_page
from farback.cli.signals import SignalHandler, resume_command
from farback.records.counted_nouns import counted

if TYPE_CHECKING:  # torch, mlflow and others are imported inside the functions that need them: keeps `--help` quick
    import pandas as pd

    from farback.executors import Executor
    from farback.experiment import Sweep
    from farback.runs.progress import Summary
    from farback.runs.schedule import Plan
    from farback.runs.session import Session
    from farback.trials.events import Failed
    from farback.trials.trial import Trial

SHOWN_FAILURES = 5


def run(
    config: shared.Config,
    settings: shared.Settings = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="train some of the trials: --only cell.name=lstm --only lag=5,10"),
    ] = None,
    workers: shared.Workers = None,
    executor: shared.ExecutorName = None,
    address: shared.Address = None,
    store: shared.StoreURI = None,
    dry_run: shared.DryRun = False,
    checkpoint_seconds: shared.CheckpointSeconds = None,
    device: shared.Device = None,
    shift_seeds: shared.ShiftSeeds = 0,
    as_json: shared.Json = False,
) -> None:
    """Train the trials of a config that have no result in the store, then write its report.

    You can stop it at any time; the same command resumes. SIGINT (Ctrl-C) and SIGTERM write checkpoints first.
    """
    signals, console = SignalHandler(), Printer(as_json)
    with signals.handled():
        step(LOADING)
        from farback.runs.session import RunOptions, checked_executor, load, open_session
        from farback.runs.sweep import checked_sweep

        options = RunOptions(workers, executor, address, store, None, checkpoint_seconds, device)
        sweep = checked_sweep(load(config, settings or []))
        sweep = sweep.shifted(shift_seeds) if shift_seeds else sweep
        trials = sweep.only(only or [])
        if dry_run:
            opening, on = checked_executor([sweep], options, finished=True)  # `_estimate` checks the trials
            with opening as running:
                from farback.runs.schedule import missing_from_frame, plan
                from farback.stores.base import tidy

                planned = plan(missing_from_frame(tidy([]), sweep, trials), running.size)
                console.say(f"{sweep.name}: {counted(planned.remaining.amount, 'trial')} in {_cohorts(planned)}")
                step(OPENING)
                from farback.runs.frames import recorded

                frame = recorded(sweep.name, store, sweep.root)
                if not frame.empty:
                    planned = plan(missing_from_frame(frame, sweep, trials), running.size)
                _estimate(planned, frame, sweep, running, on, console)
            return
        step(OPENING)
        with open_session([sweep], options) as session:
            refresh_schema(sweep.path)
            done = train_with_progress(session, sweep, trials, signals, console)
            document = {"name": sweep.name, "trained": done.trained, "reused": done.reused, "diverged": done.diverged}
            document |= failures_document(done.failures)
            if done.trained or done.reused or not done.failed:  # if all trials failed, there is no result to report
                step(WRITING)
                from farback.runs.sweep_page import publish, subject

                frame = session.store.frame(sweep.name)
                about = subject(sweep, session.store, frame, session.finished.get(sweep.name))
                page = publish(sweep, session.store, frame, about, keep=True)
                show_page(page, sweep, console)
                document |= page_document(page)
            console.document(document)
        exit_on_failures(done.failures, console)


def _cohorts(planned: Plan) -> str:
    return counted(len(planned.cohorts), "cohort") + " to begin with" * planned.remaining.is_adaptive


def estimated(planned: Plan, executor: Executor, frame: pd.DataFrame, device: str, sweep: Sweep) -> dict[str, float]:
    """The estimated `seconds` and `seconds_at_most` to train a plan; empty if nothing remains to be trained.

    `frame` is the store's frame of the sweep.
    """
    from farback.runs.time_estimate import estimate
    from farback.training.rates import folder

    if planned.remaining.is_empty:
        return {}
    each = estimate(planned, executor, frame, device, folder(sweep.root))
    return {"seconds": each.expected, "seconds_at_most": each.most}


def _estimate(
    planned: Plan, frame: pd.DataFrame, sweep: Sweep, executor: Executor, device: str, console: Printer
) -> None:
    """Print what a run would train, then check it, then print how long it would take, which takes longest to find."""
    from farback.runs.trial_checks import check

    what, workers = planned.remaining, planned.workers
    recorded = f"{counted(what.reused, 'trial')} recorded already"
    to_train = f"{what.amount} to train on {counted(workers, 'worker')}"
    console.say(f"{sweep.name}: {recorded}, {to_train}" + f", in {_cohorts(planned)}" * (not what.is_empty))
    check(sweep)
    if not what.is_empty:
        step(ESTIMATING)
    seconds = estimated(planned, executor, frame, device, sweep)
    if seconds:
        limit = " and every network reaches the longest lag" * what.adaptive.chooses_lags
        console.say(estimate_text(seconds["seconds"], seconds["seconds_at_most"], limit))
    counts = {"trials": what.reused + what.expected, "reused": what.reused, "to_train": what.expected}
    console.document({"name": sweep.name, **counts, "workers": workers, **seconds})


def estimate_text(seconds: float, most: float, limit: str = "") -> str:
    """The line about the time of a dry run; `limit` is what else is needed for the longest time."""
    from farback.runs.progress import minutes

    return f"estimated time: {minutes(seconds)}; at most {minutes(most)}, if no trial stops early{limit}"


def train_with_progress(
    session: Session, sweep: Sweep, trials: list[Trial], signals: SignalHandler, console: Printer
) -> Summary:
    """Train the trials that have no result, and display the progress.

    Raises:
        KeyboardInterrupt: a signal came. Checkpoints were written, and the command that resumes was printed.
    """
    from farback.runs.displays import SweepDisplay
    from farback.runs.progress import Tally
    from farback.runs.sweep import SweepRun

    sweep_run = SweepRun(session, sweep, trials)
    what = sweep_run.plan.remaining
    tally = Tally(sweep_run.plan)
    display = signals.display = SweepDisplay(tally, console)
    resumed = f", {sweep_run.plan.resumed} of them from checkpoints" if sweep_run.plan.resumed else ""
    console.say(f"{sweep.name}: {counted(what.amount, 'trial')} to train{resumed}, {what.reused} recorded already")
    if sweep_run.is_finished:
        return tally.summary()
    if what.reused and console.is_terminal:  # a pipe gets no table of horizons
        display.add_recorded(session.store.frame(sweep.name))
    try:
        with signals.finishing(session.executor), display.live(), sweep_run:
            for event in sweep_run.events():
                tally.add(event)
                display.add(event)
    except KeyboardInterrupt:
        due = {trial.key for trial in what.due()} - tally.finished.keys()
        left = len(due) + max(0, what.adaptive.expected - len(due)) if what.is_adaptive else len(due)
        about, done = "about " * what.adaptive.chooses_lags, len(tally.finished)
        recorded = f"{counted(done, 'trial')} {'was' if done == 1 else 'were'} recorded"
        console.say(
            f"\ninterrupted: {recorded}, {about}{left} {'is' if left == 1 else 'are'} left, "
            f"{len(sweep_run.folder.keys() & due)} of these have a checkpoint; to resume:\n{resume_command()}"
        )
        raise
    return tally.summary()


def exit_on_failures(failures: Sequence[Failed], console: Printer) -> None:
    """If trials failed, print the first ones and exit with code 1."""
    for failure in failures[:SHOWN_FAILURES]:
        console.say(f"failed: trial {failure.key}: {failure.error}", style="red")
    if failures:
        them = "it" if len(failures) == 1 else "them"
        console.say(f"{counted(len(failures), 'trial')} failed; the next run tries {them} again", style="red")
        raise typer.Exit(1)

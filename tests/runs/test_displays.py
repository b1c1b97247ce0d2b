"""What a person sees while a sweep runs."""

import io
import signal

import pandas as pd
import pytest
from rich.console import Console
from typer import Exit

from farback.cli.signals import SignalHandler
from farback.executors import Serial
from farback.runs.displays import SweepDisplay
from farback.runs.progress import Lines, Tally
from farback.runs.schedule import Remaining, plan
from farback.trials.events import Failed, Finished, TrialResult, scores
from farback.trials.trial import Trial


def trial(lag: int, seed: int, mixed: bool = False) -> Trial:
    lags = {"train_lags": {"uniform": [1, lag]}} if mixed else {"lag": lag}
    return Trial.model_validate({"task": "recall", "cell": "gru", "steps": 10, "seed": seed, **lags})


def finished(of: Trial, lags: dict[int, bool], status: str = "finished") -> Finished:
    rows = [("retention", 10, lag, "success", float(passed)) for lag, passed in lags.items()]
    return Finished(TrialResult(of.key, scores(rows), status))  # type: ignore[arg-type]


def panel(trials: list[Trial], events: list[Finished | Failed]) -> str:
    todo = plan(Remaining.of(trials, set()))
    tally = Tally(todo)
    display = SweepDisplay(tally, Console(file=io.StringIO(), width=100))
    for event in events:
        tally.add(event)
        display.add(event)
    return shown(display)


def shown(display: SweepDisplay) -> str:
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(display)
    return console.export_text()


def test_the_panel_shows_counts_and_the_horizon_so_far() -> None:
    trials = [trial(lag, seed) for lag in (5, 10) for seed in (0, 1)] + [trial(20, 0, mixed=True)]
    events: list[Finished | Failed] = [
        finished(trials[0], {5: True}),
        finished(trials[1], {5: True}),
        finished(trials[2], {10: False}, status="diverged"),
        finished(trials[4], {5: True, 20: True, 40: False}),
        Failed(trials[3].key, "it broke"),
    ]
    text = panel(trials, events)
    assert "4 of 5 trials trained, 1 failed, 1 diverged, 0 reused" in text
    assert "GRU" in text
    assert "5 to 10" in text  # trained at each lag
    assert "20 to 40" in text  # one net, every lag


def test_the_panel_shows_no_horizon_before_a_result() -> None:
    text = panel([trial(5, 0)], [])
    assert "0 of 1 trials trained" in text
    assert "workers are starting" in text
    assert "[" not in text


def test_without_a_terminal_lines_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farback.runs.progress.LINE_SECONDS", 0.0)
    trials = [trial(5, 0), trial(5, 1)]
    todo = plan(Remaining.of(trials, set()))
    out = io.StringIO()
    tally = Tally(todo)
    display = SweepDisplay(tally, Console(file=out, width=100))
    with display.live():
        for one in trials:
            event = finished(one, {5: True})
            tally.add(event)
            display.add(event)
    lines = out.getvalue().splitlines()
    assert [line.split(" trials")[0] for line in lines] == [" 50%  1 of 2", "100%  2 of 2"]


def test_after_a_resume_the_horizon_counts_recorded_trials_too() -> None:
    trials = [trial(lag, seed) for lag in (5, 10) for seed in (0, 1)]
    recorded = [finished(one, {5: True}).result for one in trials[:2]]
    tally = Tally(plan(Remaining.of(trials, {one.key for one in trials[:2]})))
    display = SweepDisplay(tally, Console(file=io.StringIO(), width=100))
    display.add_recorded(pd.concat([each.scores.assign(key=each.key) for each in recorded]))
    for one in trials[2:]:
        display.add(finished(one, {10: False}))
    assert "5 to 10" in shown(display)  # not "below 10", which the new trials alone would say


def test_trials_of_one_label_with_different_names_have_lines_of_their_own() -> None:
    tuned, default = trial(5, 0), trial(5, 1)
    tally = Tally(plan(Remaining.of([tuned, default], set())))
    names = {tuned.key: "GRU tuned (#3)", default.key: "GRU default (#0)"}
    display = SweepDisplay(tally, Console(file=io.StringIO(), width=100), names)
    display.add(finished(tuned, {5: True}))
    lines = {line.partition(")")[0]: line.partition(")")[2].strip() for line in shown(display).splitlines()}
    assert lines["GRU tuned (#3"] == "at least 5"
    assert lines["GRU default (#0"] == ""


def test_a_signal_does_not_leave_a_second_bar_on_a_terminal() -> None:
    terminal = Console(file=io.StringIO(), width=100, force_terminal=True)
    display = SweepDisplay(Tally(plan(Remaining.of([trial(5, 0)], set()))), terminal)
    signals = SignalHandler()
    signals.display = display

    def interrupted() -> None:
        with Serial() as executor, signals.handled(), signals.finishing(executor), display.live():
            signal.raise_signal(signal.SIGINT)
            assert "SIGINT: exiting after checkpoints" in shown(display)  # part of the panel, not written into it

    with pytest.raises(Exit):
        interrupted()
    assert "SIGINT: exiting after checkpoints" in terminal.file.getvalue()  # type: ignore[attr-defined]


def test_run_prints_lines_from_python(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("farback.runs.progress.LINE_SECONDS", 0.0)
    lines = Lines(True)
    lines.say("tiny: 4 trials to train")
    lines.update(Tally(plan(Remaining.of([trial(5, 0)], set()))).line)
    Lines(False).say("nothing")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "tiny: 4 trials to train",
        "  0%  0 of 1 trials trained, 0 failed, 0 reused, workers are starting",
    ]

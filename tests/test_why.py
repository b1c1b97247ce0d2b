"""The experiment `why`: its verdict on made-up scores, and a few updates of every network of its config."""

from __future__ import annotations

from pathlib import Path

import pytest

from farback.experiment import Experiment, Sweep
from farback.report.experiment_script import experiment_module
from farback.stores.base import Recorded, tidy
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Finished
from made_up_claims import holds

ROOT = Path(__file__).parent.parent
LOADED = Experiment.load(ROOT / "configs" / "why.yaml")
assert isinstance(LOADED, Sweep)
TRIALS = LOADED.trials()
SCRIPT = experiment_module(ROOT / "experiments" / "why.py")
assert SCRIPT is not None


def frame_of(values):
    rows = [
        Recorded(trial.columns(), "finished", [*values(trial), ("training", trial.steps, -1, "updates", 9.0)])
        for trial in TRIALS
    ]
    return tidy(rows)


def test_every_prediction_is_judged():
    lines = SCRIPT.analyse(frame_of(holds(lambda trial: 0.0)), ()).verdict
    assert len(lines) == 5
    assert lines[0].strip("*").startswith("Held"), lines
    assert "100%" in lines[1]
    assert lines[2].startswith("Refuted in these seeds")  # all fail alike
    assert lines[4].strip("*").startswith("Held")


def test_networks_that_have_not_settled_are_of_neither_kind():
    frame = frame_of(holds(lambda trial: 0.0))
    lstm = frame["label"] == "LSTM, chrono"
    frame.loc[lstm & (frame["statistic"] == "count"), "value"] = 0.0
    frame.loc[lstm & (frame["statistic"] == "unsettled"), "value"] = 1.0
    found = SCRIPT.states(frame[frame["train_lags"] != "fixed"])
    several, single = SCRIPT.apart(found)
    assert (several.trials, single.trials) == (18, 18)  # of 42 networks, six have not settled
    texts = SCRIPT.state_texts(found).set_index("network")["attracting states of each seed"]
    assert texts["LSTM, chrono"] == "6 not settled"
    assert "6 not settled, of neither kind" in SCRIPT.analyse(frame, ()).verdict[4]


@pytest.mark.slow
def test_a_few_updates_of_every_network_make_a_page():
    recorded = []
    for trial in TRIALS:
        if trial.seed:
            continue
        small = trial.model_copy(update={"steps": 4, "evaluate_every": 2})
        events = [event for event in train(Cohort.of(small)) if isinstance(event, Finished)]
        rows = [row for event in events for row in event.result.scores.itertuples(index=False, name=None)]
        recorded.append(Recorded(small.columns(), "finished", rows))
    assert recorded
    analysis = SCRIPT.analyse(tidy(recorded), ())
    assert len(analysis.verdict) == 5
    assert set(SCRIPT.findings(tidy(recorded))) == {"multistability-is-necessary"}

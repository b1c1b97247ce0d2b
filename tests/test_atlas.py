"""The experiment `atlas`: its map, its figures and its Parquet file, on made-up trainings with a known law."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from every_trial import every_trial
from farback import tables
from farback.experiment import Experiment, Sweep
from farback.report.experiment_script import experiment_module
from farback.report.page import publish
from farback.stores.base import Recorded, tidy
from farback.tables.horizon_by_budget import agree
from farback.tables.horizon_estimates import HorizonEstimate

ROOT = Path(__file__).parent.parent
LOADED = Experiment.load(ROOT / "configs" / "atlas.yaml")
assert isinstance(LOADED, Sweep)
SCRIPT = experiment_module(ROOT / "experiments" / "atlas.py")
assert SCRIPT is not None
REACH = {"LRU": 150.0, "LinOSS": 130.0, "LSTM": 12.0, "GRU": 16.0}
SHOWN = {*REACH, "DeltaNet"}


def frame() -> pd.DataFrame:
    """Trainings whose updates grow with the lag to the power 1.5: with all updates half learn the lag of `REACH`."""
    rng, recorded, roles = np.random.default_rng(0), [], {}
    for trial in every_trial(LOADED):
        if trial.label not in SHOWN:
            continue
        reach = REACH.get(trial.label, 40.0) * (1.3 if trial.match.budget == 96 else 1.0)
        needed = trial.steps * (trial.lag / reach) ** 1.5 * math.exp(0.3 * rng.standard_normal())
        at = range(trial.evaluate_every, trial.steps + 1, trial.evaluate_every)
        rows = [("valid", step, -1, "skill", 0.95 if step >= needed else 0.1) for step in at]
        learned = needed <= trial.steps - 2 * trial.evaluate_every
        scores = {"skill": learned, "accuracy": 0.25 + 0.75 * learned, "chance_accuracy": 0.25, "success": learned}
        rows += [("retention", trial.steps, trial.lag, name, float(value)) for name, value in scores.items()]
        why = {"share_none": 1.0} if learned else {"not_learnable": 1.0, "share_decays": 1.0, "step": 3.0}
        rows += [("diagnosis", trial.steps, trial.lag, name, value) for name, value in why.items()]
        recorded.append(Recorded(trial.columns(), "finished", rows))
        roles[trial.key] = trial.role
    return tables.with_roles(tidy(recorded), roles)


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return frame()


def test_the_horizon_falls_with_the_updates_by_the_known_power(scores: pd.DataFrame) -> None:
    found = tables.horizon_by_budget(scores, [150, 600, 2400], SCRIPT.BY)
    own = found[(found["label"] == "GRU") & (found["match"] == "state 96")].set_index("budget")
    assert own["source"].tolist() == ["seen", "seen", "law"]
    for budget in (150, 600, 2400):
        expected = 16 * 1.3 * (budget / 600) ** (1 / 1.5)
        assert own.loc[budget, "low"] / 1.15 < expected < own.loc[budget, "high"] * 1.15


def test_the_first_quarter_of_the_updates_predicts_the_horizon_after_all(scores: pd.DataFrame) -> None:
    found = tables.horizon_forecasts(scores, by=SCRIPT.BY)
    assert len(found) >= 6
    assert found["agrees"].mean() > 0.85
    wrong = found.iloc[0]
    horizon = HorizonEstimate(*(float(wrong[f"predicted_{end}"]) for end in ("estimate", "low", "high")), 1, 1000)
    far = HorizonEstimate(9 * horizon.high, 8 * horizon.high, 10 * horizon.high, 1, 1e6)
    assert not agree(far, horizon)
    assert agree(horizon, horizon)
    assert (found["predicted_low"] < found["predicted_high"]).all()


def test_every_prediction_is_judged_and_the_parquet_file_has_the_numbers_of_the_csv_file(
    scores: pd.DataFrame, tmp_path: Path
) -> None:
    analysis = SCRIPT.analyse(scores, ())
    assert len(analysis.verdict) == 7
    assert analysis.verdict[0].startswith("Held: the median power of the lag is above 1 (1.")
    assert analysis.verdict[4].startswith(("Held: LRU", "Held in these seeds, not significant: LRU"))
    assert analysis.verdict[6].startswith("Held: most gated trainings")
    (part,) = [part for part in analysis.tables if part.parquet]
    files = [tmp_path / name for name in ("one.parquet", "two.parquet", "one.csv")]
    tables.write_parquet(part.frame, files[0])
    tables.write_parquet(part.frame.copy(), files[1])
    tables.write_csv(part.frame, files[2])
    assert files[0].read_bytes() == files[1].read_bytes()
    table = pd.read_parquet(files[0])
    assert len(table[table["source"] == "seen"]) == 3 * 2 * len(SHOWN)
    assert set(table["cause"]) <= {"not learnable", "none fails"}
    pd.testing.assert_frame_equal(
        table, pd.read_csv(files[2], keep_default_na=False, na_values=[""]), check_dtype=False
    )


@pytest.mark.slow
def test_the_page_is_written_again_without_a_difference(scores: pd.DataFrame, tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        context = {"name": "atlas", "notes": [], "question": "?"}
        publish(SCRIPT.analyse(scores.copy(), ()), tmp_path / name, "noted.md.j2", context)
        files.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert "atlas.parquet" in files[0]
    assert files[0] == files[1]


def test_every_network_of_the_config_has_a_family() -> None:
    cells = {trial.cell.name for trial in LOADED.trials()}
    assert len(cells) >= 20
    assert cells == {name for own in SCRIPT.FAMILIES.values() for name in own}

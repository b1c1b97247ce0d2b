"""`farback claims`, as typed in a small project."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from farback.cli import main

pytestmark = pytest.mark.usefixtures("empty_figures")
CONFIG = """\
name: {name}
question: Does anything hold?
base:
  task: {{name: recall, symbols: 2, filler: blank}}
  hidden: 4
  batch: 8
  steps: 4
  evaluate_every: 2
sweep:
  - cell: [{{name: elman, nonlinearity: tanh}}, memoryless]
    lag: [1, 2]
    seed: {{range: 2}}
claims:
  - id: {id}
    statement: A network of 4 units remembers.
    source: Nobody 1901
    setting: Recall, 4 updates.
    published: no number
    check: Confirmed if every network was trained.
"""
SCRIPT = """\
from farback.report import Finding
from farback.report.sweep_report import standard as analyse

PREDICTION = "It holds."
REFUTED_BY = "A network that is missing."


def findings(scores):
    seeds = sorted(set(scores["seed"]))
    count = float(scores["key"].nunique())
    return {"ID": Finding(f"{count:g} of 8", count, None, None, "networks", "confirmed", "", f"seeds {seeds}")}
"""
GPU = "    needs: gpu\n    why: it is large\n"


@pytest.fixture
def project(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "results" / "store").mkdir(parents=True)
    shutil.copy(empty_database, tmp_path / "results" / "store" / "mlflow.db")
    for folder, name, claim in (
        ("", "plain", "it-holds"),
        ("claims/", "own", "it-holds-too"),
        ("claims/", "big", "far"),
    ):
        config = tmp_path / f"configs/{folder}{name}.yaml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(CONFIG.format(name=name, id=claim) + (GPU if name == "big" else ""))
        script = tmp_path / f"experiments/{folder}{name}.py"
        script.parent.mkdir(parents=True, exist_ok=True)
        if name != "big":
            script.write_text(SCRIPT.replace("ID", claim))
    (tmp_path / "configs/other.yaml").write_text(CONFIG.format(name="other", id="x").partition("claims:")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def farback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def typed(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["farback", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out + printed.err

    return typed


def verdicts(folder: Path) -> dict[str, str]:
    table = pd.read_csv(folder / "claims.csv", keep_default_na=False)
    return dict(zip(table["id"], table["verdict"], strict=True))


@pytest.mark.slow
def test_the_whole_path_of_claims(project: Path, empty_database: Path, farback: Callable[..., tuple[int, str]]) -> None:
    code, text = farback("claims", "--report")
    assert code == 0, text
    assert "0 rows run: 0 confirmed, 0 refuted, 0 depends, 0 inconclusive; 1 need a GPU; 2 not run yet." in text

    code, text = farback("claims", "--dry-run", "--workers", "1")
    assert code == 0, text
    assert "own: 8 trials, " in text
    assert "plain: 8 trials, " in text
    assert "in all: " in text
    assert "big: needs a GPU; on a machine with one: farback run configs/claims/big.yaml --device cuda" in text

    code, text = farback("claims", "--only", "it-holds-too", "--workers", "1")
    assert code == 0, text
    assert "own: 8 trials to train, 0 recorded already" in text
    assert "plain: " not in text
    assert verdicts(project / "results/claims") == {"it-holds": "", "it-holds-too": "confirmed"}
    own = (project / "results/own/report.md").read_text()
    assert "Published claims that this experiment checks" in own
    assert "8 of 8" in own

    code, text = farback("claims", "--workers", "1")
    assert code == 0, text
    assert "plain: 8 trials to train" in text
    assert "own: " not in text
    page = (project / "results/claims/report.md").read_text()
    assert "2 rows run: 2 confirmed, 0 refuted, 0 depends, 0 inconclusive; 1 need a GPU." in page
    for link in (
        "../own/report.md",
        "../plain/report.md",
        "../../configs/claims/own.yaml",
        "../../configs/claims/big.yaml",
    ):
        assert f"]({link})" in page
        assert (project / "results/claims" / link).exists()

    code, text = farback("claims", "--report", "--store", f"sqlite:///{empty_database}")
    assert code == 0, text
    assert (project / "results/claims/report.md").read_text() == page  # a store with fewer verdicts does not replace it
    assert verdicts(project / "results/claims--part") == {"it-holds": "", "it-holds-too": ""}
    assert "claims--part" not in (project / "results/index.html").read_text()

    code, text = farback("claims", "--only", "own", "--shift-seeds", "100", "--workers", "1")
    assert code == 0, text
    assert "own: 8 trials to train" in text
    assert (project / "results/claims/report.md").read_text() == page
    other = project / "results/claims--seeds-100"
    assert verdicts(other) == {"it-holds": "", "it-holds-too": "confirmed"}
    assert "seeds [100, 101]" in (other / "claims.csv").read_text()
    assert "1 of 1 verdicts are the same as with the first seeds" in text
    assert "farback claims --report --shift-seeds 100" in (other / "report.md").read_text()
    assert "claims/own.yaml --shift-seeds 100" in (project / "results/own--seeds-100/report.md").read_text()

    alone = (project / "results/own--seeds-100/report.md").read_text()
    code, text = farback("report", "own", "--shift-seeds", "100")
    assert code == 0, text
    assert (project / "results/own--seeds-100/report.md").read_text() == alone
    code, text = farback("run", "claims/own", "--shift-seeds", "100", "--dry-run")
    assert "8 trials recorded already, 0 to train" in text

    code, text = farback("claims", "--dry-run")
    assert "nothing is left to train" in text
    code, text = farback("doctor", "own")
    assert code == 0, text
    code, text = farback("report", "claims/own")
    assert code == 0, text
    assert (project / "results/own/report.md").read_text() == own


@pytest.mark.slow
def test_documents_have_the_plan_and_the_verdicts(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def document(*arguments: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["farback", "claims", "--json", "--workers", "1", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    planned = document("--dry-run", "--store", "sqlite:///none.db")
    assert not Path("none.db").exists()
    assert [(one["name"], one["claims"], one["to_train"]) for one in planned["experiments"]] == [
        ("own", ["it-holds-too"], 8),
        ("plain", ["it-holds"], 8),
    ]
    assert 0 < planned["seconds"] == sum(one["seconds"] for one in planned["experiments"])
    assert planned["gpu"] == ["big"]
    done = document("--only", "own")
    assert (done["trained"], done["failed"]) == (8, 0)
    assert {one["id"]: (one["verdict"], one["value"]) for one in done["claims"]} == {
        "far": (None, None),
        "it-holds": (None, None),
        "it-holds-too": ("confirmed", 8.0),
    }
    assert Path(done["report"]) == project / "results/claims/report.html"
    assert document("--report")["claims"] == done["claims"]


def test_a_mistake_is_reported_with_the_choices(project: Path, farback: Callable[..., tuple[int, str]]) -> None:
    code, text = farback("claims", "--only", "it-hold")
    assert code == 2
    assert "did you mean 'it-holds'" in text
    code, text = farback("claims", "--only", "far")
    assert code == 2
    assert "needs a GPU (it is large)" in text
    (project / "configs/claims/own.yaml").write_text(CONFIG.format(name="own", id="it-holds"))
    code, text = farback("claims", "--dry-run")
    assert code == 2
    assert "claim it-holds is in both" in text
    for path in project.glob("configs/**/*.yaml"):
        path.unlink()
    code, text = farback("claims")
    assert code == 2
    assert "no config in" in text


def test_a_script_without_findings_is_reported_before_the_page_is_written(
    project: Path, farback: Callable[..., tuple[int, str]]
) -> None:
    (project / "experiments/claims/own.py").unlink()
    code, text = farback("claims", "--only", "own", "--workers", "1")
    assert code == 2
    assert "the config of own has the claims it-holds-too: its script needs a function findings" in text


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The first event of a training comes with a signal."""
    from farback.runs import sweep

    execute = sweep.execute

    def struck(*arguments: object, **more: object) -> Iterator[object]:
        signal.raise_signal(signal.SIGINT)
        yield from execute(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(sweep, "execute", struck)
    return iter(())


def test_a_signal_ends_it_with_the_code_that_shells_count(
    project: Path, farback: Callable[..., tuple[int, str]], interrupted: None
) -> None:
    code, text = farback("claims", "--workers", "1")
    assert code == 128 + signal.SIGINT
    assert "to resume:" in text
    assert "plain: " not in text

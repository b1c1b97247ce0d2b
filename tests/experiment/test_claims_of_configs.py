"""The section `claims:` of a config."""

from __future__ import annotations

from pathlib import Path

import pytest

from farback.experiment import ConfigError, Experiment
from farback.records.user_error import UserError
from farback.system.project import config_of, configs_in, root_of, script_of

SWEEP = """\
name: tiny
base:
  task: {name: recall, symbols: 2, filler: blank}
  hidden: 4
  batch: 8
  steps: 4
  evaluate_every: 2
sweep:
  - cell: [elman, memoryless]
    lag: [1, 2, 4]
    seed: {range: 2}
"""
CLAIM = """\
  - id: ONE
    statement: >
      A network
      remembers.
    source: Nobody 1901
    setting: Anything.
    published: "4"
    check: Confirmed if it does.
"""


def written(folder: Path, claims: str, sweep: str = SWEEP) -> Path:
    path = folder / "configs" / "tiny.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{sweep}{claims}")
    return path


def test_claims_change_no_trial_key(tmp_path: Path) -> None:
    without = Experiment.load(written(tmp_path, ""))
    claimed = Experiment.load(written(tmp_path, "claims:\n" + CLAIM.replace("ONE", "it-holds")))
    assert without.claims == ()
    (claim,) = claimed.claims
    assert (claim.id, claim.statement, claim.needs) == ("it-holds", "A network remembers.", None)
    assert [trial.key for trial in claimed.trials()] == [trial.key for trial in without.trials()]


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ("claims: yes\n", "claims: must be a list, got 'yes'"),
        ("claims: [holds]\n", "claims[0]: must be a mapping, got 'holds'"),
        ("claims:\n" + CLAIM.replace("ONE", "It holds"), "claims[0].id"),
        ("claims:\n" + CLAIM.replace("ONE", "a").replace("source", "sauce"), "did you mean 'source'"),
        (
            "claims:\n" + CLAIM.replace("ONE", "a").replace('    published: "4"\n', ""),
            "claims[0].published: is missing",
        ),
        ("claims:\n" + CLAIM.replace("ONE", "a").replace('"4"', "4"), "claims[0].published: must be text, got 4"),
        ("claims:\n" + CLAIM.replace("ONE", "a").replace("Nobody 1901", '" "'), "must not be empty"),
        ("claims:\n" + CLAIM.replace("ONE", "a") + CLAIM.replace("ONE", "a"), "2 claims have the id 'a'"),
        ("claims:\n" + CLAIM.replace("ONE", "a") + "    needs: gpu\n", "say why a needs a GPU"),
        ("claims:\n" + CLAIM.replace("ONE", "a") + "    why: it is large\n", "`needs: gpu` and `why` go together"),
        (
            "claims:\n" + CLAIM.replace("ONE", "a") + "    needs: gpu\n    why: large\n" + CLAIM.replace("ONE", "b"),
            "some of these claims need a GPU and others do not",
        ),
    ],
)
def test_a_mistake_in_a_claim_is_an_error_with_its_position(claims: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Experiment.load(written(tmp_path, claims))
    assert said in str(caught.value)
    assert "tiny.yaml:" in str(caught.value)


def test_a_search_cannot_have_claims(tmp_path: Path) -> None:
    searched = (
        SWEEP.partition("sweep:")[0]
        + "  cell: gru\n  lag: 3\nsearch:\n  space: {hidden: [4, 8]}\n  objective: skill\n  trials: 2\n"
    )
    Experiment.load(written(tmp_path, "", searched))
    with pytest.raises(ConfigError, match="only a sweep can check claims"):
        Experiment.load(written(tmp_path, "claims:\n" + CLAIM.replace("ONE", "a"), searched))


def test_shifted_seeds_change_only_the_seeds(tmp_path: Path) -> None:
    experiment = Experiment.load(written(tmp_path, ""))
    shifted = experiment.shifted(100)
    assert shifted.seeds_shifted == 100
    for one, other in zip(experiment.trials(), shifted.trials(), strict=True):
        assert other.seed == one.seed + 100
        assert other.group == one.group
        assert other.key != one.key


def test_a_matched_size_stays_when_seeds_are_shifted(tmp_path: Path) -> None:
    sweep = SWEEP.replace("  hidden: 4\n", "  match: {parameters: 200}\n")
    experiment = Experiment.load(written(tmp_path, "", sweep))
    pairs = zip(experiment.trials(), experiment.shifted(1).trials(), strict=True)
    assert all(one.hidden == other.hidden for one, other in pairs)


def test_the_files_of_an_experiment_are_found_by_its_name(tmp_path: Path) -> None:
    for path in ("configs/plain.yaml", "configs/claims/own.yaml", "experiments/claims/own.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    own = tmp_path / "configs/claims/own.yaml"
    assert config_of("own", tmp_path) == config_of("claims/own", tmp_path) == own
    assert config_of("plain", tmp_path) == tmp_path / "configs/plain.yaml"
    assert config_of("none", tmp_path) == tmp_path / "configs/none.yaml"
    assert script_of("own", tmp_path) == tmp_path / "experiments/claims/own.py"
    assert script_of("plain", tmp_path) == tmp_path / "experiments/plain.py"
    assert root_of(own) == root_of(tmp_path / "configs/plain.yaml") == tmp_path
    assert root_of(tmp_path / "results" / "x" / "winner.yaml") == root_of(tmp_path / "mine.yaml") == tmp_path
    assert configs_in(tmp_path) == [tmp_path / "configs/plain.yaml", own]
    (tmp_path / "configs/own.yaml").touch()
    with pytest.raises(UserError, match="rename one of them"):
        config_of("own", tmp_path)

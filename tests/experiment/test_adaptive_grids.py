"""`lag: {adaptive: [5, 320]}` and `tune:`: what a config may say, and which networks it describes."""

from pathlib import Path

import pytest

from farback import ConfigError, Experiment
from farback.experiment import Sweep
from farback.experiment.chosen_trials import CHOICE, JUDGED
from farback.runs.sweep import checked_sweep

CONFIG = """
name: adapted
base: {task: {name: recall, symbols: 2}, steps: 10}
sweep:
  - cell: [gru, lstm]
    lag: LAG
    TUNE
"""


def sweep(folder: Path, lag: str = "{adaptive: [5, 320]}", tune: str = "", overrides: tuple[str, ...] = ()) -> Sweep:
    path = folder / "adapted.yaml"
    path.write_text(CONFIG.replace("LAG", lag).replace("TUNE", tune))
    return checked_sweep(Experiment.load(path, overrides))


def test_a_search_for_each_network_with_an_arm_for_each_setting(tmp_path: Path) -> None:
    own = sweep(tmp_path, tune="tune: {optimizer.lr: [1.0e-3, 1.0e-2], clip: [1.0, null]}")
    searches = own.chosen(own.trials())
    assert [search.arms[0].label for search in searches] == ["GRU", "LSTM"]
    for search in searches:
        assert search.ends == (5, 320)
        assert search.settings == tuple(
            f"optimizer.lr {lr}, clip {clip}" for lr in ("0.001", "0.01") for clip in ("1", "null")
        )
        assert [(arm.optimizer.lr, arm.clip) for arm in search.arms] == [
            (1e-3, 1.0),
            (1e-3, None),
            (1e-2, 1.0),
            (1e-2, None),
        ]


def test_a_chosen_trial_is_that_of_a_listed_lag_and_seed(tmp_path: Path) -> None:
    own = sweep(tmp_path)
    listed = sweep(tmp_path, "[37]", "seed: [4]").trials()[0]
    (search, _) = own.chosen(own.trials())
    assert search.trial(0, 37, 4, JUDGED).key == listed.key  # nothing is tuned: the first seed is that of the config
    assert search.trial(0, 37, 4, JUDGED).role == (JUDGED, "")
    tuned = sweep(tmp_path, tune="tune: {clip: [1.0, null]}")
    (search, _) = tuned.chosen(tuned.trials())
    assert search.trial(0, 37, 4, CHOICE).key == listed.key
    assert search.trial(0, 37, 4, JUDGED).key != listed.key


def test_no_seed_serves_both_the_choice_and_the_judgement(tmp_path: Path) -> None:
    own = sweep(tmp_path, "{adaptive: [5, 320], limit: 10000}", "tune: {clip: [1.0, null]}")
    search = own.chosen(own.trials())[0]
    last, first = search.trial(0, 5, 9_999, CHOICE), search.trial(0, 5, 0, JUDGED)
    assert last.seed < first.seed


def test_only_selects_networks_and_shifted_seeds_begin_later(tmp_path: Path) -> None:
    own = sweep(tmp_path, tune="tune: {optimizer.lr: [1.0e-3, 1.0e-2]}").shifted(100)
    (search,) = own.chosen(own.only(["cell=gru"]))
    assert search.arms[0].label == "GRU"
    assert search.trial(0, 5, 3, CHOICE).seed == 103


def test_at_listed_lags_a_network_is_tuned_at_each_and_judged_on_the_listed_seeds(tmp_path: Path) -> None:
    own = sweep(tmp_path, "[5, 9]", "tune: {optimizer.lr: [1.0e-3, 1.0e-2]}\n    seed: [7, 3]")
    chosen = own.chosen(own.trials())
    assert [(one.arms[0].label, one.ends) for one in chosen] == [
        *(("GRU", (5, 5)), ("GRU", (9, 9)), ("LSTM", (5, 5)), ("LSTM", (9, 9))),
    ]
    for one in chosen:
        assert (one.settings, one.adaptive) == (("optimizer.lr 0.001", "optimizer.lr 0.01"), None)
        assert [one.trial(1, 5, number, CHOICE).seed for number in range(3)] == [3, 4, 5]
        assert [one.trial(1, 5, number, JUDGED).seed for number in one.judged] == [10_003, 10_007]


def test_a_selected_seed_is_judged_with_the_setting_that_all_seeds_have(tmp_path: Path) -> None:
    own = sweep(tmp_path, "[5, 9]", "tune: {optimizer.lr: [1.0e-3, 1.0e-2]}\n    seed: {range: 5}").shifted(100)
    (part,) = own.chosen(own.only(["seed=104", "lag=9", "cell=gru"]))
    whole = own.chosen(own.trials())[1]
    assert [arm.key for arm in part.arms] == [arm.key for arm in whole.arms]  # so the same trials choose
    assert (part.judged, whole.judged) == ((4,), (0, 1, 2, 3, 4))


def test_the_same_tuned_network_twice_is_an_error(tmp_path: Path) -> None:
    tune = "tune: {optimizer.lr: [1.0e-3, 1.0e-2]}"
    with pytest.raises(ConfigError, match="the same trial twice"):
        sweep(tmp_path, "[5]", f"{tune}\n  - cell: [gru]\n    lag: [5]\n    {tune}")
    with pytest.raises(ConfigError, match="GRU is tuned differently in"):
        sweep(tmp_path, "[5]", f"{tune}\n  - cell: [gru]\n    lag: [5]\n    optimizer.lr: [1.0e-3]")
    listed = sweep(tmp_path, "[5]", f"{tune}\n  - cell: [elman]\n    lag: [5]\n    optimizer.lr: [1.0e-3]")
    assert len(listed.chosen(listed.trials())) == 2


def test_set_changes_adaptive_lags_and_settings(tmp_path: Path) -> None:
    tune = "tune: {optimizer.lr: [1.0e-3, 1.0e-2]}"
    own = sweep(tmp_path, tune=tune, overrides=("lag={adaptive: [2, 8]}", "optimizer.lr=[0.1, 0.2]"))
    search = own.chosen(own.trials())[0]
    assert (search.ends, search.settings) == ((2, 8), ("optimizer.lr 0.1", "optimizer.lr 0.2"))
    own = sweep(tmp_path, tune=tune, overrides=("optimizer.lr=0.5",))
    search = own.chosen(own.trials())[0]
    assert (search.settings, search.arms[0].optimizer.lr) == (("",), 0.5)
    assert sweep(tmp_path, overrides=("lag=7",)).chosen(own.trials()) == []


@pytest.mark.parametrize(
    ("lag", "tune", "message"),
    [
        ("{adaptive: [320, 5]}", "", r"adapted\.yaml:6:5: sweep\[0\]\.lag: adaptive takes two lags .*got \[320, 5\]"),
        ("{adaptive: [0, 5]}", "", r"sweep\[0\]\.lag\.adaptive\[0\]: must be at least 1, got 0"),
        ("{adaptive: 5}", "", "must be a list, got 5"),
        ("{adaptive: [1.5, 3]}", "", "must be an integer"),
        ("{adaptive: [5, 320], precision: 0}", "", "precision: must be at least 0.02, got 0"),
        ("{adaptive: [5, 320], steps: 3}", "", "unknown key 'steps'"),
        ("{bracket: [5, 320]}", "", r"was replaced: write \{adaptive:"),
        (
            "[5]",
            "tune: {hidden: [8, 9]}\n    measures: [[gradient_reach]]",
            r"tune: tuned .*add `retention` to `measures:`",
        ),
        (
            "[5]",
            "tune: {hidden: [8, 9]}\n    train_lags: [{log_uniform: [1, 5]}]",
            r"tune: tuned .*leave train_lags out",
        ),
        (
            *("[5]", "tune: {hidden: [8, 9]}\n    zip: {seed: [0, 1], depth: [1, 2]}"),
            r"adapted\.yaml:8:11: sweep\[0\]\.seed: .*do not pair seed with others \(seed \+ depth\)",
        ),
        ("{adaptive: [5, 9]}", "tune: 3", "must map settings to lists of values, got 3"),
        ("{adaptive: [5, 9]}", "tune: {optimizer.lr: 0.1}", "levels must be a list"),
        ("{adaptive: [5, 9]}", "tune: {task: [recall]}", "task cannot be tuned"),
        ("{adaptive: [5, 9]}", "tune: {init: [torch, chrono]}", "init cannot be tuned: it is what is compared"),
        ("{adaptive: [5, 9]}", "tune: {depth: [1, 2]}", "depth cannot be tuned"),
        ("{adaptive: [5, 9]}", "tune: {optimizer: [adam, sgd]}", "optimizer cannot be tuned as a whole"),
        (
            *("{adaptive: [5, 9]}", "tune: {optimizer.lr: [0.1, 0.2]}\n  - cell: [gru]\n    lag: {adaptive: [5, 9]}"),
            r"adapted\.yaml:8:5: sweep\[1\]: GRU is tuned differently in sweep\[0\]",
        ),
        ("{adaptive: [5, 9]}", "seed: {range: 2}", r"sweep\[0\]\.seed: .*leave seed out"),
        ("[5]", "hidden: {adaptive: [8, 64]}", "only lags are chosen adaptively"),
        ("{adaptive: [5, 9]}", "measures: [[gradient_reach]]", "add `retention` to `measures:`"),
        ("{adaptive: [5, 9]}", "train_lags: [{uniform: [1, 9]}]", "lag"),
        ("{adaptive: [5, 9]}", "optimizer.lr: [0.1]\n    tune: {optimizer.lr: [0.1, 0.2]}", "given twice"),
    ],
)
def test_what_does_not_fit_is_an_error_with_its_place(tmp_path: Path, lag: str, tune: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sweep(tmp_path, lag, tune)


def test_adaptive_lags_are_not_paired(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be paired"):
        sweep(tmp_path, "[5]", "zip: {depth: [1, 2], lag: {adaptive: [5, 10]}}")


def test_groups_of_a_search_have_no_adaptive_lags(tmp_path: Path) -> None:
    path = tmp_path / "adapted.yaml"
    path.write_text(
        "name: adapted\nbase: {task: recall, cell: gru, steps: 10}\nsearch: {space: {optimizer.lr: [0.1, 0.2]}, "
        "objective: skill, groups: {lag: {adaptive: [5, 10]}}}\n"
    )
    with pytest.raises(ConfigError, match="only a sweep has adaptive lags"):
        Experiment.load(path)


def test_only_does_not_select_one_of_the_settings_that_are_compared(tmp_path: Path) -> None:
    own = sweep(tmp_path, tune="tune: {optimizer.lr: [0.1, 0.2]}")
    assert {trial.label for trial in own.only(["cell=gru"])} == {"GRU"}
    with pytest.raises(ConfigError, match=r"--only optimizer.lr=0.1: optimizer.lr: the sweep tunes it"):
        own.only(["optimizer.lr=0.1"])

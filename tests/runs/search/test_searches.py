"""What a search does: equal budgets, fresh seeds for the report, the same parameters from the same seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import optuna
import pandas as pd
import pytest
from small_search import SMALL, Finished, Small

from farback.executors import Serial
from farback.executors.base import Work
from farback.experiment import Experiment, Search
from farback.records.user_error import UserError
from farback.runs.search import history, search, winners
from farback.runs.search.api import forget, open_search
from farback.runs.search.budget import MOST_ATTEMPTS
from farback.runs.search.winners import check_disjoint
from farback.runs.sweep import checked_sweep
from farback.stores.memory import Memory
from farback.stores.studies import located
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Failed
from open_sweeps import session

LR, HIDDEN = "param.optimizer.lr", "param.hidden"


def counted(experiment: Search) -> pd.DataFrame:
    table = history(experiment)
    return table[table["counted"]]


def test_every_group_gets_the_same_number_of_trials_and_the_same_random_points(finished: Finished) -> None:
    experiment, found, _ = finished
    table = counted(experiment)
    assert table.groupby("group").size().to_dict() == {"RNN tanh": 4, "memoryless": 4}
    points = [own[[LR, HIDDEN]].to_numpy().tolist() for _, own in table.sort_values("slot").groupby("group")]
    assert points[0] == points[1]
    assert (found.trained, found.reused, found.failed) == (2 * 4 * 2 + 2 * 2, 0, 0)
    again = search(experiment, workers=1, store=Memory())
    assert again.trained == 2 * 2  # an empty store lacks the report, and the study is done
    assert again.winners == found.winners


def test_a_search_stopped_after_any_event_and_resumed_is_the_same(small: Small, finished: Finished) -> None:
    halted, store = small(), Memory()
    for events in (0, 1, 4, 9):
        with open_search(session(store), halted) as run:
            stream = run.events()
            for _ in range(events):
                next(stream)
            stream.close()
        assert set(history(halted)["state"]) <= {"complete", "failed", "waiting"}
    search(halted, workers=1, store=store)
    columns = ["group", "slot", "value", LR, HIDDEN, "keys"]
    tables = [counted(each).sort_values(["group", "slot"])[columns] for each in (finished.experiment, halted)]
    pd.testing.assert_frame_equal(*(table.reset_index(drop=True) for table in tables), check_exact=True)


class Faulty(Serial):
    """Loses the cohorts of memoryless networks, the first so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def map(self, function: Work, items: Iterable[Cohort]) -> Iterator[tuple[Cohort, Event]]:
        for cohort in items:
            if cohort.trials[0].cell.name == "memoryless" and self.times:
                self.times -= 1
                for key in cohort.keys:
                    yield cohort, Failed(key, "the worker was killed")
            else:
                yield from super().map(function, [cohort])


def test_a_failed_setting_is_tried_again_with_the_same_parameters(small: Small) -> None:
    experiment = small()
    found = search(experiment, executor=Faulty(1), workers=1, store=Memory())
    table = history(experiment)
    failed = table[table["state"] == "failed"]
    assert set(failed["reason"]) == {"the worker was killed"}
    assert not failed["counted"].any()
    assert counted(experiment).groupby("group").size().to_dict() == {"RNN tanh": 4, "memoryless": 4}
    assert found.failed > 0
    for _, row in failed.iterrows():
        other = table[(table["group"] == row["group"]) & (table["slot"] == row["slot"]) & table["counted"]].iloc[0]
        assert (row[LR], row["keys"]) == (other[LR], other["keys"])


def test_what_always_fails_ends_and_counts(small: Small) -> None:
    experiment = small("search.trials=2")
    search(experiment, executor=Faulty(99), workers=1, store=Memory())
    table = history(experiment)
    lost = table[table["group"] == "memoryless"]
    assert set(lost["state"]) == {"failed"}
    assert lost.groupby("slot").size().tolist() == [MOST_ATTEMPTS] * 2
    assert int(lost["counted"].sum()) == 2
    assert [winner.group for winner in winners(experiment, table)] == ["RNN tanh"]


def test_reported_seeds_are_none_of_the_search(finished: Finished) -> None:
    experiment, found, store = finished
    table = history(experiment)
    searched = {key for keys in table["keys"] for key in keys.split()}
    frame = store.frame("small")
    seeds = set(frame[frame["key"].isin(searched)]["seed"])
    reported = [trial for winner in found.winners for trial in winner.trials]
    assert seeds == {10_000, 10_001}
    assert {trial.seed for trial in reported} == {0, 1}
    assert not searched & {trial.key for trial in reported}
    assert store.finished("small", [trial.key for trial in reported]) == {trial.key for trial in reported}
    table.loc[0, "keys"] = reported[0].key
    with pytest.raises(RuntimeError, match="was trained by the search"):
        check_disjoint(found.winners, table)


def test_the_value_is_the_mean_over_the_seeds(finished: Finished) -> None:
    scores = finished.store.frame("small")
    rows = scores[(scores["measure"] == "retention") & (scores["lag"] == 2) & (scores["statistic"] == "skill")]
    skill = rows.set_index("key")["value"].clip(0, 1)
    for _, row in counted(finished.experiment).iterrows():
        assert row["value"] == pytest.approx(skill[row["keys"].split()].mean())


def test_a_winners_config_is_what_was_reported(finished: Finished) -> None:
    experiment, found, _ = finished
    assert [path.name for path in found.configs] == ["small-winner-rnn-tanh.yaml", "small-winner-memoryless.yaml"]
    for winner, path in zip(found.winners, found.configs, strict=True):
        loaded = checked_sweep(Experiment.load(path))
        assert [trial.key for trial in loaded.trials()] == [trial.key for trial in winner.trials]
        assert loaded.root == experiment.root


def test_plain_optuna_opens_a_study(finished: Finished) -> None:
    experiment = finished.experiment
    uri = located(None, experiment.root)
    assert sorted(optuna.get_all_study_names(uri)) == ["small/RNN tanh", "small/memoryless"]
    study = optuna.load_study(study_name="small/RNN tanh", storage=uri)
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE
    assert set(study.best_params) == {"optimizer.lr", "hidden", "clip"}
    best = counted(experiment).query("group == 'RNN tanh'")["value"].max()
    assert study.best_value == best
    assert study.trials_dataframe().shape[0] == 4


def test_more_trials_extend_a_search_that_ended(small: Small) -> None:
    experiment = small("search.trials=2")
    search(experiment, workers=1, store=Memory())
    before = history(experiment)
    search(experiment, workers=1, store=Memory(), trials=3)
    after = history(experiment)
    assert after[after["counted"]].groupby("group").size().to_dict() == {"RNN tanh": 3, "memoryless": 3}
    pd.testing.assert_frame_equal(after[after["slot"] < 2].reset_index(drop=True), before)
    with open_search(session(Memory()), experiment) as run:
        assert [study.total for study in run.studies] == [3, 3]  # once raised, the total stays


def test_another_search_of_the_same_name_is_refused_until_it_begins_again(small: Small) -> None:
    with open_search(session(Memory()), small()):
        pass
    changed = small(text=SMALL.replace("[2, 4]", "[2, 6]").replace("seeds: 2\n  sampler", "seeds: 1\n  sampler"))
    with pytest.raises(UserError, match=r"small.yaml.*made with another space, seeds.*--restart"):
        search(changed, workers=1, store=Memory())
    assert forget(changed, None) == ["small/RNN tanh", "small/memoryless"]
    assert history(changed).empty
    with open_search(session(Memory()), changed) as run:
        assert len(run.studies) == 2


def test_two_objectives_give_a_front(small: Small) -> None:
    experiment = small("search.objective=[{skill: 2}, updates]", "search.trials=4", "search.sampler=nsga2")
    found = search(experiment, workers=1, store=Memory())
    table = counted(experiment)
    for group, own in table.groupby("group"):
        points = {tuple(point) for point in own[["value", "value_1"]].to_numpy()}
        front = {
            (skill, updates)
            for skill, updates in points
            if not any(s >= skill and u <= updates and (s, u) != (skill, updates) for s, u in points)
        }
        assert {winner.values for winner in found.winners if winner.group == group} == front


def test_a_hopeless_setting_is_pruned_seed_by_seed(small: Small) -> None:
    """One learning rate learns nothing: five seeds of it are enough for a signed-rank test."""
    text = SMALL.replace("steps: 4", "steps: 150").replace("[elman, memoryless]", "[elman]").replace("lag: 2", "lag: 1")
    text = text.replace("{log: [1.0e-3, 1.0e-1]}", "[0.05, 1.0e-9]").replace("clip: [1.0, null]", "clip: [1.0]")
    text = text.replace("{int: [2, 4]}", "[8]").replace("batch: 2\n", "batch: 1\n").replace("{skill: 2}", "{skill: 1}")
    pruned = ("search.pruner=wilcoxon", "search.seeds=8", "search.sampler={name: grid, seed: 2}")
    experiment = small(*pruned, "search.trials=2", text=text)
    store = Memory()
    search(experiment, workers=1, store=store)
    table = counted(experiment).set_index(LR)
    assert table.loc[0.05, "state"] == "complete"
    hopeless = table.loc[1e-9]
    assert hopeless["number"] == 1  # with the seed given, the good one comes first and there is something to compare
    assert hopeless["state"] == "pruned"
    assert hopeless["reason"].startswith("pruned by wilcoxon after")
    trained = [key in store.experiments["small"].results for key in hopeless["keys"].split()]
    assert 2 <= sum(trained) < 8


def test_a_hopeless_training_is_stopped_before_its_end(small: Small) -> None:
    """Ten learning rates of a lookup that any rate but the smallest learns: the median prunes that one."""
    text = SMALL.replace("steps: 4", "steps: 90").replace("[elman, memoryless]", "[elman]").replace("lag: 2", "lag: 1")
    text = text.replace("{log: [1.0e-3, 1.0e-1]}", "{log: [1.0e-9, 1.0e-1]}").replace("[1.0, null]", "[1.0]")
    text = text.replace("evaluate_every: 2", "evaluate_every: 10\n  stop: never").replace("{skill: 2}", "{skill: 1}")
    experiment = small("search.pruner=median", "search.trials=10", text=text.replace("{int: [2, 4]}", "[8]"))
    store = Memory()
    search(experiment, workers=1, store=store)
    table = counted(experiment)
    pruned = table[table["state"] == "pruned"]
    assert len(table) == 10
    assert len(pruned) > 0
    late = "|".join(str(updates) for updates in range(30, 100, 10))
    assert pruned["reason"].str.contains(rf"pruned by median after (?:{late}) updates").all()
    entry = store.experiments["small"]
    stopped = {key for keys in pruned["keys"] for key in keys.split()}
    assert {event.key for event in store.stopped} | (stopped & set(entry.results)) == stopped
    assert len(store.stopped) > 0
    assert all(entry.tags[key]["optuna.state"] == "pruned" for key in stopped)


def test_the_time_that_is_given_ends_a_search(small: Small) -> None:
    experiment = small("search.budget=1e-6", "search.trials=50")
    found = search(experiment, workers=1, store=Memory())
    assert found.trained == 0
    assert found.winners == ()


def test_the_tags_of_a_training_carry_its_outcome_in_optuna(finished: Finished) -> None:
    experiment, found, store = finished
    entry = store.experiments["small"]
    for _, row in counted(experiment).iterrows():
        for key in row["keys"].split():
            tags = entry.tags[key]
            assert tags["study"] == f"small/{row['group']}"
            assert (tags["phase"], tags["optuna.state"]) == ("search", "complete")
            assert tags["optuna.number"] == str(row["number"])
            assert tags["setting"] == f"{row['group']} #{row['number']}"
            assert entry.metrics[key]["mean over seeds/skill_lag_2"] == row["value"]
    for winner in found.winners:
        for trial in winner.trials:
            assert entry.tags[trial.key]["phase"] == "report"

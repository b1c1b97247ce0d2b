"""Sequences from a file: parts, kinds of answers, lags, chance and identity (refused files: test_data_files.py)."""

from __future__ import annotations

import itertools
import math
import pickle
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from farback import tasks
from farback.measures import retention
from farback.measures.retention import mean_scores
from farback.records.user_error import UserError
from farback.stats import Horizon
from farback.tasks import Bits, OneOf, Within
from farback.tasks.table import Table
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Finished
from farback.trials.trial import Trial

PARTS = ("train", "validation", "test")


def table(path: Path, **fields: Any) -> Table:
    built = tasks.build({"name": "table", "file": str(path), **fields})
    assert isinstance(built, Table)
    return built


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def part(task: Table, name: str) -> Table:
    return task if name == "train" else task.held_out(name)


def everything(task: Table, name: str) -> Any:
    """Every sequence of a part, once."""
    one = part(task, name)
    return one.sample(np.random.default_rng(0), len(one._data.own(name)))


def coins(folder: Path, rng: np.random.Generator, count: int = 1000, steps: int = 12) -> Path:
    """Random inputs, and for each sequence a random answer."""
    return saved(folder / "coins.npz", x=rng.integers(0, 2, (count, steps, 1)), y=rng.integers(0, 2, count))


# Parts -----------------------------------------------------------------------------------------------------------


def numbered(folder: Path, rng: np.random.Generator, **arrays: Any) -> Path:
    """Fifty sequences whose only input is their number."""
    x = np.broadcast_to(np.arange(50)[:, None, None], (50, 4, 1))
    return saved(folder / "numbered.npz", x=x, y=rng.integers(0, 2, 50), **arrays)


def numbers_of(task: Table, name: str) -> list[int]:
    return sorted(everything(task, name).input_BTI[:, 0, 0].int().tolist())


def test_every_sequence_is_in_one_part(tmp_path: Path, rng: np.random.Generator) -> None:
    task = table(numbered(tmp_path, rng), scale="none")
    found = [numbers_of(task, name) for name in PARTS]
    assert [len(own) for own in found] == [30, 10, 10]
    assert sorted(itertools.chain(*found)) == list(range(50))
    assert found[0] != list(range(30))  # drawn at random: files are often sorted by their answers


def test_a_group_is_in_one_part(tmp_path: Path, rng: np.random.Generator) -> None:
    group = rng.permutation(np.repeat(np.arange(10), 5))
    task = table(numbered(tmp_path, rng, groups=group), scale="none")
    found = [{int(group[number]) for number in numbers_of(task, name)} for name in PARTS]
    assert [len(own) for own in found] == [6, 2, 2]
    assert set.union(*found) == set(range(10))


def test_by_time_the_earliest_train_and_the_latest_test_and_ties_stay_together(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    time = rng.permutation(np.repeat(np.arange(10.0), 5))
    task = table(numbered(tmp_path, rng, time=time), scale="none")
    found = [{float(time[number]) for number in numbers_of(task, name)} for name in PARTS]
    assert found == [{0, 1, 2, 3, 4, 5}, {6, 7}, {8, 9}]


def test_three_times_are_the_three_parts(tmp_path: Path, rng: np.random.Generator) -> None:
    """As docs/your-own-data.md says, whatever share of the sequences each has."""
    for counts in ([8, 10, 32], [8, 34, 8], [36, 6, 8]):
        time = rng.permutation(np.repeat([0, 1, 2], counts))
        task = table(numbered(tmp_path, rng, time=time), scale="none")
        assert [set(time[list(numbers_of(task, name))].tolist()) for name in PARTS] == [{0}, {1}, {2}]


def series(folder: Path, count: int = 200) -> Path:
    """One row a day; the column `day` counts them, and `load` is the day's sine."""
    day = np.arange(count)
    frame = pd.DataFrame({"day": day, "load": np.sin(day)})
    frame.sample(frac=1, random_state=0).to_csv(folder / "series.csv", index=False)
    return folder / "series.csv"


def test_windows_with_their_answers_lie_within_a_part(tmp_path: Path) -> None:
    columns = {"inputs": ["day"], "step": "day", "target": "load"}
    task = table(series(tmp_path), columns=columns, window=10, ahead=3, scale="none")
    for name, (first, end) in zip(PARTS, [(0, 120), (120, 160), (160, 200)], strict=True):
        x_BT = everything(task, name).input_BTI[..., 0]
        assert torch.equal(x_BT - x_BT[:, :1], torch.arange(10.0).expand_as(x_BT))  # days in a row
        assert sorted(x_BT[:, 0].tolist()) == list(range(first, end - 10 - 3 + 1))


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_the_answer_of_a_window_is_the_target_that_many_rows_after_its_end(tmp_path: Path, ahead: int) -> None:
    columns = {"inputs": ["day"], "step": "day", "target": "load"}
    task = table(series(tmp_path), columns=columns, window=10, ahead=ahead, scale="none")
    batch = everything(task, "train")
    assert (batch.lag_BT >= 0).nonzero()[:, 1].tolist() == [9] * len(batch.lag_BT)
    np.testing.assert_allclose(batch.target_BT[:, 9], np.sin(batch.input_BTI[:, 9, 0].numpy() + ahead), atol=1e-5)
    every = everything(
        table(series(tmp_path), columns=columns, window=10, ahead=ahead, asked="every", scale="none"), "test"
    )
    np.testing.assert_allclose(every.target_BT, np.sin(every.input_BTI[..., 0].numpy() + ahead), atol=1e-5)


def test_windows_of_several_series_do_not_cross_them(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = [(name, day, 100 * index + day, rng.normal()) for index, name in enumerate("abcdef") for day in range(20)]
    pd.DataFrame(rows, columns=["town", "day", "place", "load"]).to_csv(tmp_path / "towns.csv", index=False)
    columns = {"sequence": "town", "step": "day", "inputs": ["place"], "target": "load"}
    task = table(tmp_path / "towns.csv", columns=columns, window=5, scale="none")
    towns = []
    for name in PARTS:
        x_BT = everything(task, name).input_BTI[..., 0]
        assert torch.equal(x_BT - x_BT[:, :1], torch.arange(5.0).expand_as(x_BT))
        towns.append(set((x_BT // 100).flatten().tolist()))
    assert sum(map(len, towns)) == 6  # no town is in two parts


def test_draws_use_every_sequence_before_any_again(tmp_path: Path, rng: np.random.Generator) -> None:
    task = table(numbered(tmp_path, rng), scale="none")
    drawn = task.sample(np.random.default_rng(1), 75).input_BTI[:, 0, 0].tolist()
    assert sorted(drawn[:30]) == sorted(drawn[30:60]) == numbers_of(task, "train")
    assert len(set(drawn[60:])) == 15


# Unequal lengths -------------------------------------------------------------------------------------------------


def test_a_mask_gives_lengths_and_what_follows_is_never_seen(tmp_path: Path, rng: np.random.Generator) -> None:
    x, steps = rng.normal(size=(60, 9, 2)), rng.integers(2, 10, 60)
    mask = np.arange(9) < steps[:, None]
    y = x[np.arange(60), steps - 2, 0]  # the last input but one
    path = saved(tmp_path / "mask.npz", x=np.where(mask[..., None], x, np.nan), y=y, mask=mask)
    batch = everything(table(path, scale="none"), "train")
    for x_TI, target_T, lag_T in zip(*(each.numpy() for each in batch), strict=True):
        (last,) = np.flatnonzero(lag_T >= 0)
        assert target_T[last] == pytest.approx(x_TI[last - 1, 0])
        assert not x_TI[last + 1 :].any()
        assert x_TI[: last + 1].all()


def long_table(folder: Path, rng: np.random.Generator) -> Path:
    """Forty people with 2 to 8 days each, in shuffled rows; who is ill had a first pulse above 0."""
    rows = []
    for person in range(40):
        first = rng.normal()
        for day in range(rng.integers(2, 9)):
            rows.append((f"p{person}", day, rng.normal() if day else first, "yes" if first > 0 else "no", person % 8))
    frame = pd.DataFrame(rows, columns=["person", "day", "pulse", "ill", "ward"])
    frame.sample(frac=1, random_state=0).to_csv(folder / "long.csv", index=False)
    return folder / "long.csv"


LONG = {"sequence": "person", "step": "day", "inputs": ["pulse"], "target": "ill"}


@pytest.mark.parametrize("kind", ["csv", "parquet", "folder"])
def test_rows_of_a_table_are_put_in_order_and_an_answer_that_never_changes_is_asked_at_the_end(
    tmp_path: Path, rng: np.random.Generator, kind: str
) -> None:
    path = long_table(tmp_path, rng)
    if kind == "parquet":
        pd.read_csv(path).to_parquet(tmp_path / "long.parquet")
        path = tmp_path / "long.parquet"
    if kind == "folder":
        (tmp_path / "rows").mkdir()
        frame = pd.read_csv(path)
        for start in range(0, len(frame), 50):
            frame.iloc[start : start + 50].to_csv(tmp_path / "rows" / f"{start:04}.csv", index=False)
        path = tmp_path / "rows"
    task = table(path, columns=LONG, scale="none")
    assert task.answer == OneOf(2)
    counts = []
    for name in PARTS:
        batch = everything(task, name)
        counts.append(len(batch.lag_BT))
        last_B = (batch.lag_BT >= 0).int().argmax(1)
        assert ((batch.lag_BT >= 0).sum(1) == 1).all()
        answer_B = batch.target_BT[torch.arange(len(last_B)), last_B]
        assert torch.equal(answer_B, (batch.input_BTI[:, 0, 0] > 0).long())  # "no" is class 0
    assert counts == [24, 8, 8]


def test_each_file_of_a_folder_is_a_sequence_unless_a_column_says(tmp_path: Path, rng: np.random.Generator) -> None:
    for index in range(10):
        frame = pd.DataFrame({"x": np.full(index + 2, float(index)), "y": rng.normal(size=index + 2)})
        frame.to_csv(tmp_path / f"r{index}.csv", index=False)
    task = table(tmp_path, columns={"inputs": ["x"], "target": "y"}, scale="none")
    found = [batch for name in PARTS for batch in everything(task, name).input_BTI[:, 0, 0].tolist()]
    assert sorted(found) == list(range(10))
    assert task.lag == 10  # the longest has 11 rows


# Answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (lambda rng: rng.integers(0, 3, 90), OneOf(3)),
        (lambda rng: rng.integers(0, 2, 90).astype(bool), OneOf(2)),
        (lambda rng: rng.integers(0, 2, 90).astype(float), OneOf(2)),
        (lambda rng: rng.choice(["left", "right"], 90), OneOf(2)),
        (lambda rng: rng.integers(0, 1000, 90), Within(0.5)),
        (lambda rng: rng.normal(size=90), Within(0.5)),
    ],
)
def test_the_kind_of_answers_is_inferred_from_their_values(
    tmp_path: Path, rng: np.random.Generator, answers: Callable[..., Any], kind: Any
) -> None:
    task = table(saved(tmp_path / "kinds.npz", x=rng.normal(size=(90, 3, 1)), y=answers(rng)))
    assert task.answer == kind
    assert "inferred from their values" in task.about()


def test_a_stated_kind_wins_and_the_page_does_not_call_it_inferred(tmp_path: Path, rng: np.random.Generator) -> None:
    path = saved(tmp_path / "counts.npz", x=rng.normal(size=(90, 3, 1)), y=rng.integers(0, 5, 90))
    task = table(path, answers="numbers")
    assert task.answer == Within(0.5)
    assert "inferred" not in task.about()


@pytest.mark.parametrize("each_step", [False, True])
def test_several_columns_of_zeros_and_ones_are_bits(tmp_path: Path, rng: np.random.Generator, each_step: bool) -> None:
    y = rng.integers(0, 2, (60, 5, 3) if each_step else (60, 3))
    task = table(saved(tmp_path / "bits.npz", x=y[..., :1] if each_step else rng.normal(size=(60, 5, 1)), y=y))
    assert isinstance(task.answer, Bits)
    assert task.answer.count == 3
    batch = everything(task, "train")
    assert batch.target_BT.shape == (36, 5, 3)
    assert (batch.lag_BT >= 0).sum(1).unique().tolist() == [5 if each_step else 1]


def test_inputs_and_numbers_are_in_standard_deviations_of_the_training_part(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    x = rng.normal(100, 20, (300, 4, 2)) * [1, 1e-3]
    path = saved(tmp_path / "units.npz", x=x, y=rng.normal(-50, 7, (300, 4)))
    batch = everything(table(path), "train")
    for values in (batch.input_BTI[..., 0], batch.input_BTI[..., 1], batch.target_BT):
        assert (float(values.mean()), float(values.std())) == pytest.approx((0, 1), abs=1e-3)
    plain = everything(table(path, scale="none"), "train")
    assert float(plain.target_BT.mean()) == pytest.approx(-50, abs=2)


# Missing values --------------------------------------------------------------------------------------------------


def test_carry_keeps_the_last_value_of_the_sequence_and_asks_nothing_without_a_target(tmp_path: Path) -> None:
    rows = [(name, t, 10 * index + t, t % 2) for index, name in enumerate("abcdefghij") for t in range(4)]
    frame = pd.DataFrame(rows, columns=["name", "t", "x", "y"]).astype({"x": float, "y": float})
    frame.loc[frame["t"] == 2, "x"] = np.nan
    frame.loc[frame["t"] == 0, "x"] = np.nan
    frame.loc[frame["t"] == 3, "y"] = np.nan
    frame.to_csv(tmp_path / "holes.csv", index=False)
    columns = {"sequence": "name", "step": "t", "inputs": ["x"], "target": "y"}
    task = table(tmp_path / "holes.csv", columns=columns, missing="carry", asked="every", scale="none")
    batch = everything(task, "train")
    x_BT = batch.input_BTI[..., 0]
    assert torch.equal(x_BT[:, 2], x_BT[:, 1])
    assert (x_BT[:, 3] - x_BT[:, 1]).tolist() == [2.0] * 6
    known = float(x_BT[:, 1:].mean())  # of the training part; at the first step nothing is known yet
    assert x_BT[:, 0].tolist() == pytest.approx([known] * 6)
    assert (batch.lag_BT >= 0)[0].tolist() == [True, True, True, False]


# Lags ------------------------------------------------------------------------------------------------------------

LAGS = (1, 2, 4, 8)


def shift_registers(folder: Path, rng: np.random.Generator) -> Path:
    """Bits, and the lag of the sequence as a second input; the last step asks for the bit that many steps ago."""
    bit, lag = rng.integers(0, 2, (800, 12)), rng.choice(LAGS, 800)
    x = np.stack([bit, np.broadcast_to(lag[:, None], bit.shape)], 2)
    y, lags = np.zeros_like(bit), np.full_like(bit, -1)
    y[:, -1], lags[:, -1] = bit[np.arange(800), 11 - lag], lag
    return saved(folder / "registers.npz", x=x, y=y, lag=lags)


def register(memory: int) -> Callable[[Tensor], Tensor]:
    """Knows the bits of the last `memory` steps."""

    def system(x_BTI: Tensor) -> Tensor:
        B, T, _ = x_BTI.shape
        lag_B = x_BTI[:, -1, 1].long()
        bit_B = x_BTI[torch.arange(B), T - 1 - lag_B, 0].long()
        output_BTO = torch.zeros(B, T, 2)
        output_BTO[torch.arange(B), -1, bit_B] = 20.0 * (lag_B <= memory)
        return output_BTO

    return system


@pytest.mark.parametrize(("memory", "ends"), [(0, (0, 1)), (2, (2, 4)), (5, (4, 8)), (8, (8, math.inf))])
def test_retention_uses_answers_by_their_lag(
    tmp_path: Path, rng: np.random.Generator, memory: int, ends: tuple[float, float]
) -> None:
    task = table(shift_registers(tmp_path, rng), scale="none")
    assert (task.lag, task.least, task.has_lags, task.mixes) == (8, 1, True, True)
    found = retention(register(memory), task, [1, 2, 3, 4, 8])
    assert found.horizon == Horizon(*ends)
    assert np.isnan(found.accuracy[2])  # no answer needs lag 3


def test_a_shorter_lag_asks_for_no_answer_beyond_it(tmp_path: Path, rng: np.random.Generator) -> None:
    task = table(shift_registers(tmp_path, rng))
    for lag in LAGS:
        lag_BT = task.at(lag).sample(np.random.default_rng(0), 200).lag_BT
        assert lag_BT[lag_BT >= 0].unique().tolist() == [one for one in LAGS if one <= lag]
        exact_BT = task.at(lag).held_out("test").sample_exact(np.random.default_rng(0), 50).lag_BT
        assert (exact_BT == lag).any(1).all()
    mixed_BT = task.sample(np.random.default_rng(0), 6, np.array([1, 2, 2, 4, 8, 8])).lag_BT
    assert (mixed_BT.max(1).values <= torch.tensor([1, 2, 2, 4, 8, 8])).all()
    with pytest.raises(ValueError, match=r"lag is 9, and the lags in .* are from 1 to 8"):
        task.at(9)


def test_without_lags_the_lag_is_the_steps_before_the_end_and_no_other_is_possible(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    trial = Trial.model_validate({"task": {"name": "table", "file": str(coins(tmp_path, rng))}, "cell": "gru"})
    assert trial.lag == trial.task.lag == trial.task.least == 11
    assert not trial.task.mixes
    with pytest.raises(ValueError, match=r"does not say which lags its answers need: leave lag out \(it is 11"):
        trial.changed(lag=5)
    for measure in ({"name": "retention", "lags": [3]}, {"name": "retention", "limit": 20}):
        with pytest.raises(ValueError, match="is not known: leave out lags and limit"):
            trial.changed(measures=[measure])


# Chance ----------------------------------------------------------------------------------------------------------


def memoriser(task: Table) -> Callable[[Tensor], Tensor]:
    """Knows every training sequence with its answer, and answers others with certainty and at random."""
    batch = everything(task, "train")
    known = {x.numpy().tobytes(): int(y[-1]) for x, y in zip(batch.input_BTI, batch.target_BT, strict=True)}

    def system(x_BTI: Tensor) -> Tensor:
        rows = [x.numpy().tobytes() for x in x_BTI]
        answer_B = [known.get(row, zlib.crc32(row) % 2) for row in rows]
        output_BTO = torch.zeros(*x_BTI.shape[:2], 2)
        output_BTO[torch.arange(len(x_BTI)), -1, torch.tensor(answer_B)] = 3.0
        return output_BTO

    return system


def test_who_memorised_coin_flips_is_at_chance(tmp_path: Path, rng: np.random.Generator) -> None:
    task = table(coins(tmp_path, rng, steps=40))
    system, batch = memoriser(task), everything(task, "train")
    assert (system(batch.input_BTI)[:, -1].argmax(1) == batch.target_BT[:, -1]).all()
    scores = mean_scores(system, task)
    assert not scores.remembered
    assert scores.skill < 0.05
    assert scores.accuracy == pytest.approx(0.5, abs=0.15)  # of 200 test sequences


def test_chance_of_coin_flips_is_the_entropy_of_the_test_part(tmp_path: Path, rng: np.random.Generator) -> None:
    task = table(coins(tmp_path, rng))
    for name in ("validation", "test"):
        answer_B = everything(task, name).target_BT[:, -1].numpy()
        rate = answer_B.mean()
        entropy = -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))
        assert task.held_out(name).chance().loss == pytest.approx(entropy, abs=0.01)
        assert task.held_out(name).chance().loss <= entropy + 1e-9
        assert max(rate, 1 - rate) <= task.held_out(name).chance().accuracy < 0.62
    assert task.chance() == task.held_out("test").chance()


def test_chance_knows_what_the_present_input_tells_of_a_class(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.integers(0, 2, (4000, 3, 1))
    y = np.where(rng.random(4000) < 0.1, 1 - x[:, -1, 0], x[:, -1, 0])
    chance = table(saved(tmp_path / "present.npz", x=x, y=y)).chance()
    assert chance.accuracy == pytest.approx(0.9, abs=0.03)
    assert chance.loss == pytest.approx(-(0.1 * math.log(0.1) + 0.9 * math.log(0.9)), abs=0.05)


@pytest.mark.parametrize("form", ["linear", "square"])
def test_chance_knows_what_the_present_input_tells_of_a_number(
    tmp_path: Path, rng: np.random.Generator, form: str
) -> None:
    """Half of the variance is the present input, or its square; the other half is the past input."""
    x = rng.normal(size=(5000, 3, 1))
    present = x[:, -1, 0] if form == "linear" else (x[:, -1, 0] ** 2 - 1) / math.sqrt(2)
    chance = table(saved(tmp_path / "present.npz", x=x, y=present + x[:, 0, 0])).chance()
    assert chance.loss == pytest.approx(0.5, abs=0.06)


def test_chance_knows_what_the_number_of_the_step_tells(tmp_path: Path, rng: np.random.Generator) -> None:
    y = np.broadcast_to(np.arange(8) % 2, (200, 8)).copy()
    y[rng.random(y.shape) < 0.1] ^= 1
    chance = table(saved(tmp_path / "clock.npz", x=rng.normal(size=(200, 8, 1)), y=y)).chance()
    assert chance.accuracy == pytest.approx(0.9, abs=0.04)


def test_chance_of_bits_is_their_mean_entropy(tmp_path: Path, rng: np.random.Generator) -> None:
    y = (rng.random((3000, 2)) < [0.5, 0.1]).astype(int)
    chance = table(saved(tmp_path / "bits.npz", x=rng.normal(size=(3000, 4, 1)), y=y)).chance()
    entropies = [math.log(2), -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))]
    assert chance.loss == pytest.approx(sum(entropies) / 2, abs=0.03)


def test_a_target_among_the_present_inputs_leaves_nothing_to_remember(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.integers(0, 2, (300, 5, 2))
    with pytest.raises(ValueError, match=r"a model without memory answers .* already .* is the target an input of its"):
        table(saved(tmp_path / "leak.npz", x=x, y=x[:, -1, 0]))
    with pytest.raises(ValueError, match="a model without memory answers"):
        table(series(tmp_path), columns={"step": "day", "target": "load"}, window=5, ahead=0)


# Identity --------------------------------------------------------------------------------------------------------


def test_a_moved_file_is_the_same_trial_and_an_edited_file_another(tmp_path: Path, rng: np.random.Generator) -> None:
    path = long_table(tmp_path, rng)
    before = table(path, columns=LONG).digest()
    shutil.copy(path, tmp_path / "moved.csv")
    assert table(tmp_path / "moved.csv", columns=LONG).digest() == before
    path.write_text(path.read_text().replace("yes", "ill", 1))
    assert table(path, columns=LONG).digest() != before


def test_a_file_that_changes_during_a_run_is_an_error(tmp_path: Path, rng: np.random.Generator) -> None:
    """As in a worker process, which reads the file after the config was read."""
    from farback.tasks.support.data_sets import data_set

    path = coins(tmp_path, rng)
    task = pickle.loads(pickle.dumps(table(path)))
    coins(tmp_path, rng)
    data_set.cache_clear()
    with pytest.raises(UserError, match="has changed since the config was read"):
        task.sample(rng, 5)


def test_a_relative_path_starts_at_the_project(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    coins(tmp_path, rng)
    monkeypatch.setenv("FARBACK_PROJECT", str(tmp_path))
    monkeypatch.chdir("/")
    assert tasks.build({"name": "table", "file": "coins.npz"}).lag == 11


def test_sequences_with_different_numbers_of_answers_train_packed_as_alone(
    tmp_path: Path, rng: np.random.Generator, trial_of: Callable[..., Trial]
) -> None:
    """Ninety-nine in a hundred sequences have one answer, so that a few draws would not show the others."""
    y, mask = rng.integers(0, 2, (400, 5)), np.zeros((400, 5), dtype=bool)
    mask[:, -1] = True
    mask[::100, 2] = True
    path = saved(tmp_path / "few.npz", x=rng.normal(size=(400, 5, 1)), y=y, mask=mask)
    task = {"name": "table", "file": str(path)}
    trials = [trial_of(task=task, lag=4, seed=seed, steps=20, batch=40, measures=["retention"]) for seed in range(2)]
    packed = results(Cohort(tuple(trials)))
    for trial in trials:
        (alone,) = results(Cohort((trial,))).values()
        pd.testing.assert_frame_equal(packed[trial.key], alone)


def results(cohort: Cohort) -> dict[str, pd.DataFrame]:
    return {event.key: event.result.scores for event in train(cohort) if isinstance(event, Finished)}

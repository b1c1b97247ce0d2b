"""Scores of the tasks against published numbers and closed forms; answers against torch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate

from farback import tasks
from farback.tasks import Chance, OneOf, Within, skill
from farback.tasks.group import multiplication_table
from farback.trials.trial import Trial


def test_adding_a_constant_one_scores_one_sixth_and_one_number_one_twelfth() -> None:
    """The mean squared error is 1/6, not the 0.1767 in some papers."""
    ladder = tasks.build("adding").ladder()
    assert [rung.loss for rung in ladder] == pytest.approx([1 / 6, 1 / 12, 0.0])


def test_adding_with_the_scaling_of_hochreiter_and_schmidhuber() -> None:
    """The constant 1/2 has a mean squared error of 1/24 and is right with probability 0.1536."""
    task = tasks.build({"name": "adding", "numbers": "symmetric"})
    assert task.chance().loss == pytest.approx(1 / 24)
    assert task.chance().accuracy == pytest.approx(0.1536)


@pytest.mark.parametrize("tolerance", [0.04, 0.2])
def test_adding_chance_is_the_mass_of_the_sum_near_one(tolerance: float) -> None:
    mass = integrate.quad(lambda s: 1 - abs(s - 1), 1 - tolerance, 1 + tolerance, points=[1.0])[0]
    assert tasks.build({"name": "adding", "tolerance": tolerance}).chance().accuracy == pytest.approx(mass)


@pytest.mark.parametrize(
    ("delay", "loss"),
    [
        (10, 0.693147),
        (100, 0.173287),
        (200, 0.094520),
        (300, 0.064983),
        (500, 0.039989),
        (1000, 0.020387),
        (2000, 0.010294),
    ],
)
def test_copy_s_published_baseline(delay: int, loss: float) -> None:
    """The baseline is 10 ln 8 / (T + 20). The delay T of the papers is lag - length."""
    assert tasks.build({"name": "copy", "lag": delay + 10}).baseline().loss == pytest.approx(loss, abs=1e-6)


def test_copy_without_memory_is_right_at_nearly_all_steps_and_at_chance_at_the_recalled_ones() -> None:
    """The accuracy is 99.14 % over all steps at T = 1000, and 1/8 at the recalled ones."""
    task = tasks.build({"name": "copy", "lag": 1010})
    assert task.baseline().accuracy == pytest.approx(0.991422, abs=1e-6)
    assert task.chance() == Chance(1 / 8, math.log(8))


def test_copy_s_baseline_is_what_the_memoryless_answer_scores(rng: np.random.Generator) -> None:
    """The answer is blank at all steps before the recalled ones, and any of the symbols there; over all asked steps."""
    task = tasks.build("copy")
    batch = task.sample(rng, 5000)
    asked = batch.lag_BT >= 0
    p_BTK = np.zeros((*asked.shape, 9))
    p_BTK[:, :20, 0] = 1.0
    p_BTK[:, 20:, 1:] = 1 / 8
    p_BT = np.take_along_axis(p_BTK, batch.target_BT.numpy()[..., None], -1)[..., 0]
    assert asked.all()
    assert -np.log(p_BT).mean() == pytest.approx(task.baseline().loss)
    right_BT = (p_BTK + 1e-9 * rng.random(p_BTK.shape)).argmax(-1) == batch.target_BT.numpy()
    assert right_BT.mean() == pytest.approx(task.baseline().accuracy, abs=0.003)


def test_copy_has_the_layout_of_arjovsky(rng: np.random.Generator) -> None:
    """Symbols, T - 1 blanks, one marker, blanks: T + 2 * length steps (amarshah/complex_RNN)."""
    x_BTI, target_BT, _ = tasks.build({"name": "copy", "length": 3, "lag": 7}).sample(rng, 9)
    assert x_BTI.shape == (9, 4 + 2 * 3, 10)
    shown = x_BTI.argmax(2)
    assert (shown[:, 3:6] == 0).all()
    assert (shown[:, 6] == 9).all()
    assert (shown[:, 7:] == 0).all()
    assert torch.equal(target_BT[:, 7:], shown[:, :3])
    assert (target_BT[:, :7] == 0).all()


@pytest.mark.parametrize(("relevant", "stairs"), [(2, [0.25, 0.5, 1]), (3, [0.125, 0.25, 0.5, 1])])
def test_temporal_order_is_a_staircase(relevant: int, stairs: list[float]) -> None:
    """The last j of m symbols give accuracy 2 ** (j - m) and (m - j) ln 2 nats."""
    ladder = tasks.build({"name": "temporal_order", "relevant": relevant}).ladder()
    assert [rung.accuracy for rung in ladder] == stairs
    assert [rung.loss for rung in ladder] == pytest.approx([-math.log(stair) for stair in stairs])


@pytest.mark.parametrize("form", ["running", "window"])
def test_parity_is_a_cliff(form: str) -> None:
    """A model that misses one bit is right half of the time."""
    task = tasks.build({"name": "parity", "form": form})
    assert [(rung.accuracy, rung.loss) for rung in task.ladder()] == [(0.5, math.log(2)), (1.0, 0.0)]


@pytest.mark.parametrize("window", range(6))
def test_fewer_bits_do_not_predict_the_parity(window: int, rng: np.random.Generator) -> None:
    """Given the last `window` of 6 bits, both answers are equally likely in the data."""
    batch = tasks.build({"name": "parity", "lag": 5}).sample(rng, 40_000)
    bits = batch.input_BTI[:, 6 - window :, 1].numpy()
    context = bits @ (2 ** np.arange(window)) if window else np.zeros(40_000)
    answer = batch.target_BT[:, -1].numpy()
    for value in np.unique(context):
        rows = answer[context == value]
        assert rows.mean() == pytest.approx(0.5, abs=4.5 * 0.5 / math.sqrt(len(rows)))


@pytest.mark.parametrize(("alphabet", "chance"), [(16, 1 / 14), (10, 1 / 8), (4, 1 / 2)])
def test_selective_copy_guesses_among_the_symbols_that_are_copied(alphabet: int, chance: float) -> None:
    """Chance is 1 / (A - 2), not 1 / A: the blank and the marker are never the answer."""
    task = tasks.build({"name": "selective_copy", "alphabet": alphabet})
    assert task.chance().accuracy == pytest.approx(chance)
    assert task.chance().loss == pytest.approx(-math.log(chance))


def test_selective_copy_places_its_tokens_without_replacement_anywhere(rng: np.random.Generator) -> None:
    shown = tasks.build({"name": "selective_copy", "tokens": 3, "lag": 6}).sample(rng, 6000).input_BTI.argmax(2)
    token = (shown > 0) & (shown < 15)
    assert (token.sum(1) == 3).all()
    assert token[:, :6].double().mean(0).numpy() == pytest.approx(np.full(6, 0.5), abs=0.03)


@pytest.mark.parametrize("filler", ["noise", "counted", "blank", "same"])
def test_recall_s_cue_moves_when_the_length_is_fixed(filler: str, rng: np.random.Generator) -> None:
    lag_BT = tasks.build({"name": "recall", "filler": filler, "lag": 4, "length": 9}).sample(rng, 3000).lag_BT
    assert lag_BT.shape == (3000, 9)
    asked = (lag_BT >= 0).double().mean(0).numpy()
    assert asked == pytest.approx([0, 0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.2], abs=0.04)


def test_recall_s_noise_is_random_and_never_a_cue(rng: np.random.Generator) -> None:
    x_BTI = tasks.build({"name": "recall", "lag": 20}).sample(rng, 2000).input_BTI
    assert not x_BTI[:, 1:, :4].any()
    assert x_BTI[:, 1:, 4:8].double().mean((0, 1)).numpy() == pytest.approx(np.full(4, 0.25), abs=0.01)


def test_recall_with_counted_filler_has_the_two_sequences_of_hochreiter_and_schmidhuber(
    rng: np.random.Generator,
) -> None:
    """Their experiment 2a: x a1 a2 a3 a4 x and y a1 a2 a3 a4 y, whose only difference is the first symbol."""
    task = tasks.build({"name": "recall", "symbols": 2, "filler": "counted", "distractors": 4, "lag": 4})
    shown = task.sample(rng, 200).input_BTI[:, :, :-1].argmax(2)
    assert set(map(tuple, shown.tolist())) == {(0, 2, 3, 4, 5), (1, 2, 3, 4, 5)}


@pytest.mark.parametrize("lag", [9, 10, 50])
def test_a_length_without_room_for_the_lag_is_an_error(lag: int) -> None:
    with pytest.raises(ValueError, match=rf"length is 9, which leaves no room for a lag of {lag}"):
        tasks.build({"name": "recall", "lag": lag, "length": 9})
    with pytest.raises(ValueError, match="leaves no room"):
        Trial.model_validate({"task": {"name": "recall", "length": 9}, "lag": lag, "cell": "gru"})


def test_nback_asks_at_every_step_from_the_lag_on(rng: np.random.Generator) -> None:
    """So the state must hold all of the last k symbols."""
    lag_BT = tasks.build({"name": "nback", "lag": 6, "asked": 8}).sample(rng, 3).lag_BT
    assert lag_BT.tolist() == [[-1] * 6 + [6] * 8] * 3


def test_copy_s_tcn_variant_differs_in_its_markers_and_its_input(rng: np.random.Generator) -> None:
    """TCN's generator: symbols, T - 1 zeros, length + 1 nines, as one number; the answers are the same."""
    fields = {"name": "copy", "length": 3, "lag": 7}
    seed = int(rng.integers(2**31))
    tcn, plain = (
        tasks.build({**fields, "layout": layout}).sample(np.random.default_rng(seed), 9)
        for layout in ("tcn", "arjovsky")
    )
    assert tcn.input_BTI.shape == (9, 10, 1)
    assert (tcn.input_BTI[:, 6:, 0] == 9).all()
    assert (tcn.input_BTI[:, 3:6, 0] == 0).all()
    assert torch.equal(tcn.input_BTI[:, :3, 0].long(), plain.input_BTI[:, :3].argmax(2))
    assert torch.equal(tcn.target_BT, plain.target_BT)
    assert torch.equal(tcn.lag_BT, plain.lag_BT)


def test_the_default_layout_is_not_part_of_the_digest() -> None:
    """The field was added later, and results recorded before must still be found."""
    assert "layout" not in tasks.build("copy").digested()
    assert tasks.build({"name": "copy", "layout": "tcn"}).digest() != tasks.build("copy").digest()


def test_chance_of_multiplication_is_a_quarter() -> None:
    """The error is 7 / 144, and 1 / 36 with one number known; the accuracy is an integral of the product's density."""
    assert [rung.loss for rung in tasks.build("multiplication").ladder()] == pytest.approx([7 / 144, 1 / 36, 0])
    for tolerance in (0.04, 0.2, 0.5, 0.9):
        low, high = max(0.0, 0.25 - tolerance), min(1.0, 0.25 + tolerance)
        mass = integrate.quad(lambda z: -math.log(z), low, high)[0]
        assert tasks.build({"name": "multiplication", "tolerance": tolerance}).chance().accuracy == pytest.approx(mass)


@pytest.mark.parametrize(("write", "m", "accuracy"), [(0.1, 10, 0.825661), (0.25, 3, 1 - 0.5 * 0.75**3)])
def test_flipflop_with_a_short_memory(write: float, m: int, accuracy: float, rng: np.random.Generator) -> None:
    """The accuracy is 1 - 0.5 (1 - p) ** m: right if the last write is at most m steps back, else a coin flip."""
    lag_BT = tasks.build({"name": "flipflop", "write": write, "lag": 40}).sample(rng, 50_000).lag_BT
    near = (lag_BT[:, -1] <= m).double().mean().item()
    assert near + (1 - near) / 2 == pytest.approx(accuracy, abs=0.004)


def test_the_rungs_of_flipflop_equal_the_accuracy_with_a_short_memory() -> None:
    for rung in tasks.build({"name": "flipflop", "lag": 50, "write": 0.15}).ladder()[:-1]:
        assert rung.accuracy == pytest.approx(1 - 0.5 * 0.85**rung.amount)
        assert rung.loss == pytest.approx(math.log(2) * 0.85**rung.amount)


@pytest.mark.parametrize("symbols", [2, 5, 16])
def test_match_is_balanced_and_all_different_cues_are_equally_likely(symbols: int, rng: np.random.Generator) -> None:
    batch = tasks.build({"name": "match", "symbols": symbols, "lag": 3}).sample(rng, 40_000)
    same = batch.target_BT[:, 3].numpy()
    assert same.mean() == pytest.approx(0.5, abs=0.01)
    first, second = (batch.input_BTI[:, step, :symbols].argmax(1).numpy() for step in (0, 3))
    counts = np.bincount((second - first)[same == 0] % symbols, minlength=symbols)
    assert counts[0] == 0
    assert counts[1:] / counts.sum() == pytest.approx(1 / (symbols - 1), abs=0.015)


def test_assoc_asks_more_often_soon_than_late(rng: np.random.Generator) -> None:
    """The weight of the j-th possible step is j ** (a - 1)."""
    batch = tasks.build({"name": "assoc", "pairs": 1, "lag": 21, "power": 0.2}).sample(rng, 60_000)
    place = (batch.lag_BT >= 0).nonzero()[:, 1].numpy()
    at, count = np.unique(place, return_counts=True)
    assert at.tolist() == list(range(2, 23, 2))
    weight = np.arange(1, 12.0) ** (0.2 - 1)
    assert count / 60_000 == pytest.approx(weight / weight.sum(), abs=0.008)


@pytest.mark.parametrize(("pairs", "vocabulary"), [(4, 16), (3, 20), (8, 64)])
def test_assoc_without_the_keys_guesses_among_the_values_shown(pairs: int, vocabulary: int) -> None:
    """The accuracy is 2 / V without memory, and 1 / pairs with the set of values."""
    blind, values, *_ = tasks.build({"name": "assoc", "pairs": pairs, "vocabulary": vocabulary}).ladder()
    assert (blind.accuracy, blind.loss) == pytest.approx((2 / vocabulary, math.log(vocabulary / 2)))
    assert (values.accuracy, values.loss) == pytest.approx((1 / pairs, math.log(pairs)))


@pytest.mark.parametrize("vocabulary", [6, 7, 8])
def test_assoc_with_too_few_symbols_is_an_error(vocabulary: int) -> None:
    with pytest.raises(ValueError, match=f"4 pairs need an even vocabulary of at least 10, got {vocabulary}"):
        tasks.build({"name": "assoc", "vocabulary": vocabulary})


@pytest.mark.parametrize("signal", ["uniform", "normal"])
@pytest.mark.parametrize("tolerance", [0.1, 0.7])
def test_delay_s_chance_is_the_mass_near_zero(signal: str, tolerance: float, rng: np.random.Generator) -> None:
    task = tasks.build({"name": "delay", "signal": signal, "tolerance": tolerance, "asked": 100})
    value = task.sample(rng, 2000).target_BT[:, task.lag :].numpy().ravel()
    assert value.var() == pytest.approx(1.0, abs=0.02)
    assert (np.abs(value) < tolerance).mean() == pytest.approx(task.chance().accuracy, abs=0.005)


@pytest.mark.parametrize(
    ("fields", "weights"),
    [
        ({"shape": "exponential", "tau": 2.0}, lambda k: np.exp(-k / 2)),
        ({"shape": "exponential"}, lambda k: np.exp(-k / 3)),
        ({"shape": "power_law", "exponent": 0.7}, lambda k: (1 + k) ** -0.7),
        ({"shape": "shift"}, lambda k: 1.0 * (k == 12)),
        ({"shape": "two_bumps", "width": 1.5}, lambda k: np.exp(-((k - 3) ** 2) / 4.5) + np.exp(-((k - 9) ** 2) / 4.5)),
    ],
    ids=["exponential 2", "exponential", "power law", "shift", "two bumps"],
)
def test_the_kernels_have_the_documented_shapes(fields: dict[str, object], weights: object) -> None:
    task = tasks.build({"name": "kernel", "lag": 12, **fields})
    expected = weights(np.arange(13.0))  # type: ignore[operator]
    assert task.weights() == pytest.approx(expected / np.sqrt((expected**2).sum()))
    assert task.chance().loss == pytest.approx(1 - task.weights()[0] ** 2)
    assert [rung.loss for rung in task.ladder()] == pytest.approx(
        [(task.weights()[int(rung.amount) :] ** 2).sum() for rung in task.ladder()], abs=1e-12
    )


def test_a_kernel_of_the_present_input_alone_is_an_error() -> None:
    with pytest.raises(ValueError, match="weighs the present input only"):
        tasks.build({"name": "kernel", "tau": 0.01})


# Answers ---------------------------------------------------------------------------------------------------------


def test_scores_of_classes_equal_torch(rng: np.random.Generator) -> None:
    output = torch.from_numpy(rng.standard_normal((50, 7)))
    target = torch.from_numpy(rng.integers(7, size=50))
    expected = torch.nn.functional.cross_entropy(output, target, reduction="none")
    torch.testing.assert_close(OneOf(7).loss(output, target), expected)
    assert torch.equal(OneOf(7).correct(output, target), output.argmax(1) == target)
    torch.testing.assert_close(OneOf(7).loss(output.view(5, 10, 7), target.view(5, 10)), expected.view(5, 10))


def test_scores_of_real_answers_equal_torch(rng: np.random.Generator) -> None:
    output, target = torch.from_numpy(rng.standard_normal((50, 1))), torch.from_numpy(rng.standard_normal(50))
    expected = torch.nn.functional.mse_loss(output[:, 0], target, reduction="none")
    torch.testing.assert_close(Within(0.5).loss(output, target), expected)
    assert torch.equal(Within(0.5).correct(output, target), (output[:, 0] - target).abs() < 0.5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_non_finite_output_is_never_right(bad: float) -> None:
    output = torch.tensor([[bad, 0.0, 0.0], [5.0, bad, 0.0]])
    assert not OneOf(3).correct(output, torch.tensor([0, 0])).any()
    assert not Within(0.5).correct(torch.tensor([[bad]]), torch.tensor([0.0])).any()


def test_remembering_starts_halfway_between_chance_and_the_best() -> None:
    chance = Chance(0.25, math.log(4))
    assert OneOf(4).remembered(0.625, 9.9, chance)
    assert not OneOf(4).remembered(0.624, 0.0, chance)
    assert not OneOf(4).remembered(0.5, math.log(2), chance)  # one of two bits
    assert Within(0.1).remembered(0.0, 1 / 12, Chance(0.1, 1 / 6))
    assert not Within(0.1).remembered(1.0, 0.0834, Chance(0.1, 1 / 6))


def test_skill_is_zero_at_chance_one_when_perfect_and_negative_below() -> None:
    chance = Chance(0.25, 2.0)
    assert [skill(loss, chance) for loss in (2.0, 1.0, 0.0, 4.0)] == [0.0, 0.5, 1.0, -1.0]


@pytest.mark.parametrize("bits", [1, 3])
def test_hold_scores_b_bits_as_the_quantiser_that_scipy_integrates(bits: int) -> None:
    """The best 2^b-level quantiser of a uniform number: the centre of each cell, R2 = 1 - 4^-b."""
    task = tasks.build({"name": "hold", "tolerance": 0.05})
    half, cell = math.sqrt(3), 2 * math.sqrt(3) / 2**bits
    error = integrate.quad(
        lambda u: (u - cell * (math.floor(u / cell) + 0.5)) ** 2 / (2 * half), -half, half, limit=500
    )[0]
    assert task.ladder()[bits].loss == pytest.approx(error, rel=1e-6)
    assert task.ladder()[bits].amount == bits
    assert skill(task.ladder()[bits].loss, task.chance()) == pytest.approx(1 - 4.0**-bits)
    assert task.ladder()[bits].accuracy == pytest.approx(2 * 0.05 / cell)


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
def test_hold_shows_distractors_of_the_chosen_size(noise: float, rng: np.random.Generator) -> None:
    x_BTI = tasks.build({"name": "hold", "noise": noise, "lag": 20}).sample(rng, 2000).input_BTI
    assert float(x_BTI[:, 0, 0].std()) == pytest.approx(1.0, abs=0.05)
    assert float(x_BTI[:, 1:, 0].std()) == pytest.approx(noise, abs=0.02)
    assert x_BTI[..., 1:].sum((0, 1)).tolist() == [2000, 2000]


@pytest.mark.parametrize(("name", "order"), [("z12", 12), ("s3", 6), ("a4", 12), ("s4", 24), ("a5", 60), ("s5", 120)])
def test_the_tables_of_group_are_groups(name: str, order: int) -> None:
    """Associative, with an identity and inverses; the order is known, and so is whether the group is commutative."""
    table = multiplication_table(name)
    every = np.arange(order)
    assert table.shape == (order, order)
    assert (table[table] == table[every[:, None, None], table]).all()  # (a b) c == a (b c)
    assert (table[0] == every).all()
    assert (np.sort(table, axis=1) == every).all()
    assert (table == table.T).all() == (name == "z12")
    task = tasks.build({"name": "group", "group": name})
    assert task.chance() == Chance(1 / order, math.log(order))


@pytest.mark.parametrize(("name", "solvable"), [("s3", True), ("s4", True), ("a5", False), ("s5", False)])
def test_only_the_larger_permutation_groups_are_not_solvable(name: str, solvable: bool) -> None:
    """Commutator subgroups in turn: they end in the identity alone, or in a5."""
    table = multiplication_table(name)
    inverse = (table == 0).argmax(1)
    left = np.arange(len(table))
    while True:
        a, b = left[:, None], left[None, :]
        found = np.unique(table[table[table[inverse[a], inverse[b]], a], b])
        while len(found) < len(grown := np.unique(table[found[:, None], found])):
            found = grown
        if len(found) == len(left):
            break
        left = found
    assert len(left) == (1 if solvable else 60)


@pytest.mark.parametrize("name", ["s2", "a6", "z1", "z121", "dihedral"])
def test_a_group_that_is_not_known_is_an_error_that_names_the_choices(name: str) -> None:
    with pytest.raises(ValueError, match=f"group is '{name}'; choose from z2 to z120"):
        tasks.build({"name": "group", "group": name})

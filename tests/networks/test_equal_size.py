"""Networks of equal size: the chosen hidden size, the counts, and that the budget is not part of a trial's key."""

from __future__ import annotations

import itertools
import json
import math
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from farback import cells, encoders, inits
from farback.cells.base import Cell
from farback.cells.support.matrix_state import MatrixStateCell
from farback.encoders.base import Encoder
from farback.networks.equal_size import LARGEST_HIDDEN, MatchError, SizeMatch
from farback.networks.network import Architecture, Network, draw
from farback.report import groups
from farback.stores import run_metadata
from farback.stores.memory import Memory
from farback.trials.events import Finished, TrialResult, scores
from farback.trials.trial import Trial

KINDS = ("parameters", "state", "flops")
GOOD: dict[str, Any] = {"task": "recall", "lag": 5, "cell": "lstm"}


def trial(**fields: Any) -> Trial:
    return Trial.model_validate({**GOOD, **fields})


def possible(architecture: Architecture) -> bool:
    try:
        for place in architecture.layers():
            architecture.cell.check(architecture.hidden, place.inputs)
    except ValueError:
        return False
    return True


def two_sizes(network: Architecture, smallest: int) -> list[int]:
    """The first two hidden sizes from the smallest one on that the cell supports; none if it supports none up to 40."""
    sizes = (hidden for hidden in range(smallest, 41) if possible(replace(network, hidden=hidden)))
    return list(itertools.islice(sizes, 2))


def networks(cell: Cell) -> Iterator[Architecture]:
    """Several architectures with the cell, except those for which it supports no hidden size.

    A module is made and run at every size that is tried: it gets only the last architecture, which has the most kinds
    of layers.
    """
    forms = [(1, True, False, False), (3, False, False, True), (2, True, True, False)]
    for depth, bias, bidirectional, learned in forms[-1:] if cell.draws_itself else forms:
        network = Architecture(cell, 4, 1, 3, depth, bias, bidirectional, learned)
        if two_sizes(network, 1):
            yield network


# The chosen size -------------------------------------------------------------------------------------------------


def test_the_count_is_within_the_budget_and_the_next_size_exceeds_it(every_cell: Cell) -> None:
    for network in networks(every_cell):
        sizes = [*two_sizes(network, 1), *two_sizes(network, 9)]
        every_count = [replace(network, hidden=hidden).counts for hidden in sizes]
        for kind in KINDS:
            counts = [count[kind] for count in every_count]
            assert counts == sorted(set(counts))  # bisection needs increasing counts
            for size, budget in ((sizes[0], counts[0]), (sizes[2], counts[3] - 1)):
                assert SizeMatch.model_validate({kind: budget}).hidden(network) == size
            if counts[0] > 1:
                message = rf"{counts[0] - 1} .* too small: .*\(hidden {sizes[0]}\) has {counts[0]}$"
                with pytest.raises(MatchError, match=message):
                    SizeMatch.model_validate({kind: counts[0] - 1}).hidden(network)


def test_counts_increase_up_to_the_largest_hidden_size(every_cell: Cell) -> None:
    for network in networks(every_cell):
        every_count = [replace(network, hidden=hidden).counts for hidden in (25, 1000, LARGEST_HIDDEN)]
        for kind in KINDS:
            counts = [count[kind] for count in every_count]
            assert counts == sorted(set(counts))


def test_a_budget_above_the_largest_size_is_an_error() -> None:
    network = Architecture(cells.build("gru"), 4, 1, 3)
    assert SizeMatch(state=LARGEST_HIDDEN - 1).hidden(network) == LARGEST_HIDDEN - 1
    with pytest.raises(MatchError, match=r"too large: GRU .* 8192, has 8192"):
        SizeMatch(state=LARGEST_HIDDEN).hidden(network)


def test_a_cell_that_supports_only_some_sizes_gets_one_of_them() -> None:
    network = Architecture(cells.build("shift_register"), 9, 1, 4)
    assert [SizeMatch(state=budget).hidden(network) for budget in (9, 17, 18, 100)] == [9, 9, 18, 99]
    with pytest.raises(MatchError, match=r"too small: .*\(hidden 9\) has 9"):
        SizeMatch(state=8).hidden(network)
    with pytest.raises(MatchError, match="no hidden size up to 8192 suits"):  # the upper layer reads both directions
        SizeMatch(state=100).hidden(replace(network, depth=2, bidirectional=True))


# Counts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "module", "hidden", "parameters"),
    [
        ("elman", nn.RNN, 128, 16_896),
        ("lstm", nn.LSTM, 64, 17_408),
        ("gru", nn.GRU, 74, 17_316),
    ],
)
def test_published_counts_at_two_inputs_equal_those_of_torch(
    cell: str, module: Callable[..., nn.Module], hidden: int, parameters: int
) -> None:
    network = Architecture(cells.build(cell), 2, hidden, 0)
    assert network.parameter_count == parameters == sum(p.numel() for p in module(2, hidden).parameters())
    gates = {"elman": 1, "lstm": 4, "gru": 3}[cell]
    assert parameters == gates * (hidden * (hidden + 2) + 2 * hidden)
    assert network.state_count == hidden * (2 if cell == "lstm" else 1)


@pytest.mark.parametrize(("cell", "module"), [("elman", nn.RNNCell), ("lstm", nn.LSTMCell), ("gru", nn.GRUCell)])
@pytest.mark.parametrize(("inputs", "hidden", "depth", "outputs"), [(2, 7, 1, 0), (5, 16, 3, 4)])
def test_flops_per_step_equal_those_counted_by_torch(
    cell: str, module: Callable[..., nn.Module], inputs: int, hidden: int, depth: int, outputs: int
) -> None:
    """One step of one sequence through torch's cells and readout."""
    layers = [module(inputs if layer == 0 else hidden, hidden) for layer in range(depth)]
    with FlopCounterMode(display=False) as counter:
        x = torch.zeros(1, inputs)
        for layer in layers:
            x = layer(x)
            x = x[0] if isinstance(x, tuple) else x
        if outputs:
            nn.Linear(hidden, outputs)(x)
    network = Architecture(cells.build(cell), inputs, hidden, outputs, depth)
    assert network.flops_per_step == counter.get_total_flops()
    both = replace(network, bidirectional=True)
    upper = (depth - 1) * len(network.cell.gates) * 2 * hidden * hidden  # upper layers read both directions
    assert both.flops_per_step == 2 * (network.flops_per_step + upper)


# Elementwise multiplications by parameters, per unit: u; w_c and w_a; lambda (four) and exp(gamma) (two); D; alpha.
# With several numbers of state per unit also products with gates: for each mode a (4), b (2) and c (2); A, a, B and C.
ELEMENTWISE = {
    "indrnn": 1,
    "brc": 2,
    "lru": 6,
    "mamba2": 1,
    "bmru": 1,
    "rg_lru": 1,
    "s5": 8,
    "linoss": 8,
    "d_linoss": 8,
}
ELEMENTWISE |= {"s4d": 8 * 32 + 1, "mamba": 4 * 16 + 1, "m2rnn": 4 * 16}


def test_flops_of_every_cell_equal_its_matrix_products(every_cell: Cell) -> None:
    """One step of one sequence on torch's meta device, which counts the operations without computing them."""
    for network in networks(every_cell):
        network = next(n for hidden in (5, 8) if possible(n := replace(network, hidden=hidden)))
        drawn = draw(network, [inits.build("torch")], [0], lag=5).parameters
        empty = Network(network, {name: value.to("meta") for name, value in drawn.items()})
        x_RTBI = torch.zeros(1, 1, 1, network.inputs, device="meta")
        empty.run(x_RTBI)  # at its first run a module is tried out on further sequences, which are not counted
        with FlopCounterMode(display=False) as counter:
            empty.readout(empty.run(x_RTBI)[0][:, 0])
        layers = network.depth * network.directions
        elementwise = 2 * ELEMENTWISE.get(every_cell.name, 0) * network.hidden * layers
        if isinstance(every_cell, MatrixStateCell) and every_cell.decays:  # one multiplication for each entry of S
            elementwise += layers * every_cell.heads * math.prod(every_cell.matrix(network.hidden))
        assert network.flops_per_step == counter.get_total_flops() + elementwise


@pytest.mark.parametrize("state", ["pixel", "map"])
def test_flops_of_a_convolution_equal_those_counted_by_torch(state: str) -> None:
    """Cells and readout count once per pixel if every pixel has its own state."""
    grid, hidden, channels = 4, 6, 5
    encoder = encoders.build({"name": "conv", "channels": channels, "kernel": 3, "state": state})
    sites = grid**2 if state == "pixel" else 1
    network = Architecture(cells.build("gru"), grid**2, hidden, grid**2, encoder=encoder)
    features = channels if state == "pixel" else channels * grid**2
    with FlopCounterMode(display=False) as counter:
        nn.Conv2d(1, channels, 3, padding=1, padding_mode="circular")(torch.zeros(1, 1, grid, grid))
        for _ in range(sites):
            nn.Linear(hidden, grid**2 // sites)(nn.GRUCell(features, hidden)(torch.zeros(1, features)))
    assert network.flops_per_step == counter.get_total_flops()
    assert network.state_count == hidden * sites


def test_an_encoder_is_counted() -> None:
    class Widening(Encoder):
        def parameters(self, inputs: int) -> dict[str, tuple[int, ...]]:
            return {"weight": (10, inputs), "bias": (10,)}

        def width(self, inputs: int) -> int:
            return 10

        def encode(self, p: Any, x_RTBI: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError

    plain = Architecture(cells.build("elman"), 4, 6, 3)
    widened = replace(plain, encoder=Widening())
    assert widened.parameter_count - plain.parameter_count == 10 * 4 + 10 + 6 * (10 - 4)
    assert widened.flops_per_step - plain.flops_per_step == 2 * (10 * 4 + 6 * (10 - 4))
    budget = widened.parameter_count
    assert SizeMatch(parameters=budget).hidden(widened) == 6


# Identity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("match", [{"parameters": 5000}, {"state": 64}, {"flops": 20_000}], ids=str)
def test_the_budget_is_not_part_of_the_identity(match: dict[str, int]) -> None:
    matched = trial(match=match)
    plain = trial(hidden=matched.hidden)
    assert matched.hidden != trial().hidden or match == {"state": 64}
    assert (matched.key, matched.shape, matched.group) == (plain.key, plain.shape, plain.group)
    assert matched == plain
    assert len({matched, plain}) == 1
    assert matched.key != trial(hidden=matched.hidden + 1).key


def test_a_matched_trial_keeps_its_size_when_copied() -> None:
    matched = trial(match={"parameters": 5000}, depth=2)
    for copied in (
        pickle.loads(pickle.dumps(matched)),
        Trial.model_validate(json.loads(matched.model_dump_json())),
        Trial.model_validate({**dict(matched)}),
    ):
        assert copied.hidden == matched.hidden
        assert copied.match == matched.match
        assert copied.key == matched.key


def test_a_hidden_size_that_contradicts_the_match_is_an_error() -> None:
    with pytest.raises(ValidationError, match=r"hidden is 8 but match \(parameters 5000\) chooses 29"):
        trial(hidden=8, match={"parameters": 5000})


def test_the_budget_includes_every_part_of_the_network() -> None:
    """Each of these fields adds parameters, so the same budget allows fewer units."""
    budget = {"match": {"parameters": trial(hidden=64).architecture.parameter_count}}
    plain = trial(**budget).hidden
    assert plain == 64
    for field in (
        {"task": {"name": "recall", "symbols": 30}},
        {"depth": 2},
        {"bidirectional": True},
        {"initial_state": "learned"},
    ):
        assert trial(**budget, **field).hidden < plain
    bare = trial(hidden=64, bias=False).architecture.parameter_count
    assert trial(match={"parameters": bare}, bias=False).hidden == 64
    assert trial(match={"parameters": bare}).hidden < 64


# Records -----------------------------------------------------------------------------------------------


def test_sizes_of_every_trial_are_logged() -> None:
    matched, plain = trial(match={"state": 64}), trial(hidden=8)
    for one in (matched, plain):
        counts = one.architecture.counts
        assert {name: one.columns()[name] for name in KINDS} == counts
        assert {name: run_metadata.parameters(one)[name] for name in KINDS} == {n: str(c) for n, c in counts.items()}
    assert matched.columns()["match"] == run_metadata.parameters(matched)["match"] == "state 64"
    assert "match" not in plain.columns()
    assert "match" not in run_metadata.parameters(plain)


def frame_of(*trials: Trial, without: tuple[str, ...] = ()) -> Any:
    store = Memory()
    with store.begin("sizes", trials) as recorder:
        for one in trials:
            rows = [("retention", 6, one.lag, "skill", 1.0), ("retention", 6, one.lag, "accuracy", 1.0)]
            rows.append(("retention", 6, one.lag, "chance_accuracy", 0.25))
            recorder.put(Finished(TrialResult(one.key, scores(rows), "finished")))
    return store.frame("sizes").drop(columns=list(without))


def test_sizes_define_no_groups() -> None:
    """Neither does a hidden size chosen by a budget, as it follows from the network and the budget."""
    plain = [trial(cell=cell, hidden=8) for cell in ("lstm", "gru", "elman")]
    assert groups(frame_of(*plain)) == ["label"]
    assert groups(frame_of(*plain, *(trial(cell=cell, hidden=9) for cell in ("lstm", "gru")))) == ["label", "hidden"]
    matched = [trial(cell=cell, match={"parameters": 999}) for cell in ("lstm", "gru", "elman")]
    assert groups(frame_of(*matched)) == ["label"]
    wider = [trial(cell=cell, match={"parameters": 1999}) for cell in ("lstm", "gru", "elman")]
    assert groups(frame_of(*matched, *wider)) == ["label", "match"]

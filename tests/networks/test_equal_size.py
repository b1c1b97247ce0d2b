"""Matching: the hidden size that a budget allows, what is counted, and that the way to a size is not part of a key."""

from __future__ import annotations

import json
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
from farback.encoders.base import Encoder
from farback.networks.equal_size import LARGEST_HIDDEN, Match, MatchError
from farback.networks.network import Architecture, Network, draw
from farback.report import groups
from farback.stores import run_tags
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


def networks(cell: Cell) -> Iterator[Architecture]:
    """Shapes of a network around the cell, those that some size of it can have."""
    for depth, bias, both, learned in ((1, True, False, False), (3, False, False, True), (2, True, True, False)):
        network = Architecture(cell, 4, 1, 3, depth, bias, both, learned)
        if any(possible(replace(network, hidden=hidden)) for hidden in range(1, 65)):
            yield network


# The chosen size -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_count_keeps_to_the_budget_and_the_next_size_up_does_not(every_cell: Cell, kind: str) -> None:
    tried = 0
    for network in networks(every_cell):
        sizes = [hidden for hidden in range(1, 65) if possible(replace(network, hidden=hidden))]
        counts = [replace(network, hidden=hidden).counts[kind] for hidden in sizes]
        for index in range(len(sizes) - 1):
            budgets = {counts[index], counts[index] + 1, counts[index + 1] - 1}
            for budget in budgets:
                if counts[index] <= budget < counts[index + 1] and budget > 0:
                    assert Match.model_validate({kind: budget}).hidden(network) == sizes[index]
                    tried += 1
    assert tried


@pytest.mark.parametrize("kind", KINDS)
def test_counts_grow_with_the_hidden_size(every_cell: Cell, kind: str) -> None:
    """What finding a size by halving rests on."""
    for network in networks(every_cell):
        counts = [replace(network, hidden=hidden).counts[kind] for hidden in (*range(1, 40), 100, 1000, LARGEST_HIDDEN)]
        assert counts == sorted(counts)
        assert counts[0] < counts[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_impossible_budget_names_the_smallest_possible_count(every_cell: Cell, kind: str) -> None:
    for network in networks(every_cell):
        smallest = next(hidden for hidden in range(1, 65) if possible(replace(network, hidden=hidden)))
        least = replace(network, hidden=smallest).counts[kind]
        if least > 1:
            with pytest.raises(MatchError, match=rf"{least - 1} .* too small: .*\(hidden {smallest}\) has {least}$"):
                Match.model_validate({kind: least - 1}).hidden(network)


def test_a_budget_that_no_size_exhausts_is_refused() -> None:
    network = Architecture(cells.build("gru"), 4, 1, 3)
    assert Match(state=LARGEST_HIDDEN - 1).hidden(network) == LARGEST_HIDDEN - 1
    with pytest.raises(MatchError, match=r"too large: GRU .* 8192, has 8192"):
        Match(state=LARGEST_HIDDEN).hidden(network)


def test_a_cell_that_can_have_some_sizes_only_gets_one_of_them() -> None:
    network = Architecture(cells.build("shift_register"), 9, 1, 4)
    assert [Match(state=budget).hidden(network) for budget in (9, 17, 18, 100)] == [9, 9, 18, 99]
    with pytest.raises(MatchError, match=r"too small: .*\(hidden 9\) has 9"):
        Match(state=8).hidden(network)
    with pytest.raises(MatchError, match="no hidden size up to 8192 suits"):  # the upper layer sees both directions
        Match(state=100).hidden(replace(network, depth=2, bidirectional=True))


# What is counted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "module", "hidden", "parameters"),
    [
        ("elman", nn.RNN, 128, 16_896),
        ("lstm", nn.LSTM, 64, 17_408),
        ("gru", nn.GRU, 74, 17_316),
    ],
)
def test_published_counts_at_two_inputs_are_those_of_torch(
    cell: str, module: Callable[..., nn.Module], hidden: int, parameters: int
) -> None:
    network = Architecture(cells.build(cell), 2, hidden, 0)
    assert network.parameter_count == parameters == sum(p.numel() for p in module(2, hidden).parameters())
    gates = {"elman": 1, "lstm": 4, "gru": 3}[cell]
    assert parameters == gates * (hidden * (hidden + 2) + 2 * hidden)
    assert network.state_count == hidden * (2 if cell == "lstm" else 1)


@pytest.mark.parametrize(("cell", "module"), [("elman", nn.RNNCell), ("lstm", nn.LSTMCell), ("gru", nn.GRUCell)])
@pytest.mark.parametrize(("inputs", "hidden", "depth", "outputs"), [(2, 7, 1, 0), (5, 16, 3, 4)])
def test_flops_per_step_are_those_that_torch_counts(
    cell: str, module: Callable[..., nn.Module], inputs: int, hidden: int, depth: int, outputs: int
) -> None:
    """One step of one sequence through torch's own cells and readout, counted by torch."""
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
    upper = (depth - 1) * len(network.cell.gates) * 2 * hidden * hidden  # layers above see both directions
    assert both.flops_per_step == 2 * (network.flops_per_step + upper)


# Multiplications by parameters that are no matrices, by hand: u; w_c and w_a; lambda, four, and exp(gamma), two.
ELEMENTWISE = {"indrnn": 1, "brc": 2, "lru": 6}


def test_flops_of_every_cell_are_those_of_its_matrix_products(every_cell: Cell) -> None:
    """One step of one sequence through the network, without numbers: torch counts what each product would take."""
    for network in networks(every_cell):
        network = next(n for hidden in (5, 8) if possible(n := replace(network, hidden=hidden)))
        drawn = draw(network, [inits.build("torch")], [0], lag=5).parameters
        empty = Network(network, {name: value.to("meta") for name, value in drawn.items()})
        with FlopCounterMode(display=False) as counter:
            empty.readout(empty.run(torch.zeros(1, 1, 1, network.inputs, device="meta"))[0][:, 0])
        layers = network.depth * network.directions
        elementwise = 2 * ELEMENTWISE.get(every_cell.name, 0) * network.hidden * layers
        assert network.flops_per_step == counter.get_total_flops() + elementwise


@pytest.mark.parametrize("state", ["pixel", "map"])
def test_flops_of_a_convolution_are_those_of_torch(state: str) -> None:
    """A net per pixel counts at every pixel; the decoder too."""
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


def test_an_encoder_counts_before_the_cell() -> None:
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
    assert Match(parameters=budget).hidden(widened) == 6


# Identity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("match", [{"parameters": 5000}, {"state": 64}, {"flops": 20_000}], ids=str)
def test_the_way_to_a_size_is_not_part_of_the_identity(match: dict[str, int]) -> None:
    matched = trial(match=match)
    plain = trial(hidden=matched.hidden)
    assert matched.hidden != trial().hidden or match == {"state": 64}
    assert (matched.key, matched.shape, matched.group) == (plain.key, plain.shape, plain.group)
    assert matched == plain
    assert len({matched, plain}) == 1
    assert matched.key != trial(hidden=matched.hidden + 1).key


def test_a_matched_trial_keeps_its_size_wherever_it_goes() -> None:
    matched = trial(match={"parameters": 5000}, depth=2)
    for again in (
        pickle.loads(pickle.dumps(matched)),
        Trial.model_validate(json.loads(matched.model_dump_json())),
        Trial.model_validate({**dict(matched)}),
    ):
        assert again.hidden == matched.hidden
        assert again.match == matched.match
        assert again.key == matched.key


def test_a_size_that_the_match_contradicts_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"hidden is 8 and match \(parameters 5000\) comes to 29"):
        trial(hidden=8, match={"parameters": 5000})


def test_the_size_is_chosen_for_everything_that_the_network_has() -> None:
    """Each of these costs parameters, so that the same budget leaves fewer units."""
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


# Where people look -----------------------------------------------------------------------------------------------


def test_sizes_of_every_trial_are_logged_and_in_the_frame() -> None:
    matched, plain = trial(match={"state": 64}), trial(hidden=8)
    for one in (matched, plain):
        counts = one.architecture.counts
        assert {name: one.columns()[name] for name in KINDS} == counts
        assert {name: run_tags.parameters(one)[name] for name in KINDS} == {n: str(c) for n, c in counts.items()}
    assert matched.columns()["match"] == run_tags.parameters(matched)["match"] == "state 64"
    assert "match" not in plain.columns()
    assert "match" not in run_tags.parameters(plain)


def frame_of(*trials: Trial, without: tuple[str, ...] = ()) -> Any:
    store = Memory()
    with store.begin("sizes", trials) as recorder:
        for one in trials:
            rows = [("retention", 6, one.lag, "skill", 1.0), ("retention", 6, one.lag, "accuracy", 1.0)]
            rows.append(("retention", 6, one.lag, "chance_accuracy", 0.25))
            recorder.put(Finished(TrialResult(one.key, scores(rows), "finished")))
    return store.frame("sizes").drop(columns=list(without))


def test_sizes_make_no_groups_of_their_own() -> None:
    """Nor does a hidden size that was chosen, for it follows from the network and the budget."""
    plain = [trial(cell=cell, hidden=8) for cell in ("lstm", "gru", "elman")]
    assert groups(frame_of(*plain)) == ["label"]
    assert groups(frame_of(*plain, *(trial(cell=cell, hidden=9) for cell in ("lstm", "gru")))) == ["label", "hidden"]
    matched = [trial(cell=cell, match={"parameters": 999}) for cell in ("lstm", "gru", "elman")]
    assert groups(frame_of(*matched)) == ["label"]
    wider = [trial(cell=cell, match={"parameters": 1999}) for cell in ("lstm", "gru", "elman")]
    assert groups(frame_of(*matched, *wider)) == ["label", "match"]

"""Laws of every cell, through `Network.run` and the kernels: a new file in `farback/cells` is tested automatically."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from farback import inits
from farback.cells import Cell, SteppedCell
from farback.kernels.unroll import unroll
from farback.networks.network import Architecture, Network, NetworkState, draw

TORCH = inits.build("torch")
SIZES = [(1, 1), (3, 1), (17, 17)]  # hidden, inputs: the smallest, and two that are no multiple of a vector's width
CLOSE = {torch.float32: {"rtol": 1e-4, "atol": 1e-5}, torch.float64: {"rtol": 1e-9, "atol": 1e-11}}


def close(cell: Cell, dtype: torch.dtype) -> dict[str, float]:
    """The tolerance between an output and the same from the last state: none if it is a part of that state."""
    is_part = isinstance(cell, SteppedCell) and type(cell).output is Cell.output
    return {"rtol": 0, "atol": 0} if is_part else CLOSE[dtype]


def possible(architecture: Architecture) -> bool:
    try:
        architecture.check(TORCH)
    except ValueError:
        return False
    return True


def architectures(
    cell: Cell, depths: tuple[int, ...] = (1, 2), directions: tuple[bool, ...] = (False,)
) -> Iterator[Architecture]:
    """Architectures that the cell can have, with every pair of size, depth, direction and use of biases at least once.

    Those without biases have a learned initial state.
    """
    made = []
    for index, (hidden, inputs) in enumerate(SIZES):
        for depth, both in itertools.product(depths, directions):
            if len(depths) * len(directions) == 1 or (index + depths.index(depth) + directions.index(both)) % 2 == 0:
                bias = (depth == depths[0]) == (index < 2)
                made.append(Architecture(cell, inputs, hidden, 2, depth, bias, both, learned_state=not bias))
    good = [architecture for architecture in made if possible(architecture)]
    assert good, f"{cell.label()} fits none of the sizes {SIZES}"
    yield from good


def network_of(architecture: Architecture, replicas: int = 1, dtype: torch.dtype = torch.float32) -> Network:
    """Replicas with noise on every parameter, initial states too, and with gradients required."""
    network = draw(architecture, [TORCH] * replicas, range(replicas), lag=5, dtype=dtype)
    generator = torch.Generator().manual_seed(7)
    return Network(
        architecture,
        {
            name: (value + 0.3 * torch.randn(value.shape, generator=generator, dtype=dtype)).requires_grad_()
            for name, value in network.parameters.items()
        },
    )


def sequences(network: Network, steps: int, batch: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    shape = (network.replicas, steps, batch, network.architecture.inputs)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gradients(outputs: Tensor, over: list[Tensor]) -> list[Tensor]:
    """Gradients of a sum that weights every output differently."""
    weight = torch.cos(torch.arange(outputs[0].numel(), dtype=outputs.dtype)).view(outputs.shape[1:])
    grads = torch.autograd.grad((outputs * weight).sum(), over, allow_unused=True, materialize_grads=True)
    return list(grads)


def parts(state: NetworkState) -> list[Tensor]:
    return [part for layer in state for part in layer]


# Step by step ----------------------------------------------------------------------------------------------------


AMPLIFYING = {"cfc"}  # its 128 inner units with these weights: rounding errors of the gradients grow to 4e-5 of them


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_unrolled_equals_step_by_step(every_cell: Cell, dtype: torch.dtype) -> None:
    """The kernel behind `unroll`, and the cell's own `unroll`: outputs, last state, and gradients of everything."""
    for architecture in architectures(every_cell, depths=(1,)):
        network = network_of(architecture, 2, dtype)
        place = next(architecture.layers())
        p = {name: network.parameters[name + place.suffix] for name in architecture.cell_shapes(place)}
        like, generator = torch.zeros(2, 3, architecture.hidden, dtype=dtype), torch.Generator().manual_seed(1)
        cell = every_cell.sized(architecture.inputs, architecture.hidden)
        start = tuple(
            (0.5 * torch.randn(part.shape, dtype=dtype, generator=generator) + part).requires_grad_()
            for part in cell.initial(like, architecture.inputs)
        )
        gates = cell.project(p, sequences(network, 6, 3, dtype)).detach().requires_grad_()
        state, outputs = start, []
        for t in range(6):
            state = cell.step(p, gates[:, t], state)
            outputs.append(cell.output(p, gates[:, t], state))
        expected, over = torch.stack(outputs, 1), [gates, *start, *p.values()]
        amplified = every_cell.name in AMPLIFYING and dtype is torch.float32
        tolerance = {"rtol": 1e-3, "atol": 2e-3} if amplified else CLOSE[dtype]
        expected_gradients = gradients(expected, over)
        for run in (unroll, lambda cell, *rest: cell.unroll(*rest)):
            found, last = run(cell, p, gates, start)
            assert_close(found, expected, **CLOSE[dtype])
            for a, b in zip(last, state, strict=True):
                assert_close(a, b, **CLOSE[dtype])
            assert_close(cell.output(p, gates[:, -1], last), found[:, -1], **close(every_cell, dtype))
            assert_close(gradients(found, over), expected_gradients, **tolerance)


def test_every_shipped_cell_with_a_step_has_a_kernel_that_can_be_compiled_ahead(every_cell: Cell) -> None:
    if every_cell.kernel is None:
        is_shipped = type(every_cell).__module__.startswith("farback.cells.")
        assert not (is_shipped and isinstance(every_cell, SteppedCell)), "it is computed step by step"
    else:
        every_cell.kernel.compile(torch.float32)


def test_the_gradient_through_the_last_state_is_that_of_the_steps(every_cell: Cell) -> None:
    architecture = next(architectures(every_cell, depths=(1,)))
    network = network_of(architecture, 2, torch.float64)
    x = sequences(network, 5, 2, torch.float64).requires_grad_()
    place = next(architecture.layers())
    p = {name: network.parameters[name + place.suffix] for name in architecture.cell_shapes(place)}
    cell = every_cell.sized(architecture.inputs, architecture.hidden)
    state = cell.initial(torch.zeros(2, 2, architecture.hidden, dtype=torch.float64), architecture.inputs)
    gates = cell.project(p, x)
    stepped = state
    for t in range(5):
        stepped = cell.step(p, gates[:, t], stepped)
    last = unroll(cell, p, gates, state)[1]
    found, expected = (torch.stack([part.sum() * (i + 1) for i, part in enumerate(s)]).sum() for s in (last, stepped))
    assert_close(
        torch.autograd.grad(found, x, retain_graph=True), torch.autograd.grad(expected, x), rtol=1e-9, atol=1e-12
    )


# Law 3: splits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 3])
def test_any_split_with_carried_state_gives_the_same_outputs(every_cell: Cell, depth: int) -> None:
    for architecture in architectures(every_cell, depths=(depth,)):
        network = network_of(architecture, 2, torch.float64)
        x = sequences(network, 7, 2, torch.float64)
        whole, last = network.run(x)
        for cut in (1, 4):
            first, carried = network.run(x[:, :cut])
            second, end = network.run(x[:, cut:], carried)
            assert_close(torch.cat([first, second], 1), whole, rtol=1e-10, atol=1e-12)
            for a, b in zip(parts(end), parts(last), strict=True):
                assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_a_sequence_fed_one_step_at_a_time_gives_the_same_outputs(every_cell: Cell) -> None:
    for architecture in architectures(every_cell):
        network = network_of(architecture)
        x = sequences(network, 6, 2)
        state, outputs = None, []
        for t in range(6):
            output, state = network.run(x[:, t : t + 1], state)
            outputs.append(output)
        assert_close(torch.cat(outputs, 1), network.run(x)[0], **CLOSE[torch.float32])


# Law 2: replicas never meet --------------------------------------------------------------------------------------


def test_replicas_never_meet(every_cell: Cell) -> None:
    """The gradient of one replica's outputs with respect to another's parameters and inputs is exactly zero."""
    reached = 0
    for architecture in architectures(every_cell, directions=(False, True)):
        network = network_of(architecture, 3)
        x = sequences(network, 4, 2).requires_grad_()
        outputs = network.run(x)[0]
        over = [x, *network.parameters.values()]
        for r in range(3):
            grads = torch.autograd.grad(outputs[r].square().sum(), over, retain_graph=True, allow_unused=True)
            for grad in grads:
                if grad is not None:
                    assert not grad[[other for other in range(3) if other != r]].any()
            assert grads[0] is not None
            reached += bool(grads[0][r].any())
    assert reached


def test_nan_in_one_replica_does_not_change_the_others(every_cell: Cell) -> None:
    architecture = next(architectures(every_cell))
    network = network_of(architecture, 3)
    x = sequences(network, 4, 2)
    spoilt = {name: value.detach().clone() for name, value in network.parameters.items()}
    for value in spoilt.values():
        value[1] = torch.nan
    x_spoilt = x.clone()
    x_spoilt[1] = torch.nan
    good, bad = network.run(x)[0], Network(architecture, spoilt).run(x_spoilt)[0]
    assert torch.equal(good[[0, 2]], bad[[0, 2]])
    assert torch.isnan(bad[1]).any()


# Law 1: packed equals alone --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (5, 3)])
def test_packed_equals_alone_bit_for_bit(every_cell: Cell, steps: int, batch: int) -> None:
    """Outputs, states and gradients, for any number of replicas and any position of a replica among them."""
    for architecture in architectures(every_cell, directions=(False, True) if steps > 1 else (False,)):
        network = network_of(architecture, 5)
        x = sequences(network, steps, batch).requires_grad_()
        packed = outcome(network, x)
        for rows in ([4], [3, 1]):
            some = Network(architecture, {n: v.detach()[rows].requires_grad_() for n, v in network.parameters.items()})
            alone = outcome(some, x.detach()[rows].requires_grad_())
            for a, b in zip(alone, packed, strict=True):
                assert torch.equal(a, b[rows])


def outcome(network: Network, x: Tensor) -> list[Tensor]:
    outputs, state = network.run(x)
    R, T, B, H = outputs.shape
    answers = network.readout(outputs.reshape(R, T * B, H))
    return [outputs, answers, *parts(state), *gradients(answers, [x, *network.parameters.values()])]


# Gradients -------------------------------------------------------------------------------------------------------


def test_gradients_reach_every_parameter(every_cell: Cell) -> None:
    """In at least one size: a unit of a tiny network may be dead, and a register of one slot has no past."""
    reached: dict[str, bool] = {}
    for architecture in architectures(every_cell, depths=(1, 2), directions=(False, True)):
        network = network_of(architecture, 2, torch.float64)
        outputs, _ = network.run(sequences(network, 5, 6, torch.float64))
        own = {name: value for name, value in network.parameters.items() if not name.startswith("readout")}
        for name, grad in zip(own, gradients(outputs, list(own.values())) if own else [], strict=True):
            reached[name] = reached.get(name, False) or bool(grad.flatten(1).any(1).all())
    unread = [name for name, has_gradient in reached.items() if not has_gradient]
    if not remembers(every_cell):  # then it never reads the initial state
        unread = [name for name in unread if not name.startswith("initial")]
    if every_cell.name == "shift_register":  # above the first layer it has one slot: as many inputs as units
        unread = [name for name in unread if name not in ("initial.0_l1", "initial.0_l1_reverse")]
    if every_cell.name == "rwkv7":  # no step reads the input before the last one of the initial state
        unread = [name for name in unread if not name.startswith("initial.2")]
    if every_cell.name == "bmru":  # above the first layer all candidates are large: no unit keeps its initial state
        unread = [name for name in unread if name not in ("initial.0_l1", "initial.0_l1_reverse")]
    assert unread == []


def remembers(cell: Cell) -> bool:
    """Whether the last output depends on the first input, in a sequence of two."""
    network = network_of(next(a for a in architectures(cell, depths=(1,)) if a.hidden > a.inputs), 1)
    x = sequences(network, 2, 5).requires_grad_()
    return bool(torch.autograd.grad(network.run(x)[0][:, -1].sum(), x)[0][:, 0].any())


def test_gradients_are_the_derivatives(every_cell: Cell) -> None:
    """Against finite differences, in float64, with respect to the inputs, the initial state and every parameter.

    With three units, or the fewest that the cell can have.
    """
    if every_cell.surrogate_gradient:
        pytest.skip("it trains with another gradient than the derivative")
    forms = list(architectures(every_cell, depths=(1, 2), directions=(False, True)))
    sizes = {form.hidden for form in forms}
    for architecture in forms:
        if architecture.hidden != (3 if 3 in sizes else min(sizes)):
            continue
        network = network_of(architecture, 1, torch.float64)
        names = [name for name in network.parameters if not name.startswith("readout")]
        x = sequences(network, 3, 2, torch.float64).requires_grad_()

        def run(x: Tensor, *values: Tensor, network: Network = network, names: list[str] = names) -> Tensor:
            return replace(network, parameters=dict(zip(names, values, strict=True))).run(x)[0]

        inputs = (x, *(network.parameters[name] for name in names))
        assert torch.autograd.gradcheck(run, inputs, atol=1e-6, fast_mode=True)


# Shapes ----------------------------------------------------------------------------------------------------------


def test_outputs_states_and_parameters_have_the_documented_shapes(every_cell: Cell) -> None:
    """Outputs (B, T, D * H) and `state_count` numbers in the state, also for one sequence of one step."""
    for architecture in architectures(every_cell, directions=(False, True)):
        network = network_of(architecture, 2)
        for steps, batch in ((1, 1), (5, 3)):
            outputs, state = network.run(sequences(network, steps, batch))
            assert outputs.shape == (2, steps, batch, architecture.hidden * architecture.directions)
            assert outputs.dtype == torch.float32
            assert len(state) == architecture.depth * architecture.directions
            counted = replace(architecture, steps=steps).state_count
            assert sum(part[0, 0].numel() for part in parts(state)) == counted
        trained = [value for name, value in network.parameters.items() if name not in architecture.frozen]
        assert sum(value[0].numel() for value in trained) == architecture.parameter_count


def last_outputs(network: Network, x: Tensor, state: NetworkState) -> list[Tensor]:
    """The output of each direction of the top layer, computed from the last input that it reads and its last state."""
    architecture = network.architecture
    below = replace(network, architecture=replace(architecture, depth=architecture.depth - 1))
    x = below.run(x)[0] if architecture.depth > 1 else x
    found = []
    for place, part in list(zip(architecture.layers(), state, strict=True))[-architecture.directions :]:
        p = {name: network.parameters[name + place.suffix] for name in architecture.cell_shapes(place)}
        gates = architecture.cell.project(p, x.flip(1) if place.reverse else x)
        found.append(architecture.cell.output(p, gates[:, -1], part))
    return found


def test_the_last_output_is_the_top_layer_s_last_state(every_cell: Cell) -> None:
    for architecture in architectures(every_cell, depths=(1, 3)):
        network = network_of(architecture)
        x = sequences(network, 5, 3)
        outputs, state = network.run(x)
        assert_close(outputs[:, -1], last_outputs(network, x, state)[0], **close(every_cell, torch.float32))


def test_the_last_states_are_at_opposite_ends_of_a_bidirectional_output(every_cell: Cell) -> None:
    """The last state of the forward half is at the last step, that of the backward half at the first.

    At the last step the backward half has read only one input.
    """
    differ, reached = 0, 0
    exact = close(every_cell, torch.float32)
    for architecture in architectures(every_cell, directions=(True,)):
        network, hidden = network_of(architecture), architecture.hidden
        x = sequences(network, 6, 3).requires_grad_()
        outputs, state = network.run(x)
        forward, backward = last_outputs(network, x, state)
        assert_close(outputs[:, -1, :, :hidden], forward, **exact)
        assert_close(outputs[:, 0, :, hidden:], backward, **exact)
        differ += not torch.allclose(outputs[:, -1, :, hidden:], backward)
        if architecture.depth == 1:
            (grad,) = torch.autograd.grad(outputs[:, -1, :, hidden:].square().sum(), x)
            assert not grad[:, :-1].any()
            reached += bool(grad[:, -1].any())
    assert differ
    assert reached


def test_a_bidirectional_state_cannot_be_carried(every_cell: Cell) -> None:
    architecture = next(architectures(every_cell, directions=(True,)))
    network = network_of(architecture)
    x = sequences(network, 4, 2)
    with pytest.raises(ValueError, match="bidirectional"):
        network.run(x, network.run(x)[1])


def test_a_unidirectional_output_does_not_look_ahead(every_cell: Cell) -> None:
    reached = 0
    for architecture in architectures(every_cell, depths=(1, 3)):
        network = network_of(architecture)
        x = sequences(network, 6, 2).requires_grad_()
        (grad,) = torch.autograd.grad(network.run(x)[0][:, 2].square().sum(), x)
        assert not grad[:, 3:].any()
        reached += bool(grad[:, 2].any())
    assert reached

"""Laws of every initialisation on every cell that it accepts, and errors for the other cells."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch

from farback import cells, inits
from farback.cells import Cell
from farback.inits import Init
from farback.networks.network import Architecture, draw
from farback.system.random_streams import stream

FORMS = [(12, 3, 1, False, False), (6, 6, 2, True, True), (1, 1, 1, True, False)]


def architectures(init: Init, cell: Cell) -> Iterator[Architecture]:
    """Every form of a network that the cell and the initialisation accept."""
    for hidden, inputs, depth, bias, both in FORMS:
        architecture = Architecture(cell, inputs, hidden, 3, depth, bias, both)
        try:
            architecture.check(init)
        except ValueError:
            continue
        yield architecture


@functools.cache
def all_architectures(init: Init) -> list[Architecture]:
    return [architecture for name in cells.names() for architecture in architectures(init, cells.build(name))]


def test_every_init_is_accepted_by_some_cell(every_init: Init) -> None:
    assert all_architectures(every_init)


def test_every_cell_accepts_the_default_init(every_cell: Cell) -> None:
    assert list(architectures(inits.build("torch"), every_cell))


def test_shapes_and_finite_values(every_init: Init) -> None:
    for architecture in all_architectures(every_init):
        network = draw(architecture, [every_init] * 2, [0, 1], lag=20)
        assert {name: tuple(value.shape[1:]) for name, value in network.parameters.items()} == architecture.shapes()
        for value in network.parameters.values():
            assert value.shape[0] == 2
            assert value.dtype == torch.float32
            assert torch.isfinite(value).all()


def test_an_init_draws_every_parameter_of_its_layer_and_no_other(every_init: Init) -> None:
    for architecture in all_architectures(every_init):
        for place in architecture.layers():
            layer = architecture.layer(place, 20)
            drawn = every_init.draw(layer, np.random.default_rng(0))
            assert {name: value.shape for name, value in drawn.items()} == layer.shapes


def test_no_init_is_told_the_lag_of_the_training(every_init: Init) -> None:
    """Else the lags of a sweep would be trained from different starts, each made for its own answer."""
    for architecture in all_architectures(every_init):
        for place in architecture.layers():
            near, far = (every_init.draw(architecture.layer(place, lag), np.random.default_rng(0)) for lag in (5, 500))
            assert all(np.array_equal(near[name], far[name]) for name in near)


def test_a_cell_draws_what_no_init_draws_and_nothing_else(every_cell: Cell) -> None:
    for hidden, inputs, _, bias, _ in FORMS:
        architecture = Architecture(every_cell, inputs, hidden, 3, bias=bias)
        place = next(architecture.layers())
        own = architecture.cell_shapes(place)
        if every_cell.name != "module":  # which draws its weights too, by its class
            own = {name: shape for name, shape in own.items() if not name.startswith(("weight", "bias"))}
        rng = np.random.default_rng(0)
        drawn = every_cell.drawn(place.inputs, hidden, rng) | every_cell.special(hidden, 20, rng)
        assert {name: value.shape for name, value in drawn.items()} == own
        assert all(np.isfinite(value).all() for value in drawn.values())


def test_no_init_changes_what_a_cell_draws_itself(every_init: Init) -> None:
    """The cell draws from the same distribution, after the weights in the same stream."""
    for name in cells.names():
        cell = cells.build(name)
        for architecture in architectures(every_init, cell):
            network = draw(architecture, [every_init], [0], 20, torch.float64)
            rng = stream(0, "weights")
            for place in architecture.layers():
                every_init.draw(architecture.layer(place, 20), rng)
                for own, value in cell.special(architecture.hidden, 20, rng).items():
                    assert np.array_equal(network.parameters[own + place.suffix][0].numpy(), value)


def test_equal_seeds_give_equal_weights_and_others_do_not(every_init: Init) -> None:
    for architecture in all_architectures(every_init):
        a, b, c = (draw(architecture, [every_init], [seed], 20).parameters for seed in (0, 0, 1))
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert any(not torch.equal(a[name], c[name]) for name in a)


def test_the_weights_of_a_replica_do_not_depend_on_the_others(every_init: Init) -> None:
    other = inits.build("torch")
    for architecture in all_architectures(every_init):
        alone = draw(architecture, [every_init], [5], 20).parameters
        packed = draw(architecture, [other, every_init, other], [4, 5, 6], 20).parameters
        assert all(torch.equal(packed[name][1], alone[name][0]) for name in alone)


def test_layers_and_directions_have_different_weights(every_init: Init) -> None:
    for architecture in all_architectures(every_init):
        if architecture.depth == 2:
            drawn = draw(architecture, [every_init], [0], 20).parameters
            weights = {name: value for name, value in drawn.items() if name.startswith("weight_ih")}
            assert len({value.numpy().tobytes() for value in weights.values()}) == len(weights)


def test_global_generators_are_untouched(
    every_init: Init, global_generators_untouched: Callable[[], AbstractContextManager[None]]
) -> None:
    with global_generators_untouched():
        for architecture in all_architectures(every_init):
            draw(architecture, [every_init], [0], 20)


def test_weights_come_from_the_weight_stream(every_init: Init) -> None:
    """The weights are drawn from `stream(seed, "weights")`."""
    architecture = all_architectures(every_init)[0]
    expected = architecture.draw(every_init, 20, stream(3, "weights"))
    found = draw(architecture, [every_init], [3], 20, torch.float64).parameters
    assert all(np.array_equal(found[name][0].numpy(), expected[name]) for name in expected)


def test_an_init_that_is_accepted_changes_the_weights(every_init: Init) -> None:
    """Two levels of an axis must not give the same network: for such a cell the initialisation must be an error."""
    plain = inits.build("torch")
    if every_init == plain:
        return
    for architecture in all_architectures(every_init):
        ours, theirs = (draw(architecture, [init], [0], 20).parameters for init in (every_init, plain))
        assert any(not torch.equal(ours[name], theirs[name]) for name in ours)


def test_every_field_of_an_init_changes_the_weights(every_init: Init) -> None:
    for field, info in type(every_init).model_fields.items():
        if field == "name":
            continue
        default = getattr(every_init, field)
        other = 7 if default is None else default * 2
        changed = inits.build({**every_init.spec(), field: other})
        architecture = all_architectures(changed)[0]
        ours, theirs = (draw(architecture, [init], [0], 20).parameters for init in (every_init, changed))
        assert any(not torch.equal(ours[name], theirs[name]) for name in ours), info


def test_the_readout_is_drawn_like_a_linear_layer_of_torch(every_init: Init) -> None:
    """Uniform on +-1 / sqrt(fan in), where the fan in counts the units of both directions."""
    forms = {(each.hidden, each.directions): each for each in all_architectures(every_init)}
    for architecture in forms.values():
        bound = (architecture.hidden * architecture.directions) ** -0.5
        drawn = draw(architecture, [every_init] * 16, range(16), 20).parameters
        for name in ("readout.weight", "readout.bias"):
            assert 0.7 * bound < drawn[name].abs().max() <= bound


REFUSED = [
    *[
        (init, {"name": cell}, True)
        for init in ("orthogonal", "identity", "scaled")
        for cell in ("memoryless", "leaky_integrator")
    ],
    *[
        (init, {"name": "shift_register"}, True)
        for init in ("orthogonal", "identity", "scaled", "forget_bias", "chrono", "xavier")
    ],
    *[("identity", {"name": cell}, True) for cell in ("lstm", "gru", "janet", "mgu", "ugrnn", "slstm", "lem", "nbrc")],
    *[
        (init, {"name": cell}, True)
        for init in ("orthogonal", "identity", "scaled")
        for cell in ("indrnn", "mingru", "minlstm", "lru", "antisymmetric", "exprnn", "brc")
    ],
    *[
        (init, {"name": cell}, True)
        for init in ("forget_bias", "chrono")
        for cell in ("indrnn", "lru", "cornn", "antisymmetric", "exprnn", "echo_state")
    ],
    *[
        (init, {"name": cell}, True)
        for init in ("forget_bias", "chrono")
        for cell in ("elman", "memoryless", "leaky_integrator")
    ],
    *[(init, {"name": cell}, False) for init in ("forget_bias", "chrono") for cell in ("lstm", "gru")],
]


@pytest.mark.parametrize(
    ("cell", "fields", "why"),
    [
        ("elman", {"keep": 1.0}, "the gate that keeps the state, which this cell does not have"),
        ("elman", {"write": -1.0}, "the gate that lets input in, which this cell does not have"),
        ("janet", {"write": -1.0}, "the gate that lets input in, which this cell does not have"),
        ("mingru", {"keep": 1.0, "write": -1.0}, "in this cell one gate does both"),
    ],
)
def test_a_bias_for_a_missing_gate_is_an_error(cell: str, fields: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=f"^init uniform .*{why}"):
        Architecture(cells.build(cell), 4, 8, 2).check(inits.build({"name": "uniform", **fields}))


@pytest.mark.parametrize(("init", "cell", "bias"), REFUSED, ids=str)
def test_an_init_that_does_not_fit_a_cell_is_an_error_that_names_it(
    init: str, cell: dict[str, str], bias: bool
) -> None:
    with pytest.raises(ValueError, match=rf"^init {init} "):
        Architecture(cells.build(cell), 4, 8, 2, bias=bias).check(inits.build(init))


ACCEPTED = [
    *[(init, cell) for init in ("torch", "xavier", "orthogonal", "scaled") for cell in ("elman", "lstm", "gru")],
    ("identity", "elman"),
    *[(init, cell) for init in ("forget_bias", "chrono") for cell in ("lstm", "gru")],
    *[(init, cell) for init in ("torch", "xavier") for cell in ("memoryless", "leaky_integrator")],
    ("torch", "shift_register"),
    *[
        (init, cell)
        for init in ("orthogonal", "scaled")
        for cell in ("janet", "mgu", "ugrnn", "slstm", "cornn", "lem", "nbrc", "echo_state")
    ],
    *[("identity", cell) for cell in ("cornn", "echo_state")],
    *[
        (init, cell)
        for init in ("forget_bias", "chrono")
        for cell in ("janet", "mgu", "ugrnn", "mingru", "minlstm", "slstm", "lem", "brc", "nbrc")
    ],
]


@pytest.mark.parametrize(("init", "cell"), ACCEPTED)
def test_pairs_of_the_literature_are_accepted(init: str, cell: str) -> None:
    Architecture(cells.build(cell), 4, 8, 2).check(inits.build(init))

"""Laws of every kernel: gradients are derivatives, replicas never meet, time can be split."""

import pytest
import torch

from farback.kernels.diagonal import diagonal
from farback.kernels.matrix_state import matrix_state
from farback.kernels.nonlinearities import NONLINEARITIES
from farback.kernels.unroll import DiagonalKernel, GatedKernel

DTYPES = [torch.float32, torch.float64]
ELMAN = [f"elman {nonlinearity}" for nonlinearity in NONLINEARITIES]
MATRIX = ["matrix state", "matrix state plus rank one"]
CELLS = ["lstm", "gru", "diagonal", "diagonal complex", *MATRIX, "elman tanh", "elman gelu"]


def arguments(name, dtype, replicas=3, steps=6, batch=4, hidden=5, seed=0):
    """Random arguments of a kernel: those with a time axis, the parameters, and the initial state."""
    generator = torch.Generator().manual_seed(seed)
    if "complex" in name:
        dtype = torch.complex64 if dtype is torch.float32 else torch.complex128

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=dtype)

    if name in MATRIX:
        start = draw(replicas, batch, 1, hidden, hidden + 1)
        w, k, q, a, b = (draw(replicas, steps, batch, 1, hidden) / hidden**0.5 for _ in range(5))
        timed = (w, k, draw(replicas, steps, batch, 1, hidden + 1), q, a, b)
        return timed if name == MATRIX[1] else timed[:4], (), (start,)
    gates = {"lstm": 4, "gru": 3}.get(name, 1) * hidden
    state = (
        (draw(replicas, batch, hidden), draw(replicas, batch, hidden))
        if name == "lstm"
        else (draw(replicas, batch, hidden),)
    )
    if name.startswith("diagonal"):
        return (draw(replicas, steps, batch, hidden) * 0.7, draw(replicas, steps, batch, hidden)), (), state
    return (
        (draw(replicas, steps, batch, gates),),
        (draw(replicas, gates, hidden) / hidden**0.5, draw(replicas, gates)),
        state,
    )


def run(name, timed, fixed, state):
    """Outputs of every step, and the state after the last."""
    if name.startswith("diagonal"):
        h = diagonal(*timed, *state)
        return h, (h[:, -1],)
    if name in MATRIX:
        h, last = matrix_state(*timed[:4], *state, *timed[4:])
        return h, (last,)
    parameters = dict(zip(("weight_hh", "bias_hh"), fixed, strict=False))
    return GatedKernel(*name.split()).unroll(None, parameters, *timed, tuple(state))


def forward_and_backward(name, timed, fixed, state):
    """Output and every gradient, of a loss that uses every output."""
    leaves = [part.detach().clone().requires_grad_() for part in (*timed, *fixed, *state)]
    h, rest = run(
        name, leaves[: len(timed)], leaves[len(timed) : len(timed) + len(fixed)], leaves[len(timed) + len(fixed) :]
    )
    loss = torch.view_as_real(h).sin().sum() if h.is_complex() else h.sin().sum() + rest[-1].sin().sum()
    return [h.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("name", [*ELMAN, "lstm", "gru", "diagonal", "diagonal complex", *MATRIX])
def test_gradients_are_derivatives(name):
    timed, fixed, state = arguments(name, torch.float64, replicas=2, steps=4, batch=2, hidden=3)
    leaves = [part.requires_grad_() for part in (*timed, *fixed, *state)]

    def outputs(*parts):
        h, rest = run(
            name, parts[: len(timed)], parts[len(timed) : len(timed) + len(fixed)], parts[len(timed) + len(fixed) :]
        )
        return h, rest[-1]

    assert torch.autograd.gradcheck(outputs, leaves)


@pytest.mark.parametrize("name", ELMAN)
def test_elman_equals_its_equation(name):
    """Against torch's own nonlinearities, one step at a time."""
    import torch.nn.functional as F

    f = {"identity": lambda x: x, "sin": torch.sin, "leaky_relu": F.leaky_relu, "gelu": F.gelu, "softsign": F.softsign}
    value = f.get(name.removeprefix("elman "), getattr(torch, name.removeprefix("elman "), None))
    for dtype in DTYPES:
        (gates,), (w, b), (h,) = arguments(name, dtype)
        outputs, _ = run(name, (gates,), (w, b), (h,))
        for t in range(gates.shape[1]):
            h = value(gates[:, t] + h @ w.mT + b[:, None])
            torch.testing.assert_close(outputs[:, t], h)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CELLS)
def test_packed_equals_alone(name, dtype):
    for sizes in ({"batch": 4, "hidden": 5}, {"batch": 33, "hidden": 40, "steps": 9}):
        timed, fixed, state = arguments(name, dtype, replicas=5, **sizes)
        packed = forward_and_backward(name, timed, fixed, state)
        for r in (0, 2, 4):
            alone = forward_and_backward(
                name, *[[part[r : r + 1] for part in group] for group in (timed, fixed, state)]
            )
            for ours, theirs in zip(packed, alone, strict=True):
                assert torch.equal(ours[r : r + 1], theirs)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", CELLS)
def test_nan_and_infinity_stay_in_their_replica(name, poison):
    timed, fixed, state = arguments(name, torch.float32)
    clean = forward_and_backward(name, timed, fixed, state)
    timed[0][1, 2, 0, 0] = poison
    for before, after in zip(clean, forward_and_backward(name, timed, fixed, state), strict=True):
        assert torch.equal(before[0], after[0])
        assert torch.equal(before[2], after[2])
    if poison != poison:
        assert torch.isnan(run(name, timed, fixed, state)[0][1, 2:, 0]).any(-1).all(), "a NaN is not swallowed"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CELLS)
def test_a_split_with_carried_state_changes_nothing(name, dtype):
    timed, fixed, state = arguments(name, dtype, steps=7)
    whole, last = run(name, timed, fixed, state)
    parts = []
    for start, stop in ((0, 1), (1, 5), (5, 7)):
        h, state = run(name, [part[:, start:stop] for part in timed], fixed, state)
        parts.append(h)
    assert torch.equal(torch.cat(parts, 1), whole)
    for ours, theirs in zip(state, last, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", CELLS)
def test_without_gradients_the_outputs_are_the_same(name):
    timed, fixed, state = arguments(name, torch.float32)
    for part in timed:
        part.requires_grad_()
    kept, _ = run(name, timed, fixed, state)
    with torch.no_grad():
        bare, _ = run(name, timed, fixed, state)
    assert kept.requires_grad
    assert not bare.requires_grad
    assert torch.equal(kept, bare)


@pytest.mark.parametrize("name", CELLS)
def test_each_gradient_alone_is_the_one_among_all(name):
    groups = arguments(name, torch.float32)
    parts = [part for group in groups for part in group]
    every = forward_and_backward(name, *groups)[1:]
    for i, expected in enumerate(every):
        leaves = [part.clone().requires_grad_(i == j) for j, part in enumerate(parts)]
        a, b = len(groups[0]), len(groups[0]) + len(groups[1])
        h, rest = run(name, leaves[:a], leaves[a:b], leaves[b:])
        loss = torch.view_as_real(h).sin().sum() if h.is_complex() else h.sin().sum() + rest[-1].sin().sum()
        assert torch.equal(torch.autograd.grad(loss, leaves[i])[0], expected)


@pytest.mark.parametrize("name", CELLS)
def test_layout_in_memory_does_not_matter(name):
    groups = arguments(name, torch.float32)
    scattered = [[part.transpose(0, -1).contiguous().transpose(0, -1) for part in group] for group in groups]
    for ours, theirs in zip(forward_and_backward(name, *groups), forward_and_backward(name, *scattered), strict=True):
        assert torch.equal(ours, theirs)


def test_a_second_derivative_is_refused():
    timed, fixed, state = arguments("gru", torch.float64)
    timed[0].requires_grad_()
    (gradient,) = torch.autograd.grad(run("gru", timed, fixed, state)[0].sin().sum(), timed, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_errors_carry_name_and_value():
    timed, fixed, state = arguments("lstm", torch.float32)
    with pytest.raises(ValueError, match=r"w_hh has shape \(3, 19, 5\), and \(3, 20, 5\) is needed"):
        run("lstm", timed, (fixed[0][:, 1:], fixed[1]), state)
    with pytest.raises(ValueError, match=r"h0 is torch\.float64"):
        run("gru", [torch.zeros(1, 2, 3, 6)], [torch.zeros(1, 6, 2)], [torch.zeros(1, 3, 2, dtype=torch.float64)])
    with pytest.raises(ValueError, match=r"not in torch\.float16"):
        diagonal(*[torch.zeros(1, 2, 3, 4, dtype=torch.float16)] * 2, torch.zeros(1, 3, 4, dtype=torch.float16))
    with pytest.raises(ValueError, match="'tahn'; there are kernels for tanh"):
        run("elman tahn", [torch.zeros(1, 2, 3, 4)], [torch.zeros(1, 4, 4)], [torch.zeros(1, 3, 4)])
    with pytest.raises(ValueError, match="at least 1"):
        run("elman tanh", [torch.zeros(1, 0, 3, 4)], [torch.zeros(1, 4, 4)], [torch.zeros(1, 3, 4)])


def test_an_unknown_kernel_is_refused_by_name():
    GatedKernel("elman", "tanh").compile(torch.float64)
    DiagonalKernel(is_complex=True).compile()
    with pytest.raises(ValueError, match="'swish'; there are kernels for tanh"):
        GatedKernel("elman", "swish").compile()
    with pytest.raises(ValueError, match="no kernel mgu"):
        GatedKernel("mgu").compile()
    with pytest.raises(ValueError, match=r"not in torch\.bfloat16"):
        GatedKernel("gru").compile(torch.bfloat16)

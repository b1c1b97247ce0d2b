"""Law: fused equals torch.nn, values and gradients."""

import pytest
import torch

from farback.kernels.unroll import GatedKernel

SLOW = [(2, 4, 1, 17), (1, 1, 6, 17), (3, 40, 32, 32)]
SIZES = [(1, 1, 1, 1), (3, 7, 5, 3), *(pytest.param(size, marks=pytest.mark.slow) for size in SLOW)]
MODULES = {"tanh": torch.nn.RNN, "relu": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def fused(cell, gates, w, b, h0, c0):
    """Output, and the last cell state of an LSTM."""
    kernel = GatedKernel("elman", cell) if cell in ("tanh", "relu") else GatedKernel(cell)
    parameters = {"weight_hh": w} if b is None else {"weight_hh": w, "bias_hh": b}
    output, last = kernel.unroll(None, parameters, gates, (h0, c0) if cell == "lstm" else (h0,))
    return output, *last[1:]


def by_torch(cell, x_TBI, module, h0, c0):
    """Output, and the last cell state of an LSTM, of one replica."""
    if cell == "lstm":
        output, (_, last) = module(x_TBI, (h0[None], c0[None]))
        return output, last[0]
    return (module(x_TBI, h0[None])[0],)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", SIZES)  # replicas, steps, sequences, hidden
@pytest.mark.parametrize("cell", MODULES)
def test_fused_equals_torch(cell, size, dtype, bias):
    torch.manual_seed(0)
    replicas, steps, batch, hidden = size
    options = {"nonlinearity": cell} if cell in ("tanh", "relu") else {}
    modules = [MODULES[cell](2, hidden, bias=bias, dtype=dtype, **options) for _ in range(replicas)]
    x = torch.randn(replicas, steps, batch, 2, dtype=dtype, requires_grad=True)
    h0 = torch.randn(replicas, batch, hidden, dtype=dtype, requires_grad=True)
    c0 = torch.randn(replicas, batch, hidden, dtype=dtype, requires_grad=True)

    gates = torch.stack([x[r] @ m.weight_ih_l0.T + (m.bias_ih_l0 if bias else 0) for r, m in enumerate(modules)])
    w = torch.stack([m.weight_hh_l0 for m in modules])
    b = torch.stack([m.bias_hh_l0 for m in modules]) if bias else None
    ours = fused(cell, gates, w, b, h0, c0)
    theirs = [
        torch.stack(parts)
        for parts in zip(*[by_torch(cell, x[r], m, h0[r], c0[r]) for r, m in enumerate(modules)], strict=True)
    ]

    relative, absolute = (1e-4, 1e-5) if dtype is torch.float32 else (1e-9, 1e-12)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=relative, atol=absolute)
    weights = [torch.randn_like(part) for part in ours]
    inputs = [p for m in modules for p in m.parameters()] + [x, h0] + ([c0] if cell == "lstm" else [])
    for mine, reference in zip(
        torch.autograd.grad(ours, inputs, weights), torch.autograd.grad(theirs, inputs, weights), strict=True
    ):
        torch.testing.assert_close(
            mine, reference, rtol=relative, atol=absolute * reference.abs().max().item() + absolute
        )

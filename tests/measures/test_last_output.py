"""The last output equals h_n exactly in the cases that torch defines."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from farback import tasks
from farback.measures import build, last_output
from farback.networks.network import from_torch

MODULES = [nn.RNN, nn.GRU, nn.LSTM]


def made(kind: type[nn.RNNBase], layers: int, bidirectional: bool) -> tuple[nn.RNNBase, torch.Tensor]:
    generator = torch.Generator().manual_seed(layers)
    module = kind(4, 6, layers, batch_first=True, bidirectional=bidirectional)
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -0.4, 0.4, generator=generator)
    return module, torch.randn(15, 10, 4, generator=generator)


@pytest.mark.parametrize("layers", [1, 20])
@pytest.mark.parametrize("kind", MODULES)
def test_one_direction_without_padding_is_as_the_article_shows(kind: type[nn.RNNBase], layers: int) -> None:
    module, x_BTI = made(kind, layers, bidirectional=False)
    assert last_output(module, x_BTI) == {"last": True, "forward_last": True, "own_last": True}
    output, state = module(x_BTI)
    h_n = state[0] if kind is nn.LSTM else state
    assert torch.equal(h_n.permute(1, 0, 2)[:, -1, :], output[:, -1, :])  # the line of code in the article


@pytest.mark.parametrize("kind", MODULES)
def test_a_backward_layer_ends_at_the_first_step(kind: type[nn.RNNBase]) -> None:
    found = last_output(*made(kind, 2, bidirectional=True))
    assert found == {
        "last": False,
        "forward_last": True,
        "own_last": True,
        "backward_last": False,
        "backward_first": True,
    }


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", MODULES)
def test_a_padded_sequence_ends_where_its_length_says(kind: type[nn.RNNBase], bidirectional: bool) -> None:
    module, x_BTI = made(kind, 2, bidirectional)
    found = last_output(module, x_BTI, 10 - torch.arange(15) % 10)
    assert not found["last"]
    assert not found["forward_last"]
    assert found["own_last"]
    assert found.get("backward_first", True)


def test_a_module_without_batch_first_is_an_error() -> None:
    with pytest.raises(ValueError, match="batch_first"):
        last_output(nn.GRU(4, 6), torch.zeros(3, 2, 4))


def test_the_measure_agrees_with_the_function() -> None:
    task = tasks.build({"name": "recall", "lag": 9})
    network = from_torch(nn.LSTM(task.inputs, 6, 2, batch_first=True, bidirectional=True))
    measure = build("last_output")
    (rows,) = measure.rows(network, task, [0], lambda: network)
    values = {row.statistic: row.value for row in rows}
    assert values["forward_last"] == values["backward_first"] == values["padded_own_last"] == 1.0
    assert values["last"] == values["backward_last"] == values["padded_forward_last"] == 0.0

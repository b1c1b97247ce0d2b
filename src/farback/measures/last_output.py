"""When the last output of `torch.nn`'s RNN, GRU or LSTM is the last hidden state `h_n`, and when it is not.

A module gives the outputs of its top layer at every step, and `h_n`, in which every layer and direction leaves the
state it ended in. A forward layer ends at the last step. A backward layer ends at the first one: at the last step it
has seen that step alone. In a padded batch a sequence ends where its own length says, not at the last column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from farback.measures.base import Row, Sampled, Untrained
from farback.networks.network import Network, to_torch
from farback.tasks.base import Task


def last_output(module: nn.RNNBase, x_BTI: Tensor, length_B: Tensor | None = None) -> dict[str, bool]:
    """Which steps of a module's output are the top layer's entry of `h_n`, bit for bit.

    Args:
        module: `torch.nn.RNN`, `GRU` or `LSTM`, batch_first.
        x_BTI: sequences, (B, T, I).
        length_B: how many steps of each are its own; the batch is packed then. Without it all of them are.

    Returns:
        last: output[:, -1] is h_n, all directions side by side, as `h_n[-1]` for one direction;
        forward_last: the forward half of output[:, -1] is;
        own_last: the forward half of each sequence's own last step is;
        backward_last, backward_first: the backward half of output[:, -1], and of output[:, 0]; only of two directions.

    Raises:
        ValueError: the module's batches do not come first.
    """
    if not module.batch_first:
        raise ValueError("needs a module with batch_first=True")
    steps, hidden = x_BTI.shape[1], module.hidden_size
    with torch.no_grad():
        if length_B is None:
            length_B = torch.full((len(x_BTI),), steps)
            output_BTO, state = module(x_BTI)
        else:
            packed = pack_padded_sequence(x_BTI, length_B, batch_first=True, enforce_sorted=False)
            output, state = module(packed)
            output_BTO, _ = pad_packed_sequence(output, batch_first=True, total_length=steps)
    h_LBH = state[0] if isinstance(state, tuple) else state
    top_BO = torch.cat(list(h_LBH[-2 if module.bidirectional else -1 :]), 1)
    forward_BTH, backward_BTH = output_BTO[..., :hidden], output_BTO[..., hidden:]
    own_BH = forward_BTH[torch.arange(len(length_B)), length_B - 1]
    found = {
        "last": torch.equal(output_BTO[:, -1], top_BO),
        "forward_last": torch.equal(forward_BTH[:, -1], top_BO[:, :hidden]),
        "own_last": torch.equal(own_BH, top_BO[:, :hidden]),
    }
    if module.bidirectional:
        found["backward_last"] = torch.equal(backward_BTH[:, -1], top_BO[:, hidden:])
        found["backward_first"] = torch.equal(backward_BTH[:, 0], top_BO[:, hidden:])
    return found


class LastOutput(Sampled):
    """Whether the last output is the last hidden state, of the `torch.nn` module that computes the same network.

    Source: the seed article, which shows it for one case.
    """

    sequences: Annotated[int, Field(ge=1, le=1_000_000)] = 16

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows with the names of `last_output`, 1 or 0, and the same with `padded_` for sequences of several lengths.

        None for a network that PyTorch has no module for.
        """
        return [self._rows(network.replica(index), task, seed) for index, seed in enumerate(seeds)]

    def _rows(self, network: Network, task: Task, seed: int) -> list[Row]:
        try:
            module = to_torch(network)
        except ValueError:
            return []
        x_BTI = self.sample(task, seed).input_BTI.to(next(module.parameters()).dtype)
        B, T, _ = x_BTI.shape
        length_B = T - torch.arange(B) % T  # the longest, one step less, and so on: each at least one step
        found = last_output(module, x_BTI)
        padded = last_output(module, x_BTI, length_B)
        named = found | {f"padded_{name}": equal for name, equal in padded.items()}
        return [Row(-1, name, float(equal)) for name, equal in named.items()]

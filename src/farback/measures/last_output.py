"""When the last output of `torch.nn`'s RNN, GRU or LSTM equals the last hidden state `h_n`, and when it does not.

A module returns the outputs of its top layer at every step, and `h_n`, the final state of every layer and direction. A
forward layer ends at the last step. A backward layer ends at the first step; its output at the last step depends on the
input of that step alone. In a padded batch each sequence ends at its own length, not at the last step of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from farback.measures.base import Count, MeasureRow, Sampled, summary_rows
from farback.measures.support.long_samples import parts, runs_in_parts
from farback.measures.support.numbers import sequences, whole_numbers
from farback.measures.support.own_mode import own_mode
from farback.networks.module_copies import copied, has_own_forward
from farback.networks.network import Network, to_torch
from farback.tasks.base import Task


@own_mode()
def last_output(module: nn.RNNBase, x_BTI: Any, length_B: Any = None) -> dict[str, bool]:
    """Which steps of a module's output equal the top layer's part of `h_n`, bit for bit.

    Args:
        module: `torch.nn.RNN`, `GRU` or `LSTM` with batch_first=True.
        x_BTI: sequences, (B, T, I).
        length_B: the length of each sequence; the batch is then packed. By default all have T steps.

    Returns:
        last: output[:, -1] equals the top layer's h_n, with both directions side by side (`h_n[-1]` for one direction);
        forward_last: the forward half of output[:, -1] equals the forward half of this h_n;
        own_last: the forward half of the output at each sequence's own last step equals the forward half of h_n;
        backward_last, backward_first (if bidirectional): output[:, -1], output[:, 0] equals h_n in the backward half.

    Raises:
        ValueError: not such a module, a forward of its own, or inputs that are not (B, T, I).
    """
    if not isinstance(module, nn.RNNBase) or has_own_forward(module) or not module.batch_first:
        raise ValueError(f"last_output needs a torch.nn.RNN, GRU or LSTM with batch_first=True, got {module}")
    module = copied(module)
    x_BTI = sequences(x_BTI).to(next(module.parameters()).dtype)
    return _equal(module, x_BTI, None if length_B is None else torch.tensor(whole_numbers("length_B", length_B)))


@torch.no_grad()
def _equal(module: nn.RNNBase, x_BTI: Tensor, length_B: Tensor | None, before: Any = None) -> dict[str, bool]:
    """The results of `last_output` from the state `before` the first step, by default the initial one."""
    steps, hidden = x_BTI.shape[1], module.proj_size or module.hidden_size
    if length_B is None:
        length_B = torch.full((len(x_BTI),), steps)
        output_BTO, state = module(x_BTI, before)
    else:
        packed = pack_padded_sequence(x_BTI, length_B, batch_first=True, enforce_sorted=False)
        output, state = module(packed, before)
        output_BTO, _ = pad_packed_sequence(output, batch_first=True, total_length=steps)
    h_LBH = state[0] if isinstance(state, tuple) else state
    top_BO = torch.cat(list(h_LBH[-2 if module.bidirectional else -1 :]), 1)
    forward_BTH, backward_BTH = output_BTO[..., :hidden], output_BTO[..., hidden:]
    equal = {
        "last": torch.equal(output_BTO[:, -1], top_BO),
        "forward_last": torch.equal(forward_BTH[:, -1], top_BO[:, :hidden]),
        "own_last": torch.equal(forward_BTH[torch.arange(len(length_B)), length_B - 1], top_BO[:, :hidden]),
    }
    if module.bidirectional:
        equal["backward_last"] = torch.equal(backward_BTH[:, -1], top_BO[:, hidden:])
        equal["backward_first"] = torch.equal(backward_BTH[:, 0], top_BO[:, hidden:])
    return equal


class LastOutput(Sampled):
    """Whether the last output equals the last hidden state, in the `torch.nn` module equivalent to the network.

    Source: Pickleprat 2024, which shows one case.
    """

    sequences: Count = 16

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are the results of `last_output`, 1 or 0; a name with `padded_` is for sequences of many lengths."""
        try:
            module = to_torch(network)
        except ValueError:  # PyTorch has no module that computes this network
            return []
        longer, dtype = self.longer(task), next(module.parameters()).dtype
        if runs_in_parts(network, longer):
            before, x_BTI = _before_the_end(
                module, (x_BTI.to(dtype) for _, x_BTI in parts(self, network, longer, seed))
            )
        else:
            before, x_BTI = None, self.sample(task, seed).input_BTI.to(dtype)
        B, T, _ = x_BTI.shape
        length_B = T - torch.arange(B) % T  # T, T - 1, ..., 1, T, ...
        whole, padded = (_equal(module, x_BTI, length, before) for length in (None, length_B))
        return summary_rows(**whole, **{f"padded_{name}": equal for name, equal in padded.items()})


@torch.no_grad()
def _before_the_end(module: nn.RNNBase, inputs: Iterable[Tensor]) -> tuple[Any, Tensor]:
    """The state before the last two parts of sequences (B, T, I), and these parts."""
    state, held = None, list[Tensor]()
    for x_BTI in inputs:
        if len(held) == 2:
            _, state = module(held.pop(0), state)
        held.append(x_BTI)
    return state, torch.cat(held, 1)

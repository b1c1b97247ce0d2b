"""Many updates of several networks in one call of compiled code, and the memory for it.

Shapes: U updates, R replicas, T steps, B sequences, I inputs, H hidden, N scored outputs of O numbers, P parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from farback.kernels import buffer_pool, optimizer_steps, time_loop, update_code
from farback.kernels.arguments import LIKE, check_shapes
from farback.kernels.fused_layer import cell_sizes, row_length
from farback.kernels.gemm import gemm
from farback.kernels.torch_operators import Handle, addresses


class UpdateLoop:
    """The compiled loop for networks of one shape, with its memory, which is for one replica.

    Args:
        code: the step functions of the cell.
        sizes: T, B, I, H, O, N and P.
        places: where the parameters of each layer begin among the P of a replica (W_ih, W_hh, b_ih, b_hh; -1 where one
            is absent), and in the last row those of the readout (W, b).
        loss: softmax, squared or binary.
        optimizer: adam, adamw, sgd or rmsprop.
        is_all: whether the readout reads all T * B outputs, so that no index is needed.
    """

    def __init__(
        self,
        code: time_loop.CellCode,
        sizes: tuple[int, ...],
        places: Sequence[Sequence[int]],
        loss: str,
        optimizer: str,
        is_all: bool,
    ) -> None:
        T, B, width, H, outputs, N, P = sizes
        self.sizes, self.code, self.depth, self.loss = sizes, code, len(places) - 1, loss
        self.rules = optimizer_steps.RULES[optimizer]
        self.kinds = update_code.LOSSES.index(loss), list(optimizer_steps.RULES).index(optimizer), int(is_all)
        self.places = torch.tensor(places, dtype=torch.int64)
        self.memory: list[Tensor] = []
        rows = []
        for layer in range(self.depth):
            L = row_length(H, width if layer == 0 else H)
            shape = (N, H) if layer == self.depth - 1 and not is_all else (T, B, H)
            parts = [(T + 1, B, L), (T + 1, B, code.kept, H), shape, shape]
            rows.append([*(self._empty(*part).data_ptr() for part in parts), L])
        self.table = torch.tensor(rows, dtype=torch.int64)
        self.state = torch.zeros(3, B, H)  # zeros, and the gradients of the state
        self.read = [self._empty(N, outputs) for _ in range(3)]
        self.gradient = self._empty(2, P)  # before and after clipping
        self.handles = [Handle(part) for part in (*self.read, self.gradient[:1])]

    def _empty(self, *shape: int) -> Tensor:
        self.memory.append(buffer_pool.empty(shape, dtype=torch.float32))
        return self.memory[-1]

    def run(
        self,
        data: tuple[Tensor, Tensor, Tensor, Tensor],
        theta_RP: Tensor,
        moments: dict[str, Tensor],
        rules: dict[str, Tensor],
        rate_UR: Tensor,
        limit_R1: Tensor,
        count: int,
    ) -> tuple[Tensor, Tensor]:
        """Do updates in place, from number `count` on, until the outputs of a replica are large.

        Args:
            data: inputs (U * R, T, B, I), index, targets and weights (U * R, N) of U updates.
            theta_RP: the parameters.
            moments: the running averages of the optimizer, (R, P) each.
            rules: the hyper-parameters of the optimizer, (R, 1) each.
            rate_UR: the learning rates.
            limit_R1: the largest norm of the gradient.
            count: the number of the first update.

        Returns:
            the outputs, (U, R, N, O), and the norms of the gradients, (U, R), of the updates that were done.

        Raises:
            ValueError: an index that does not increase or is out of range.
        """
        (U, R), (T, B, width, H, outputs, N, P) = rate_UR.shape, self.sizes
        x, index, target, weight = data
        shapes = {"inputs": (x, (U * R, T, B, width)), "weights": (weight, (U * R, N)), "rates": (rate_UR, (U, R))}
        check_shapes((torch.float32,), **shapes, parameters=(theta_RP, (R, P)), limits=(limit_R1, (R, 1)))
        if self.loss == "softmax":
            check_shapes((torch.int64,), targets=(target, (U * R, N)))
        else:
            bits = (outputs,) if self.loss == "binary" else ()
            check_shapes((torch.float32,), targets=(target, (U * R, N, *bits)))
        if not self.kinds[2]:
            check_shapes((torch.int64,), index=(index, (U * R, N)))
            index = index.contiguous()
        parts = [x.contiguous(), index, *(part.contiguous() for part in (target, weight, rate_UR, limit_R1))]
        output_URNO, norm_UR = torch.empty(U, R, N, outputs), torch.empty(U, R)
        averages = [value.data_ptr() for value in moments.values()]
        own = [rules[name].data_ptr() for name in self.rules]
        done = update_code.updates(
            (gemm(torch.float32), *time_loop.addresses(self.code, torch.float32), *(addresses() or ())),
            LIKE[torch.float32],
            cell_sizes(self.code),
            (U, R, T, B, width, H, outputs, N, P, self.depth, count - 1),
            self.kinds,
            tuple(handle.address for handle in self.handles),
            self.places.data_ptr(),
            tuple(part.data_ptr() for part in parts[:4]),
            (theta_RP.data_ptr(), *averages, *[0] * (2 - len(averages))),
            (parts[4].data_ptr(), parts[5].data_ptr(), *own, *[own[0]] * (4 - len(own))),
            (
                self.table.data_ptr(),
                *(part.data_ptr() for part in self.state),
                *(part.data_ptr() for part in self.gradient),
                *(part.data_ptr() for part in self.read),
            ),
            (output_URNO.data_ptr(), norm_UR.data_ptr()),
        )
        if done < 0:
            raise ValueError(f"index must be strictly increasing, with values from 0 to {T * B - 1}; got {data[1]}")
        return output_URNO[:done], norm_UR[:done]


def example(code: time_loop.CellCode) -> None:
    """Compile the loop, or load it from disk, by an update of the smallest network."""
    P = code.blocks * 4 + 2
    places = [[0, code.blocks, 2 * code.blocks, 3 * code.blocks], [P - 2, P - 1, -1, -1]]
    loop = UpdateLoop(code, (1, 1, 1, 1, 1, 1, P), places, "squared", "sgd", True)
    one_RP, one_R1 = torch.ones(1, P), torch.ones(1, 1)
    data = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, dtype=torch.int64), one_R1, one_R1
    loop.run(data, one_RP, {"velocity": one_RP.clone()}, {"momentum": one_R1}, one_R1, one_R1, 1)

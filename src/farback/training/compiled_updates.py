"""Many updates of all replicas in one compiled call, for the networks and trainings that the kernels cover.

Shapes: U updates, R replicas, T steps, B sequences, I inputs, H hidden, N scored steps of O outputs, P parameters, D
layers.
"""

from __future__ import annotations

from torch import Tensor

from farback import optimizers
from farback.kernels import torch_operators
from farback.kernels.unroll import GatedKernel
from farback.networks.stretches import LONG
from farback.optimizers.adam import Adam
from farback.optimizers.adamw import AdamW
from farback.optimizers.rmsprop import RMSprop
from farback.optimizers.sgd import SGD
from farback.tasks.support.answers import Bits, OneOf, Within
from farback.training.batches import CohortBatch, ScoredSteps
from farback.training.long_sequences import steps_of_task
from farback.trials.trial import Trial

LOSSES = {OneOf: "softmax", Within: "squared", Bits: "binary"}
STEPS = {Adam: "adam", AdamW: "adamw", SGD: "sgd", RMSprop: "rmsprop"}
FLOPS = 1_000_000_000  # of one call, about: requests are handled between calls
OUTPUTS = 2_000_000  # numbers of one call, which are kept for its losses


class CompiledUpdates:
    """The updates of a cohort's trials; the memory is for one replica at a time.

    Attributes:
        most: the number of updates in a call for one replica.
    """

    def __init__(self, trial: Trial, scored: ScoredSteps, parameters: int) -> None:
        from farback.kernels.update_loop import UpdateLoop

        a, kernel = trial.architecture, trial.architecture.cell.kernel
        assert isinstance(kernel, GatedKernel)
        places = [
            [a.layout[name][2] if name in a.layout else -1 for name in names]
            for names in (
                *([f"{part}_l{depth}" for part in _PARTS] for depth in range(a.depth)),
                ["readout.weight", "readout.bias", "", ""],
            )
        ]
        T, B = steps_of_task(trial.task), trial.batch
        N = B * (scored.per_sequence or T)
        self.scored, self.trial = scored, trial
        loss, step = LOSSES[type(scored.answer)], STEPS[type(trial.optimizer)]
        sizes = (T, B, a.inputs, a.hidden, a.outputs, N, parameters)
        self.loop = UpdateLoop(kernel.code, sizes, places, loss, step, scored.per_sequence is None)
        self.most = max(1, min(FLOPS // (3 * T * B * a.flops_per_step), OUTPUTS // (N * a.outputs)))

    def run(
        self,
        batch: CohortBatch,
        theta_RP: Tensor,
        moments: optimizers.Tensors,
        rules: optimizers.Tensors,
        rate_UR: Tensor,
        limit_R1: Tensor,
        count: int,
    ) -> tuple[Tensor, Tensor]:
        """Do the updates from number `count` on, in place; the loss before each, and the norm of its gradient, (U, R).

        The batches of U updates follow each other in `batch`. Ends after the first update with a very large output.

        Raises:
            ValueError: an index of scored steps is invalid.
        """
        R = len(theta_RP)
        assert isinstance(batch.x_RTBI, Tensor)
        data = batch.x_RTBI, batch.index_RN, batch.target_RN, batch.weight_RN
        output_URNO, norm_UR = self.loop.run(data, theta_RP, moments, rules, rate_UR, limit_R1, count)
        done = len(norm_UR)
        loss_UN = self.scored.answer.loss(output_URNO.flatten(0, 1), batch.target_RN[: done * R])
        return (loss_UN * batch.weight_RN[: done * R]).sum(1).view(done, R), norm_UR


_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def covers(trial: Trial, memory: int | None, device: str) -> bool:
    """Whether the compiled loop computes the updates of a trial; `memory` is how many bytes an update may keep."""
    a, steps = trial.architecture, steps_of_task(trial.task)
    is_plain = a.is_plain_stack and isinstance(a.cell.kernel, GatedKernel)
    is_known = type(trial.optimizer) in STEPS and type(trial.task.answer) in LOSSES
    is_changed = trial.dropout or trial.recurrent_dropout or trial.truncate is not None
    fits = steps <= LONG and (memory is None or 4 * steps * trial.batch * a.kept(steps) <= memory)
    is_there = device == "cpu" and torch_operators.addresses() is not None
    return bool(is_plain and is_known and not is_changed and fits and is_there)

"""How much of a batch's gradient tells which answer belongs to which cue, relative to the noise of the batch.

Shapes: B sequences of a batch, M batches, P trained parameters, T steps, I inputs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from farback.measures.base import Floats
from farback.measures.support.callable_system import CallableSystem
from farback.measures.support.system import System
from farback.measures.support.torch_systems import ModuleSystem, NetworkSystem
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Task

BATCH = 32  # sequences of an update of a trial, by default
BATCHES = 32
SPLITS = 16  # each half finds the direction for the other
FEWEST = 8
STEPS = 100_000  # sequences times steps; of longer sequences there are fewer batches

Interval = tuple[float, float, float]


def learning_signal(system: System, task: Task, seed: int) -> Interval | None:
    """Signal to noise of the gradient of a batch of 32, with a 95 % interval; None if there are no parameters.

    The signal is the mean difference between the gradients for the right answers and for the answers of other
    sequences of the batch: zero if no gradient comes from the cue. The noise is the standard deviation of the gradient
    from batch to batch, in the direction of the signal. This direction is found on one half of the batches, signal and
    noise on the other. At 1 the cue moves the parameters as far as chance does.
    """
    values = _trained(system)
    if not values:
        return None
    rng = stream(seed, "measure", "diagnosis", "gradient", task.lag)
    count = max(FEWEST, min(BATCHES, STEPS // (BATCH * max(1, task.lag))))
    right: list[Floats] = []
    other: list[Floats] = []
    with torch.enable_grad():
        for _ in range(count):
            batch = task.sample_exact(rng, BATCH)
            for found, order in ((right, torch.arange(BATCH)), (other, torch.from_numpy(rng.permutation(BATCH)))):
                found.append(_gradient(system, values, task, batch, order))
    right_MP, change_MP = np.stack(right), np.stack(right) - np.stack(other)
    if not np.isfinite(right_MP).all() or not right_MP.any():
        return None
    halves = [rng.permutation(count) % 2 == 0 for _ in range(SPLITS)]
    halves += [~half_M for half_M in halves]
    along = right_MP @ change_MP.T, change_MP @ change_MP.T  # all that follows needs these products only
    whole = _ratio(*along, halves, np.ones(count, bool))
    without = np.array([_ratio(*along, halves, np.arange(count) != m) for m in range(count)])
    error = float(np.sqrt((count - 1) / count * np.square(without - without.mean()).sum()))  # jackknife
    return whole, whole - 1.96 * error, whole + 1.96 * error


def _ratio(right_MM: Floats, change_MM: Floats, halves: list[NDArray[np.bool_]], used_M: NDArray[np.bool_]) -> float:
    """The mean ratio of signal and noise over halves that find the direction, from inner products with the changes."""
    ratios = []
    for half_M in halves:
        finds_M, tests_M = half_M & used_M, ~half_M & used_M
        noise = float(right_MM[np.ix_(tests_M, finds_M)].mean(1).std(ddof=1))
        signal = float(change_MM[np.ix_(tests_M, finds_M)].mean())
        ratios.append(signal / noise if noise > 0 else 0.0)
    return float(np.mean(ratios))


def _gradient(system: System, values: list[Tensor], task: Task, batch: Batch, order_B: Tensor) -> Floats:
    """The gradient of the mean loss, (P,), if each sequence is asked for the answers of another one."""
    asked_BT = batch.lag_BT == task.lag
    output_NO = system(batch.input_BTI)[0][asked_BT]
    target_N = batch.target_BT[asked_BT]
    if len(target_N) == BATCH:  # one answer in each sequence
        target_N = target_N[order_B]
    else:
        target_N = batch.target_BT[order_B][asked_BT]
    loss = task.answer.loss(output_NO, target_N.to(output_NO.dtype) if target_N.is_floating_point() else target_N)
    slopes = torch.autograd.grad(loss.mean(), values, allow_unused=True, materialize_grads=True)
    return np.concatenate([slope.detach().double().numpy().ravel() for slope in slopes])


def _trained(system: System) -> list[Tensor]:
    """The parameters that training would change, set to require a gradient; none if the system shows none."""
    if isinstance(system, NetworkSystem):
        own, frozen = system.network, system.network.architecture.frozen
        values = {
            name: value.detach().requires_grad_(name not in frozen and value.is_floating_point())
            for name, value in own.parameters.items()
        }
        system.network = Network(own.architecture, values)
        return [value for value in values.values() if value.requires_grad]
    if isinstance(system, ModuleSystem):
        modules: list[nn.Module] = [system.module]
    elif isinstance(system, CallableSystem) and system.run is not system.function:  # a copy, so nobody sees the change
        modules = system.held
    else:
        return []
    found = {id(value): value for module in modules for value in module.parameters() if value.is_floating_point()}
    return [value.requires_grad_() for value in found.values()]

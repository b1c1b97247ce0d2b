"""Samples of long sequences in parts, for measures whose memory must not grow with the lag.

Shapes: B sequences, T steps, I inputs.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from farback.measures.base import Sampled
from farback.networks.network import Network
from farback.networks.stretches import LONG
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Task
from farback.tasks.support.scores import scored_steps

PART_NUMBERS = 4_000_000  # of the states of one part,
WIDTH = 32  # where a step counts as at least this many


def runs_in_parts(network: Network, task: Task) -> bool:
    """Whether samples of a task run in parts: they are long, and end with their answer; the network can resume."""
    a = network.architecture
    if task.lag <= LONG or not task.draws_in_parts or a.unresumable or a.no_full_state:
        return False
    short = task.at(max(2, task.least))
    scored_BT = scored_steps(short.sample(stream(0, "probe"), 2))
    return scored_BT.shape[1] == short.lag + 1 and bool(scored_BT[:, -1].all())


def batches(measure: Sampled, network: Network, task: Task, seed: int, copies: int = 1) -> Iterator[Batch]:
    """The parts of a sample that the network runs in `copies` at once."""
    width = max(WIDTH, task.inputs, network.architecture.hidden)
    steps = max(1, PART_NUMBERS // (width * measure.sequences * copies))
    yield from task.sample_in_parts(stream(seed, "test", measure.name, task.lag), measure.sequences, steps)


def parts(measure: Sampled, network: Network, task: Task, seed: int, copies: int = 1) -> Iterator[tuple[int, Tensor]]:
    """The first step and the inputs (B, T, I) of each of the `batches`."""
    first = 0
    for batch in batches(measure, network, task, seed, copies):
        yield first, batch.input_BTI.double()
        first += batch.input_BTI.shape[1]

"""The script that a user could write instead: `torch.nn` modules, one process for each core, a CSV at the end.

`python -m benchmarks.speed.script UPDATES FILE` trains the 48 networks of `benchmarks/speed/sweep.yaml`, each for
UPDATES updates; with `LAGS SEEDS`, such as `5,10,20 2`, each of its networks at these lags with so many seeds. It does
not use farback.
"""

from __future__ import annotations

import csv
import itertools
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SYMBOLS, NOISE, HIDDEN, BATCH, VALIDATION, EVERY = 4, 8, 32, 32, 256, 100
NETWORKS: dict[str, Callable[[int], nn.RNNBase]] = {
    "tanh": lambda inputs: nn.RNN(inputs, HIDDEN, nonlinearity="tanh"),
    "relu": lambda inputs: nn.RNN(inputs, HIDDEN, nonlinearity="relu"),
    "gru": lambda inputs: nn.GRU(inputs, HIDDEN),
    "lstm": lambda inputs: nn.LSTM(inputs, HIDDEN),
}
LAGS, SEEDS = (20, 50, 100), range(4)


def batch(size: int, lag: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sequences of one cue, noise and a go flag, time first; and the cues."""
    steps, inputs = lag + 1, SYMBOLS + NOISE + 1
    cue_B = torch.randint(SYMBOLS, (size,), generator=generator)
    symbol_TB = SYMBOLS + torch.randint(NOISE, (steps, size), generator=generator)
    symbol_TB[0] = cue_B
    x_TBI = nn.functional.one_hot(symbol_TB, inputs).float()
    x_TBI[-1, :, -1] = 1.0
    return x_TBI, cue_B


def train(network: str, lag: int, seed: int, updates: int) -> list[tuple[Any, ...]]:
    """One network; a row at every evaluation."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    held_out = batch(VALIDATION, lag, torch.Generator().manual_seed(1000 + seed))
    rnn = NETWORKS[network](SYMBOLS + NOISE + 1)
    readout = nn.Linear(HIDDEN, SYMBOLS)
    parameters = [*rnn.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    rows = []
    for update in range(1, updates + 1):
        x_TBI, cue_B = batch(BATCH, lag, generator)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(readout(rnn(x_TBI)[0][-1]), cue_B)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if update % EVERY == 0:
            with torch.no_grad():
                logits = readout(rnn(held_out[0])[0][-1])
                accuracy = (logits.argmax(-1) == held_out[1]).float().mean().item()
                rows.append((network, lag, seed, update, loss.item(), accuracy))
    return rows


def main() -> None:
    """All networks, on every core that this process may use."""
    updates, file, *more = sys.argv[1:]
    lags, seeds = ([int(lag) for lag in more[0].split(",")], range(int(more[1]))) if more else (LAGS, SEEDS)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        specs = itertools.product(NETWORKS, lags, seeds)
        running = [pool.submit(train, network, lag, seed, int(updates)) for network, lag, seed in specs]
        rows = [row for future in running for row in future.result()]
    with Path(file).open("w", newline="") as out:
        csv.writer(out).writerows([("network", "lag", "seed", "update", "loss", "accuracy"), *rows])


if __name__ == "__main__":
    main()

"""Long sequences: in stretches that are kept or computed again, with symbols as codes, drawn in parts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from farback import cells, tasks
from farback.kernels.symbols import Symbols, steps_of
from farback.networks import stretches
from farback.training import batches, gradient, long_sequences
from farback.training.batches import BatchStream, CohortBatch, LongValidation, ScoredSteps
from farback.training.long_sequences import Coder, drawn
from farback.training.replicas import initial_network
from farback.trials.trial import Trial

CELLS = ["gru", "mgu", "indrnn", "lru", "mingru", "s4d", "mamba", "deltanet", "linoss", "janet", "antisymmetric"]
FORMS = [
    ("gru", {"depth": 2, "dropout": 0.3}),
    ("lstm", {"initial_state": "learned"}),
    ("lru", {"initial_state": "learned", "block": {"norm": "rms", "residual": True, "conv": 4}}),
    ("elman", {"bidirectional": True}),
]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sequences of more than 20 steps are long, in parts of 7 and stretches of 8 steps."""
    for module in (stretches, long_sequences):
        monkeypatch.setattr(module, "LONG", 20)
    monkeypatch.setattr(long_sequences, "PART", 7)
    monkeypatch.setattr(stretches, "UNIT", 8)
    long_sequences.steps_of_task.cache_clear()


def example(cell: str, task: object = "recall", lag: int = 40, **fields: object) -> tuple[Trial, ScoredSteps, list]:
    trials = [
        Trial(task=tasks.build(task), lag=lag, cell=cells.build(cell), hidden=6, batch=3, seed=seed, **fields)
        for seed in range(2)
    ]
    scored = ScoredSteps.of(trials[0])
    return trials[0], scored, trials


def passes(
    trials: list[Trial], scored: ScoredSteps, batch: CohortBatch, memory: int | None
) -> tuple[torch.Tensor, ...]:
    theta = torch.cat([value.flatten(1) for value in initial_network(trials).parameters.values()], 1)
    masks = ()
    if trials[0].dropout:
        shape = (2, *batch.x_RTBI.shape[1:3], 6)
        masks = (torch.rand(shape, generator=torch.Generator().manual_seed(1)).round() * 2,)
    return gradient.gradient(trials[0].architecture, theta, scored, batch, gradient.Options(masks, memory=memory))


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("cell", "fields"), [*((cell, {}) for cell in CELLS), *FORMS], ids=str)
def test_recomputed_equals_kept_equals_whole(
    cell: str, fields: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, scored, trials = example(cell, **fields)
    batch = BatchStream(trials, "train", scored, "cpu").next()
    assert isinstance(batch.x_RTBI, Symbols)
    kept, again = (passes(trials, scored, batch, memory) for memory in (None, 1))
    for ours, theirs in zip(again, kept, strict=True):
        assert torch.equal(ours, theirs)
    monkeypatch.setattr(stretches, "LONG", 10**9)
    dense = batch._replace(x_RTBI=steps_of(batch.x_RTBI, 0, batch.x_RTBI.shape[1]))
    for ours, theirs in zip(again, passes(trials, scored, dense, None), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=2e-6)


@pytest.mark.usefixtures("short")
def test_steps_after_the_last_answer_change_nothing() -> None:
    """With a fixed length the answers come at any step: here in the first half."""
    _, scored, trials = example("mgu", {"name": "recall", "lag": 5, "length": 60}, lag=5)
    batch = BatchStream(trials, "train", scored, "cpu").next()
    early = batch._replace(index_RN=torch.arange(3).add(3 * 20).expand(2, 3))
    kept, again = (passes(trials, scored, early, memory) for memory in (None, 1))
    cut = Symbols(batch.x_RTBI.code_RTB[:, :24], batch.x_RTBI.rows_CI)  # the first three stretches
    for ours, theirs, short in zip(again, kept, passes(trials, scored, early._replace(x_RTBI=cut), 1), strict=True):
        assert torch.equal(ours, theirs)
        assert torch.equal(ours, short)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("task", ["recall", "copy", "hold", "flipflop", "adding", "parity"])
def test_long_batches_are_those_of_the_task(task: str) -> None:
    trial, scored, trials = example("gru", task)
    batch = BatchStream(trials, "train", scored, "cpu").next()
    stream, coder = BatchStream(trials, "train", scored, "cpu"), Coder(trial.task.inputs)
    for r, rng in enumerate(stream.rngs):
        parts = list(long_sequences.parts_of(trial.task, rng, 3, None, exact=False))
        x_BTI, target_BT, lag_BT = (torch.cat(part, 1) for part in zip(*parts, strict=True))
        T = x_BTI.shape[1]
        assert long_sequences.steps_of_task(trial.task) == T
        assert torch.equal(steps_of(batch.x_RTBI, 0, T)[r], x_BTI.transpose(0, 1))
        asked = (lag_BT.T >= 0).flatten()
        assert torch.equal(batch.index_RN[r], asked.nonzero().flatten())
        assert torch.equal(batch.target_RN[r], target_BT.transpose(0, 1).flatten(0, 1)[asked])
        assert torch.equal(batch.needed_RN[r] > 0, lag_BT.T.flatten()[asked] > 0)
    assert isinstance(batch.x_RTBI, Symbols) == (task not in ("hold", "adding"))
    assert len(coder.codes) == 0


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("cell", ["lstm", "lru", "mgu"])
def test_validation_in_parts_gives_the_scores_of_all_sequences(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "VALIDATION", 12)
    _, scored, trials = example(cell, "hold")
    network, stream = initial_network(trials[:1]), BatchStream(trials[:1], "validation", scored, "cpu")
    data = stream.validation()
    assert isinstance(data, LongValidation)
    monkeypatch.setattr(batches, "LONG_STEPS", 5 * 41)
    assert [len(batch.index_RN[0]) for batch in data.batches()] == [5, 5, 2]
    with torch.no_grad():
        first, again = (scored.scores(network, data) for _ in range(2))
        assert first == again
        outputs, targets = [], []
        for batch in data.batches():
            whole = steps_of(batch.x_RTBI, 0, 41)
            outputs.append(network.readout(network.run(whole, index_RN=batch.index_RN)[0]))
            targets.append(batch.target_RN)
    answer = trials[0].task.answer
    expected = [
        float(each(torch.cat(outputs, 1), torch.cat(targets, 1)).double().mean())
        for each in (answer.correct, answer.loss)
    ]
    assert first == pytest.approx(expected, rel=1e-5)


def test_codes_are_exact_or_refused() -> None:
    rng = np.random.default_rng(0)
    coder = Coder(9)
    inputs = rng.integers(0, 2, (30, 4, 9)).astype(np.float32)
    first, second = coder.coded(inputs[:10]), coder.coded(inputs[10:20])
    assert first is not None
    assert second is not None
    assert (coder.rows()[first] == inputs[:10]).all()
    assert (coder.rows()[second] == inputs[10:20]).all()
    assert coder.coded(inputs + 0.5) is None
    every = (np.arange(512)[:, None] >> np.arange(9) & 1).astype(np.float32)
    assert Coder(9).coded(every[:256, None]) is not None
    assert Coder(9).coded(every[:257, None]) is None
    assert drawn(tasks.build("recall"), rng, 2, Coder(9)).input_TB.dtype == np.uint8


PEAK = """
import resource
import farback.training.loop
from farback.training.replicas import Replicas
from farback.trials.trial import Trial
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
spec = {"task": "recall", "cell": "lstm", "hidden": 32, "batch": 16}
assert Replicas([Trial.model_validate({**spec, "lag": 20})], memory=1).update(1) == (1, [True])
before = peak()
assert Replicas([Trial.model_validate({**spec, "lag": 100_000})], memory=100_000_000).update(1) == (1, [True])
print(peak() - before)
"""


@pytest.mark.slow
def test_a_long_update_stays_in_memory() -> None:
    """Rows and kept numbers of all steps take 1300 MB, and the inputs as numbers 58 MB."""
    found = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert float(found.stdout) < 60

"""Each cell overfits a small recall task: a cue, two noisy steps, the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from farback import cells
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Finished
from farback.trials.trial import Trial

FAST = ("mgu", "lru")  # the others are slow tests
# Other settings only where the published default is for longer lags: oscillators that hardly move in three steps.
SPECS: list[dict[str, Any]] = [
    *[{"name": name} for name in ("janet", "mgu", "ugrnn", "mingru", "minlstm", "lru", "slstm", "lem", "brc", "nbrc")],
    *[{"name": "indrnn", "nonlinearity": f} for f in ("relu", "tanh")],
    *[{"name": name} for name in ("deltanet", "gated_deltanet", "mamba2", "mlstm", "retnet", "gla", "hgrn2", "rwkv7")],
    {"name": "cornn", "dt": 0.5},
    {"name": "antisymmetric"},
    *[{"name": "exprnn", "rotation": rotation} for rotation in ("cayley", "henaff")],
    *[{"name": "elman", "nonlinearity": f} for f in ("leaky_relu", "gelu", "softsign", "modrelu", "sin")],
]


def learns(spec: dict[str, Any], trial_of: Callable[..., Trial], **fields: Any) -> None:
    """The network reaches success before its last update, and remembers on fresh data."""
    small = {"lag": 3, "hidden": 16, "batch": 32, "steps": 400, "evaluate_every": 20}
    judged = {"optimizer": {"name": "adam", "lr": 0.02}, "measures": [{"name": "retention", "sequences": 500}]}
    trial = trial_of(cell=spec, **{**small, **judged, **fields})
    (scores,) = [event.result.scores for event in train(Cohort.of(trial)) if isinstance(event, Finished)]
    value = scores.set_index(["measure", "statistic"])["value"]
    assert value["training", "updates"].item() < trial.steps
    assert value["retention", "accuracy"].item() > 0.97


@pytest.mark.parametrize(
    "spec",
    [pytest.param(spec, marks=[] if spec["name"] in FAST else pytest.mark.slow) for spec in SPECS],
    ids=[cells.build(spec).label() for spec in SPECS],
)
def test_a_small_network_learns_to_recall_at_lag_three(spec: dict[str, Any], trial_of: Callable[..., Trial]) -> None:
    learns(spec, trial_of)


@pytest.mark.slow
def test_an_echo_state_network_learns_with_its_readout_alone(trial_of: Callable[..., Trial]) -> None:
    """It needs more units, because their weights are not trained."""
    init = {"name": "scaled", "radius": 0.95}
    learns({"name": "echo_state"}, trial_of, hidden=96, init=init)


@pytest.mark.slow
def test_a_cornn_as_published_learns_too(trial_of: Callable[..., Trial]) -> None:
    """With dt = 0.042 the initial state is a thousandth of the input, so that learning needs many updates."""
    learns({"name": "cornn"}, trial_of, steps=2000)

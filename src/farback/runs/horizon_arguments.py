"""Checks the arguments of `farback.horizon` and turns them into the search for one network's horizon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import nn

from farback.cells.support.made_module import hidden_argument, takes_outputs
from farback.cells.support.user_class import path_of
from farback.experiment import ConfigError, Problem
from farback.experiment.chosen_trials import ChosenTrials
from farback.experiment.errors import worded
from farback.experiment.expansion import validated, why_not_chosen
from farback.experiment.problems import Mark
from farback.experiment.shown_names import with_own_names
from farback.experiment.yaml_tree import KeyValue, Node, tree_of
from farback.records.record import Record
from farback.runs.trial_checks import broken_laws
from farback.training.cohort_width import too_large
from farback.training.loop import fingerprint
from farback.trials.lags import AdaptiveLag
from farback.trials.trial import Trial

HERE = Mark("farback.horizon")  # the place in error messages
DEFAULTS: Mapping[str, Any] = {"batch": 16, "steps": 600, "evaluate_every": 50}  # those of configs/demo.yaml
HIDDEN = 32
RATES = (3e-3, 1e-2, 3e-2)  # learning rates of Adam, of which the best is chosen; those of configs/demo.yaml
NATIVE: Mapping[type[nn.Module], str] = {
    nn.RNN: "elman",
    nn.LSTM: "lstm",
    nn.GRU: "gru",
    nn.RNNCell: "elman",
    nn.LSTMCell: "lstm",
    nn.GRUCell: "gru",
}
NOT_HERE = {
    "cell": "is the first argument",
    "lag": "is chosen; the largest lag is `limit`",
    "train_lags": "must be fixed, because every network is trained at one lag",
}
ADAPTIVE = {"adaptive": "limit", "precision": "precision", "limit": "seeds"}  # the argument for each field


def horizon_search(
    network: Any,
    task: Any,
    settings: Mapping[str, Any],
    *,
    precision: float,
    limit: int,
    seeds: int | None,
) -> ChosenTrials:
    """The search for the horizon of a network, with a tuned learning rate unless the settings have an optimizer.

    Raises:
        ConfigError: an argument is wrong, or the network fails at its first step.
    """
    for key in settings.keys() & NOT_HERE.keys():
        raise ConfigError.at(HERE, key, NOT_HERE[key])
    task = _plain(task)
    if isinstance(task, dict) and task.get("lag") is not None:
        raise ConfigError.at(HERE, "task.lag", NOT_HERE["lag"])
    values = {"task": task, "lag": limit, **DEFAULTS, **_network(network, _plain(settings))}
    tuned = [("", values)]
    if "optimizer" not in settings:
        tuned = [(f"optimizer.lr {lr:g}", {**values, "optimizer": {"name": "adam", "lr": lr}}) for lr in RATES]
    longest = [_trial(each) for _, each in tuned]
    least = max(1, longest[0].task.least)
    adaptive = _adaptive(least, limit, precision, seeds)
    if large := too_large(longest):
        raise ConfigError.at(HERE, "limit", large)
    arms = tuple(trial.changed(lag=least) for trial in longest)
    if broken := broken_laws(arms[:1]):
        raise ConfigError(Problem(str(HERE), "network", text) for text in broken)
    try:
        fingerprint(arms[0])
    except Exception as error:
        raise ConfigError.at(
            HERE, "network", f"{arms[0].label} fails at the first step: {type(error).__name__}: {error}"
        ) from error
    return ChosenTrials(tuple(text for text, _ in tuned), arms, adaptive)


def _network(network: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with the spec of the cell or of the whole network, which gets the hidden size if its class has one.

    Raises:
        ConfigError: it is a module itself, not what makes modules; or a class does not take a hidden size.
    """
    spec = cell_spec(network)
    make = network["class"] if isinstance(network, Mapping) and "class" in network else network
    if not callable(make) or isinstance(spec, str) or not takes_outputs(make):
        return {"cell": spec, **settings}
    hidden, given, arguments = hidden_argument(make), settings.pop("hidden", HIDDEN), spec.get("with", {})
    if hidden and hidden not in arguments:
        arguments = {hidden: given, **arguments}
    elif given != HIDDEN:
        where = f"`with` sets {hidden} already" if hidden else "it takes no number of hidden units by name"
        raise ConfigError.at(HERE, "hidden", f"is not an argument of {spec['class']}: {where}; got {given}")
    return {"network": {"name": "module", "class": spec["class"], "with": arguments}, **settings}


def cell_spec(network: Any) -> Any:
    """The spec of the cell that a network stands for.

    Raises:
        ConfigError: it is a module itself, not what makes modules.
    """
    if isinstance(network, Mapping) and callable(network.get("class")):
        return {**_plain(network), "class": path_of(network["class"])}
    if isinstance(network, nn.Module):
        kind = type(network).__name__
        message = f"is a module; every training needs a fresh one: give the class {kind}, or a function that makes one"
        raise ConfigError.at(HERE, "network", message)
    if not callable(network):
        return _plain(network)
    native = NATIVE.get(network) if isinstance(network, type) else None
    return native or {"name": "module", "class": path_of(network)}


def _trial(values: Mapping[str, Any]) -> Trial:
    """The trial with these settings, at the largest lag."""
    names = {"cell": "network", "lag": "limit"}
    entries = {name: KeyValue(HERE, tree_of(value, HERE, names.get(name, name))) for name, value in values.items()}
    tree = with_own_names(KeyValue(HERE, Node(HERE, entries))).node
    made = validated(tree, HERE, (HERE, ""))
    if not isinstance(made, Trial):
        raise ConfigError(dict.fromkeys(made))
    if message := why_not_chosen(made, "the lags"):
        raise ConfigError.at(HERE, "", message)
    return made


def _adaptive(least: int, limit: int, precision: float, seeds: int | None) -> AdaptiveLag:
    if limit <= least:
        raise ConfigError.at(HERE, "limit", f"must be above {least}, the smallest lag to try, got {limit}")
    values = {"adaptive": [least, limit], "precision": precision}
    try:
        return AdaptiveLag.model_validate(values if seeds is None else {**values, "limit": seeds})
    except ValidationError as failure:
        error = failure.errors(include_url=False)[0]
        raise ConfigError.at(HERE, ADAPTIVE[str(error["loc"][0])], worded(error)) from None


def _plain(value: Any) -> Any:
    """A value with components as plain specs; the lag of a task that nobody set is left out."""
    if isinstance(value, Record):
        unset = {"lag"} - value.model_fields_set
        return {name: _plain(item) for name, item in value.model_dump(mode="json").items() if name not in unset}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value

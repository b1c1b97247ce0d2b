"""Selects the trials of an experiment that `--only key=value,value` names."""

from __future__ import annotations

from collections.abc import Sequence

from farback.experiment.problems import ConfigError, Problems, shown, word
from farback.experiment.yaml_tree import parse
from farback.records.component import Component
from farback.records.user_error import choices
from farback.trials.trial import Trial

SHOWN_VALUES = 20


def selected(trials: Sequence[Trial], filters: Sequence[str]) -> list[Trial]:
    """The trials that pass every filter, in the same order.

    Args:
        filters: each "key=value,value". A trial passes if the parameter has one of the values. The key of a component
            stands for its name, also as tables and figures show it: `cell=lstm`, `cell=LSTM`, `cell=RNN tanh`. The keys
            `key` and `label` work too.

    Raises:
        ConfigError: no trial has the key or the value, or no trial passes every filter.
    """
    problems = Problems()
    kept = list(trials)
    parameters = {}
    for trial in trials if filters else ():
        values = {**trial.parameters(), "key": trial.key, "label": trial.label}
        parameters[trial] = {name: _spelled(value) for name, value in values.items()}
    known = dict.fromkeys(name for values in parameters.values() for name in values)
    for text in filters:
        option = f"--only {text}"
        key, equals, written = text.partition("=")
        key = key.strip()
        if not equals or not key:
            problems.add(option, "", "write key=value or key=value,value, such as cell=lstm or lag=5,10")
            continue
        name = key if key in known else f"{key}.name"
        if name not in known:
            allowed = [name.removesuffix(".name") for name in known]
            problems.add(option, key, f"no trial has a parameter {shown(key)}; {choices(key, allowed)}")
            continue
        existing = list(dict.fromkeys(values[name] for values in parameters.values() if name in values))
        parts = [written] if written.strip() in existing else written.split(",")  # a value may contain commas itself
        selected_values = {_spelled(_value(part)) for part in parts}
        shown_so = {value: _shown_so(name, value, trials) for value in selected_values.difference(existing)}
        passing = {trial for own in shown_so.values() for trial in own}
        for value in sorted(value for value, own in shown_so.items() if not own):
            more = f" and {len(existing) - SHOWN_VALUES} more" if len(existing) > SHOWN_VALUES else ""
            hint = choices(value, existing[:SHOWN_VALUES])
            problems.add(option, key, f"no trial has {key} {shown(value)}; {hint}{more}")
        kept = [trial for trial in kept if trial in passing or parameters[trial].get(name) in selected_values]
    if not problems and not kept:
        problems.add(" ".join(f"--only {text}" for text in filters), "", "no trial passes all of these filters")
    if problems:
        raise ConfigError(problems)
    return kept


def _shown_so(name: str, value: str, trials: Sequence[Trial]) -> set[Trial]:
    """The trials whose component, of which `name` is the name ("cell.name"), tables and figures show as `value`."""
    components = {trial: getattr(trial, name.removesuffix(".name"), None) for trial in trials}
    return {
        trial
        for trial, component in components.items()
        if isinstance(component, Component) and component.label().lower() == value.lower()
    }


def _value(text: str) -> object:
    """A value parsed as YAML, so that 1e-3 equals 0.001; plain text if it is not a single YAML scalar."""
    try:
        value = parse(text, text).plain
    except ConfigError:
        return text.strip()
    return text.strip() if isinstance(value, list | dict) else value


def _spelled(value: object) -> str:
    """A value as text, the same for 5 and 5.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return value if isinstance(value, str) else word(value)

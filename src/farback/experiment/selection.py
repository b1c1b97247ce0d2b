"""`--only key=value,value`: a part of an experiment's trials."""

from __future__ import annotations

from collections.abc import Sequence

from farback.experiment.problems import ConfigError, Problem, shown, word
from farback.experiment.yaml_tree import parse
from farback.records.record import choices
from farback.trials.trial import Trial

SHOWN_VALUES = 20


def selected(trials: Sequence[Trial], filters: Sequence[str]) -> list[Trial]:
    """The trials that pass every filter, in their order.

    Args:
        trials: to choose from.
        filters: each "key=value,value": a trial passes when the parameter has one of the values. A component's key
            alone means its name: `cell=lstm`. `key` and `label` work too.

    Raises:
        ConfigError: a key that no trial has, a value that no trial has, or nothing that passes every filter.
    """
    problems: list[Problem] = []
    kept = list(trials)
    parameters = {trial: _searched(trial) for trial in trials} if filters else {}
    known = dict.fromkeys(name for values in parameters.values() for name in values)
    for text in filters:
        where = f"--only {text}"
        key, equals, written = text.partition("=")
        key = key.strip()
        if not equals or not key:
            problems.append(Problem(where, "", "write key=value or key=value,value, such as cell=lstm or lag=5,10"))
            continue
        name = key if key in known else f"{key}.name"
        if name not in known:
            allowed = [name.removesuffix(".name") for name in known]
            problems.append(Problem(where, key, f"no trial has a parameter {shown(key)}; {choices(key, allowed)}"))
            continue
        there = dict.fromkeys(_spelled(values[name]) for values in parameters.values() if name in values)
        wanted = {_spelled(_read(part)) for part in _parts(written, there)}
        problems += [Problem(where, key, _absent(key, value, list(there))) for value in sorted(wanted - there.keys())]
        kept = [trial for trial in kept if name in parameters[trial] and _spelled(parameters[trial][name]) in wanted]
    if not problems and not kept:
        problems.append(Problem(" ".join(f"--only {text}" for text in filters), "", "no trial passes all of these"))
    if problems:
        raise ConfigError(problems)
    return kept


def _searched(trial: Trial) -> dict[str, object]:
    return {**trial.parameters(), "key": trial.key, "label": trial.label}


def _parts(written: str, there: dict[str, None]) -> list[str]:
    """The values between commas; a value that has commas itself is taken whole."""
    return [written] if written.strip() in there else written.split(",")


def _read(text: str) -> object:
    """A value as YAML reads it, so that 1e-3 is 0.001; what is not one YAML word is taken as it is."""
    try:
        value = parse(text, text).plain
    except ConfigError:
        return text.strip()
    return text.strip() if isinstance(value, list | dict) else value


def _spelled(value: object) -> str:
    return value if isinstance(value, str) else word(value if not isinstance(value, int | float) else _number(value))


def _number(value: bool | int | float) -> bool | int | float:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _absent(key: str, value: str, there: list[str]) -> str:
    more = f" and {len(there) - SHOWN_VALUES} more" if len(there) > SHOWN_VALUES else ""
    return f"no trial has {key} {shown(value)}; {choices(value, there[:SHOWN_VALUES])}{more}"

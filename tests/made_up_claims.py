"""Made-up scores of the experiments whose claims are judged by measures, horizons or forecasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from farback.trials.trial import Trial

Values = Iterator[tuple[str, int, int, str, float]]  # measure, step, lag, statistic, value


def behaviour(trial: Trial, skill: float, lag: int | None = None) -> Values:
    at = trial.lag if lag is None else lag
    rows = {"skill": skill, "accuracy": 0.25 + 0.75 * skill, "chance_accuracy": 0.25, "success": float(skill >= 0.5)}
    yield from (("retention", trial.steps, at, statistic, value) for statistic, value in rows.items())
    yield "retention", trial.steps, at, "loss", 1.0 - skill
    if lag is None:
        yield from (("valid", step, -1, "skill", skill * step / trial.steps) for step in (50, trial.steps))


def bridges(default: float, orthogonal: float) -> Callable[[Trial], Values]:
    """A tanh RNN that learns these lags from PyTorch's default and from the orthogonal start; the others learn all."""

    def values(trial: Trial) -> Values:
        reach = {"RNN tanh": default, "RNN tanh, orthogonal": orthogonal}.get(trial.label, 1e6)
        if trial.train_lags == "fixed":
            yield from behaviour(trial, float(trial.lag <= reach + trial.seed % 5 / 10))
        else:
            for lag in (1, 2, 5, 10, 20, 40, 80, 160, 320):
                yield from behaviour(trial, float(lag <= reach), lag)
        for step in {0, trial.steps}:
            curve = {"tau": 2.0, "slope": -0.5, "half_life": 1.4, "reach": 12.0, "exploding": 0.0, "law": 1.0}
            yield from (("gradient_reach", step, -1, statistic, value) for statistic, value in curve.items())
            yield from (("gradient_reach", step, lag, "log10", -0.2 * lag) for lag in range(81))

    return values


def split(trial: Trial) -> Values:
    """Scores of seeds that disagree: of every five, each learns and retains another lag, 20 in the middle."""
    yield from bridges(*(2 * [(5.0, 10.0, 20.0, 28.0, 40.0)[trial.seed % 5]]))(trial)


def flows(default: float, orthogonal: float, limit: float) -> Callable[[Trial], Values]:
    """Gradients that reach so far, and explode above a gain."""

    def values(trial: Trial) -> Values:
        fields = trial.init.spec()
        gain = float(fields.get("gain", fields.get("radius", 0.6)))
        slope = (-0.5 if trial.init.name == "torch" and limit > 0 else 0.3 * (gain - limit)) + 0.001 * trial.seed
        reach = orthogonal if trial.init.label() == "orthogonal" else default
        curve = {
            "tau": 2.0,
            "slope": slope,
            "half_life": 1.4,
            "reach": reach,
            "exploding": float(slope > 0),
            "law": 1.0,
        }
        yield from (("gradient_reach", 0, -1, statistic, value) for statistic, value in curve.items())
        yield from (("gradient_reach", 0, lag, "log10", slope * lag / 2.3) for lag in range(61))

    return values


def disagree(trial: Trial) -> Values:
    """Gradients that grow in every other seed, and reach far in those."""
    yield from (flows(40, 40, -1.0) if trial.seed % 2 else flows(11, 11, 9.0))(trial)


def chains(limit: float, off: float) -> Callable[[Trial], Values]:
    """Exponents that are above 0 beyond a gain, and slopes that differ from them by so much."""

    def values(trial: Trial) -> Values:
        exponent = 0.4 * (float(trial.init.spec().get("gain", 0.6)) - limit) + 0.001 * trial.seed
        yield "gradient_reach", 0, -1, "slope", exponent + off
        yield "lyapunov", 0, -1, "largest", exponent

    return values


def apart(rule: Callable[[Trial], bool]) -> Callable[[Trial], Values]:
    """Exponents of either sign, by seed, and slopes that differ from them by 0.1 where a rule says so."""

    def values(trial: Trial) -> Values:
        exponent = 0.1 if trial.seed % 2 else -0.1
        yield "gradient_reach", 0, -1, "slope", exponent + 0.1 * rule(trial)
        yield "lyapunov", 0, -1, "largest", exponent

    return values


def forecasts(rule: Callable[[Trial], float]) -> Callable[[Trial], Values]:
    """Skill by a rule; where the last days have a say, seventeen of them remembered."""

    def values(trial: Trial) -> Values:
        skill = rule(trial) + 0.001 * trial.seed
        yield from behaviour(trial, skill)
        yield from (("ladder", trial.steps, -1, name, value) for name, value in {"height": 17.0, "loss": 0.4}.items())
        for rung in range(21):
            yield "ladder", trial.steps, rung, "rung_height", float(rung)
            yield "ladder", trial.steps, rung, "rung_loss", 0.6 - 0.01 * rung
        names = ("observed", "truth", "bayes", "predicted")
        yield from (("maps", trial.steps, pixel, name, 0.5) for name in names for pixel in range(36))

    return values


def starts(**reach: int) -> Callable[[Trial], Values]:
    """An LSTM that learns these lags from each start; a tanh RNN learns lag 10, or as said."""

    def values(trial: Trial) -> Values:
        own = reach.get(trial.init.name, 0) if trial.cell.name == "lstm" else reach.get("tanh", 10)
        yield from behaviour(trial, float(trial.lag <= own))

    return values


def outputs(two: bool, padded: bool, one: bool = True) -> Callable[[Trial], Values]:
    """Equalities of torch's modules, in one direction, in two and with padding as given."""

    def values(trial: Trial) -> Values:
        found = {"last": two if trial.bidirectional else one, "forward_last": True, "own_last": True}
        found |= {"padded_last": padded, "padded_own_last": True}
        if trial.bidirectional:
            found |= {"backward_last": two, "backward_first": True, "padded_backward_first": True}
        yield from (("last_output", 0, -1, name, float(equal)) for name, equal in found.items())

    return values


def neighbours(alone: float, wide: float = 0.99, stays: float = 0.99) -> Callable[[Trial], float]:
    def skill(trial: Trial) -> float:
        fields: dict[str, Any] = {**trial.task.spec(), **trial.encoder.spec()}
        if list(fields["drift"]) == [0, 0]:
            return stays
        return wide if fields["kernel"] == 3 else alone

    return skill


def days(last: float, five: float, ten: float, flat: float, flat_ten: float | None = None) -> Callable[[Trial], float]:
    def skill(trial: Trial) -> float:
        if trial.cell.name == "memoryless":
            return last
        if trial.encoder.spec().get("state") == "map":
            return flat if trial.lag < 10 or flat_ten is None else flat_ten
        return five if trial.lag == 5 else ten

    return skill


def holds(single: Callable[[Trial], float], several: float = 1.0, counts: int = 3) -> Callable[[Trial], Values]:
    """Networks trained at one lag fail by decay; of those trained on short lags every second has several states."""

    def values(trial: Trial) -> Values:
        if trial.train_lags == "fixed":
            yield from behaviour(trial, float(trial.lag <= 40))
            right = trial.lag <= 40
            yield "diagnosis", trial.steps, trial.lag, "share_none" if right else "share_decays", 1.0
            if not right:
                yield "diagnosis", trial.steps, trial.lag, "not_learnable", 1.0
                yield "diagnosis", trial.steps, trial.lag, "step", 4.0
            return
        many = trial.seed % 2 == 0
        far = several if many else single(trial)
        for lag, skill in ((20, 1.0), (80, 1.0), (320, far)):
            yield from behaviour(trial, skill, lag)
        yield from (("valid", step, -1, "skill", 1.0) for step in (50, trial.steps))
        yield "diagnosis", trial.steps, 320, "share_none" if far > 0.5 else "share_drifts", 1.0
        yield "multistability", trial.steps, -1, "count", float(counts if many else 1)
        yield "multistability", trial.steps, -1, "unsettled", 0.0
        yield "multistability", trial.steps, -1, "missed", 0.023

    return values

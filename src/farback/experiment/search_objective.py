"""The objectives of a search: what it maximises or minimises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from farback.experiment.problems import Problems, shown
from farback.experiment.yaml_tree import KeyValue
from farback.records.user_error import choices
from farback.trials.trial import Trial

OBJECTIVES = ("horizon", "skill", "area", "updates")
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Objective:
    """A number that a search maximises or minimises, as the mean over the seeds of a setting.

    `lag` is the lag at which skill is measured; None means the training lag.
    """

    kind: str
    lag: int | None = None

    def __str__(self) -> str:
        if self.kind == "skill":
            return "skill" if self.lag is None else f"skill at lag {self.lag}"
        return {"area": "area under the retention curve", "updates": "updates to solve"}.get(self.kind, self.kind)

    @property
    def name(self) -> str:
        """The name of the metric and of the column for this objective: "skill_lag_40"."""
        return self.kind if self.lag is None else f"{self.kind}_lag_{self.lag}"

    @property
    def direction(self) -> Direction:
        """The default direction: updates are minimized, all other objectives are maximized."""
        return "minimize" if self.kind == "updates" else "maximize"

    def missing(self, trial: Trial) -> str:
        """What a trial lacks to compute this objective, as a message; empty if it lacks nothing."""
        if self.kind == "updates":
            return ""
        measures = [measure for measure in trial.measures if measure.name == "retention" and "end" in measure.at]
        if not measures:
            return "the trials do not measure retention at the end of training: add retention to measures"
        if not trial.task.has_lags:
            known = f"{trial.task.name} does not say which lags its answers need"
            return "" if (self.kind, self.lag) == ("skill", None) else f"{known}: use skill without a lag, or updates"
        lags = {trial.lag, *(lag for measure in measures for lag in getattr(measure, "lags", ()))}
        if self.kind == "skill":
            if self.lag in (None, *lags):
                return ""
            return f"no measure has lag {self.lag}: retention is measured at {shown(sorted(lags))}"
        if len({lag for lag in lags if lag > 0}) > 1:
            return ""
        return f"retention is needed at several lags above 0, but is measured at {shown(sorted(lags))}"


def objectives(entry: KeyValue, problems: Problems) -> list[Objective]:
    """The one or two objectives of a search. Problems are added to `problems`."""
    nodes = entry.node.value if isinstance(entry.node.value, tuple) else (entry.node,)
    path = "search.objective"
    if not 1 <= len(nodes) <= 2:
        problems.add(entry.key, path, f"a search has one objective, or two for a Pareto front, got {len(nodes)}")
        return []
    made = []
    for node in nodes:
        skill = node.child("skill") if len(node.entries) == 1 else None
        if isinstance(node.value, str) and node.value in OBJECTIVES:
            made.append(Objective(node.value))
        elif skill is not None and type(skill.value) is int and skill.value >= 0:
            made.append(Objective("skill", skill.value))
        else:
            near = f"; {choices(node.value, [*OBJECTIVES])}" if isinstance(node.value, str) else ""
            message = f"must be horizon, skill, {{skill: LAG}}, area or updates, got {shown(node.plain)}{near}"
            problems.add(node.mark, path, message)
    if len(made) == 2 and made[0] == made[1]:
        problems.add(entry.key, path, f"{made[0]} is given twice")
    return made


def directions(entry: KeyValue | None, objectives: list[Objective], problems: Problems) -> list[Direction]:
    """The direction of each objective: from the config, or the objective's default."""
    if entry is None or entry.node.value is None:
        return [objective.direction for objective in objectives]
    given = entry.node.plain if isinstance(entry.node.value, tuple) else [entry.node.plain]
    if objectives and (len(given) != len(objectives) or not all(one in ("maximize", "minimize") for one in given)):
        message = f"must be maximize or minimize, one for each objective, got {shown(entry.node.plain)}"
        problems.add(entry.key, "search.direction", message)
    return list(given)

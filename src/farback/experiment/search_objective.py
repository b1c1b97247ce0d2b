"""What a search makes as large, or as small, as it can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from farback.experiment.problems import Problem, shown
from farback.experiment.yaml_tree import Entry
from farback.records.record import choices
from farback.trials.trial import Trial

OBJECTIVES = ("horizon", "skill", "area", "updates")
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Objective:
    """What is made as large, or as small, as it can be: the mean of this over a setting's seeds.

    Attributes:
        kind: horizon, skill, area or updates.
        lag: of the skill; None: the lag that is trained.
    """

    kind: str
    lag: int | None = None

    def __str__(self) -> str:
        if self.kind == "skill":
            return "skill" if self.lag is None else f"skill at lag {self.lag}"
        return {"area": "area under the retention curve", "updates": "updates to solve"}.get(self.kind, self.kind)

    @property
    def name(self) -> str:
        """As the name of a metric or column: "skill_lag_40"."""
        return self.kind if self.lag is None else f"{self.kind}_lag_{self.lag}"

    @property
    def direction(self) -> Direction:
        """The better one."""
        return "minimize" if self.kind == "updates" else "maximize"

    def missing(self, trial: Trial) -> str:
        """What a trial lacks to have this objective; nothing where it has it."""
        if self.kind == "updates":
            return ""
        ends = [measure for measure in trial.measures if measure.name == "retention" and "end" in measure.at]
        if not ends:
            return "needs the measure retention at the end"
        lags = {trial.lag, *(lag for measure in ends for lag in getattr(measure, "lags", ()))}
        if self.kind == "skill":
            if self.lag in (None, *lags):
                return ""
            return f"no measure has lag {self.lag}: retention is measured at {shown(sorted(lags))}"
        if len({lag for lag in lags if lag > 0}) > 1:
            return ""
        return f"needs retention at several lags above 0, it is measured at {shown(sorted(lags))}"


def objectives(entry: Entry, problems: list[Problem]) -> list[Objective]:
    """One objective, or two."""
    several = entry.node.value if isinstance(entry.node.value, tuple) else (entry.node,)
    where = "search.objective"
    if not 1 <= len(several) <= 2:
        message = f"takes one objective, or two for a Pareto front, got {len(several)}"
        problems.append(Problem(str(entry.key), where, message))
        return []
    found = []
    for node in several:
        lag = node.entries["skill"].node.plain if set(node.entries) == {"skill"} else None
        if isinstance(node.value, str) and node.value in OBJECTIVES:
            found.append(Objective(node.value))
        elif type(lag) is int and lag >= 0:
            found.append(Objective("skill", lag))
        else:
            near = f"; {choices(node.value, [*OBJECTIVES])}" if isinstance(node.value, str) else ""
            message = f"must be horizon, skill, {{skill: LAG}}, area or updates, got {shown(node.plain)}{near}"
            problems.append(Problem(str(node.mark), where, message))
    if len(found) == 2 and found[0] == found[1]:
        problems.append(Problem(str(entry.key), where, f"{found[0]} stands twice"))
    return found


def directions(entry: Entry | None, objectives: list[Objective], problems: list[Problem]) -> list[Direction]:
    """The direction of each objective: as given, else the objective's own."""
    if entry is None or entry.node.value is None:
        return [objective.direction for objective in objectives]
    given = [node.plain for node in entry.node.value] if isinstance(entry.node.value, tuple) else [entry.node.plain]
    if objectives and (len(given) != len(objectives) or not all(one in ("maximize", "minimize") for one in given)):
        message = f"must be maximize or minimize, one for each objective, got {shown(entry.node.plain)}"
        problems.append(Problem(str(entry.key), "search.direction", message))
    return given

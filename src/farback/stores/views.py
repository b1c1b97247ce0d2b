"""What a person sees in MLflow's pages: the saved views of an experiment.

A saved view is an experiment tag that holds the state of MLflow's run page, deflated. MLflow does not document it: what
is written here was looked at in a browser with 3.17.2; look again before MLflow's pin in pyproject.toml moves.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from farback.stores import charts
from farback.stores import charts as columns
from farback.stores.charts import Section

TAG = "mlflow.sharedViewState."
VIEWED = "farback.viewed"  # a hash of the trials that the views were written for

TRIALS = "tags.kind = 'trial'"
CELL, PROTOCOL, LAG = "cell", "train_lags", "lag"
ASKED = "measures.retention.lags"  # at which lags a trained network is asked; there where a config lists them
GROUP = (CELL, PROTOCOL, LAG, ASKED)  # what decides which runs are averaged
FIXED = "fixed"  # the protocol of a net that is trained at one lag
FIRST = (CELL, LAG, "seed")
BEHIND = ("measures", "parameters", "state", "flops")  # how it was measured and its sizes, behind what it came to
ALWAYS = ("final/skill", "retention/horizon", "best/skill", "final/accuracy", "final/loss")
DECIDING = ("lag", "cell", "init.name", "depth", "seed")


@dataclass(frozen=True)
class SearchViews:
    """What the views of a search show.

    Attributes:
        parameters: those that are searched, by the names that their runs have.
        objectives: the name of each, and whether the largest is the best; runs have them as `search/NAME` (the value
            that the optimiser was told) and `own/NAME` (the run's own).
        groups: their names.
        settings: those that are trained on fresh seeds.
    """

    parameters: tuple[str, ...]
    objectives: tuple[tuple[str, bool], ...]
    groups: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """One saved view."""

    id: str
    name: str
    chart: bool  # opens on the charts, not on the table
    columns: tuple[str, ...]
    grouped: bool = False
    sections: tuple[Section, ...] = ()
    filter: str = TRIALS
    fixed: bool | None = None  # shows nets that are trained at one lag, those trained on many, or all
    by: tuple[str, ...] = ()  # the parameters that make a group, where `grouping` does not say...
    folded: tuple[str, ...] = ()  # ...and the groups that start folded, as MLflow names them
    order: tuple[str, bool] | None = None  # column, and whether the smallest comes first

    @property
    def searched(self) -> str:
        """What MLflow searches for."""
        if self.fixed is None:
            return self.filter
        return f"{self.filter} and params.{PROTOCOL} {'=' if self.fixed else '!='} '{FIXED}'"

    def state(self, parameters: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """The state of MLflow's run page.

        Args:
            parameters: of each trial, as logged: the groups of runs that they make start folded.
        """
        own = [each for each in parameters if self.fixed is None or (each.get(PROTOCOL) == FIXED) is self.fixed]
        by = self.by or grouping(own)
        made = {",".join(f"param.{name}.{each.get(name)}" for name in by) for each in own}
        groups = self.folded if self.by else sorted(made)
        # MLflow's page loads 100 runs: ordered by seed, they are every cell and lag with the first seeds, where
        # the newest would be a few cells with all of theirs
        seeds_first = self.grouped or self.chart
        column, ascending = self.order or ("params.`seed`" if seeds_first else "attributes.start_time", seeds_first)
        cards, sections = charts.cards(self.id, self.sections)
        return {
            "searchFilter": self.searched,
            "orderByKey": column,
            "orderByAsc": ascending,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            **columns.layout(self.columns, self.grouped),
            "runsExpanded": {},
            "runsPinned": [],
            "runsHidden": [],
            "runsVisibilityMap": {},
            "runsHiddenMode": "SHOW_ALL",
            "compareRunCharts": cards,
            "compareRunSections": sections,
            "viewMaximized": self.chart,
            "runListHidden": False,
            "isAccordionReordered": True,  # keeps our order of sections
            "groupBy": {
                "aggregateFunction": "average",
                "groupByKeys": [{"mode": "param", "groupByData": name} for name in by],
            }
            if self.grouped
            else None,
            "groupsExpanded": dict.fromkeys(groups, False) if self.grouped else {},
            "autoRefreshEnabled": True,
            "useGroupedValuesInCharts": True,
            "hideEmptyCharts": True,
            "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
            "chartsSearchFilter": "",
        }


def grouping(parameters: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """The parameters whose levels are lines of their own: the cell, and what must not be averaged over.

    A mean over the two protocols says nothing, nor does one over nets that were trained at different lags and then
    asked at all of them. A net that is asked at its own lag alone is one point of its cell's line.

    Args:
        parameters: of each trial that is shown, as logged.
    """
    protocols = {each.get(PROTOCOL) for each in parameters}
    asked = {each.get(LAG) for each in parameters if each.get(PROTOCOL) == FIXED and ASKED in each}
    return (CELL, *([PROTOCOL] if len(protocols) > 1 else []), *([LAG] if len(asked) > 1 else []))


def saved(varying: Sequence[str]) -> tuple[View, ...]:
    """The project's views.

    Args:
        varying: the parameters that differ between the experiment's trials.
    """
    others = tuple(name for name in varying if name not in FIRST and not name.startswith("cell."))
    behind = tuple(name for name in others if name.startswith(BEHIND))
    trained = tuple(name for name in others if name not in behind)
    trials = (
        *columns.named("params", FIRST + trained),
        *columns.named("tags", ["status"]),
        *columns.named("metrics", ALWAYS),
    )
    trials += columns.named("params", behind)
    cells = columns.named("metrics", ALWAYS)
    decides = tuple(name for name in DECIDING if name in varying) or DECIDING[:2]
    by_lag = (*charts.BY_LAG, charts.TRAINING)
    far = View("farback-far", "How far back", True, cells, grouped=True, sections=by_lag)
    if PROTOCOL in varying:  # one network asked at every lag, and a network for every lag: two answers, two views
        each_lag = replace(far, id="farback-learn", name="Trained at each lag", fixed=True)
        lines: tuple[View, ...] = (replace(far, fixed=False), each_lag)
    else:
        lines = (far,)
    return (
        *lines,
        View("farback-cells", "Cells", False, cells, grouped=True, sections=(charts.WORTH, charts.TRAINING)),
        View("farback-trials", "Trials", False, trials, sections=(charts.TRAINING,)),
        View("farback-decides", "What decides", True, trials, sections=(charts.deciding(decides), charts.WORTH)),
    )


def studied(study: SearchViews) -> tuple[View, ...]:
    """The views of a search: best first, on fresh seeds, by group, parallel coordinates."""
    (name, largest), others = study.objectives[0], study.objectives[1:]
    seen, own = f"search/{name}", f"own/{name}"
    values = (seen, *(f"search/{other}" for other, _ in others))
    searched = (*study.parameters, "seed")
    said = ("optuna.number", "optuna.state", "optuna.reason", "status")
    best = (f"metrics.`{seen}`", not largest)
    trials = (*columns.named("params", ["group"]), *columns.named("metrics", (*values, own)))
    trials += (*columns.named("params", searched), *columns.named("tags", said))
    means = columns.named("metrics", (own, *values, *ALWAYS))
    searching = f"{TRIALS} and tags.phase = 'search'"
    worth = Section(f"The result: {name} on fresh seeds, mean over seeds", (charts.bar(own),))
    group = Section(f"By group: {name} as the search saw it, mean over its trials", (charts.bar(seen),))
    paths = charts.parallel(("group", *study.parameters), (seen,))
    from_setting = Section(f"From the setting to {name} as the search saw it, a line for each trial", (paths,))
    return (
        View("farback-best", "Best first", False, trials, filter=searching, order=best),
        View(
            "farback-fresh",
            "On fresh seeds",
            True,
            means,
            grouped=True,
            sections=(worth, charts.TRAINING),
            filter=f"{TRIALS} and tags.phase = 'report'",
            by=("setting",),
            folded=tuple(f"param.setting.{each}" for each in study.settings),
        ),
        View(
            "farback-groups",
            "By group",
            False,
            means,
            grouped=True,
            sections=(group, charts.TRAINING),
            filter=searching,
            by=("group",),
            folded=tuple(f"param.group.{each}" for each in study.groups),
        ),
        View(
            "farback-parallel",
            "Parallel coordinates",
            True,
            trials,
            sections=(from_setting,),
            filter=searching,
            order=best,
        ),
    )


def written(keys: Collection[str]) -> list[View]:
    """The views that an experiment with tags of these names has, as far as links need them; by default a sweep's."""
    sweep, search = saved([PROTOCOL]), studied(SearchViews((), (("value", True),)))
    return [view for view in (*sweep, *search) if TAG + view.id in keys] or list(saved([]))


def write_views(
    client: Any,
    experiment_id: str,
    keys: Iterable[str],
    parameters: Iterable[dict[str, str]],
    study: SearchViews | None = None,
) -> None:
    """Write the saved views of an experiment; those that are there already and the same are left alone.

    Args:
        client: an MLflow client.
        experiment_id: MLflow's.
        keys: of the trials.
        parameters: of each trial, as logged; not looked at where the views of these very trials are there already.
        study: what is searched, where the experiment is a search: it has views of its own.
    """
    there = client.get_experiment(experiment_id).tags
    now = int(time.time() * 1000)
    chosen = studied(study) if study else saved([])
    of = "" if study else _of(keys)
    if of and there.get(VIEWED) == of and all(TAG + view.id in there for view in chosen):
        return
    shown = [] if study else covering(parameters)
    for view in chosen if study else saved(varying(shown)):
        state = view.state(shown)
        before = json.loads(there.get(TAG + view.id, "{}"))
        if before.get("name") == view.name and before.get("state") and unpacked(before["state"]) == state:
            continue
        entry = {"name": view.name, "createdAt": before.get("createdAt", now), "updatedAt": now}
        client.set_experiment_tag(experiment_id, TAG + view.id, json.dumps({**entry, "state": packed(state)}))
    if of:
        client.set_experiment_tag(experiment_id, VIEWED, of)


def _of(keys: Iterable[str]) -> str:
    """What the views of a sweep depend on: its trials, and how this release draws views."""
    drawn = json.dumps([view.state() for view in saved([PROTOCOL])], sort_keys=True)
    return hashlib.sha256("".join([drawn, *sorted(keys)]).encode()).hexdigest()[:16]


def covering(parameters: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Of the parameters of many trials, enough to show every level of each, what lacks one, and every group."""
    seen: set[Any] = set()
    kept = []
    for each in parameters:
        shows = {*each.items(), tuple(each), tuple(each.get(name) for name in GROUP)}
        if not shows <= seen:
            kept.append(each)
            seen |= shows
    return kept


def varying(parameters: Sequence[dict[str, str]]) -> list[str]:
    """The parameters that do not have one value in all trials, in the order of the first trial that has them."""
    names = dict.fromkeys(name for each in parameters for name in each)
    return [name for name in names if len({each.get(name) for each in parameters}) > 1]


def packed(state: dict[str, Any]) -> str:
    """A state as MLflow keeps it."""
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state, sort_keys=True).encode())).decode()


def unpacked(text: str) -> Any:
    """The inverse of `packed`."""
    return json.loads(zlib.decompress(base64.b64decode(text.removeprefix("deflate;"))))

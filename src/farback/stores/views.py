"""The saved views of an experiment in MLflow's pages.

A saved view is an experiment tag that holds the state of MLflow's run page, deflated. MLflow does not document this
state: a browser test checks it with MLflow 3.17.2. Repeat that test before MLflow's pin in pyproject.toml changes.
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

from farback.stores import chart_layout
from farback.stores.chart_colours import group_id, told_apart
from farback.stores.chart_layout import Section, named

TAG = "mlflow.sharedViewState."
VIEWED = "farback.viewed"  # a hash of the trials for which the views were written

TRIALS = "tags.kind = 'trial'"
CELL, PROTOCOL, LAG = "cell", "train_lags", "lag"
TEST_LAGS = "measures.retention.lags"  # the lags at which a network is tested, where a config lists them
GROUP = (CELL, PROTOCOL, LAG, TEST_LAGS)  # these decide which runs are averaged
FIXED = "fixed"  # value of `train_lags` for a network that is trained at one lag
MEAN, OWN = "mean over seeds", "this network"  # the first part of the names of a search's metrics
FIRST = (CELL, LAG, "seed")
LAST = ("measures", "parameters", "state", "flops")  # columns of measures and sizes come after the results
HORIZON = "horizon"  # the tag with a network's horizon, also where it is a bound
RESULTS = ("final/skill", "retention/horizon", "best/skill", "final/accuracy", "final/loss")
DECIDING = ("lag", "cell", "init.name", "depth", "seed")


@dataclass(frozen=True)
class SearchViews:
    """What the views of a search show.

    A run has each objective twice: `mean over seeds/NAME`, the value that Optuna received, and `this network/NAME`.
    """

    parameters: tuple[str, ...]  # the searched ones, by their names in runs
    objectives: tuple[tuple[str, bool], ...]  # the name of each, and whether it is maximised
    groups: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()  # those that are trained on fresh seeds


@dataclass(frozen=True)
class View:
    """One saved view."""

    id: str
    name: str
    chart: bool  # opens on the charts, not on the table
    columns: tuple[str, ...]
    sections: tuple[Section, ...]
    grouped: bool = False
    filter: str = TRIALS
    fixed: bool | None = None  # show networks trained at one lag (True), at many (False), or all
    by: str = ""  # the parameter that makes the groups; chosen by `grouping` if empty
    levels: tuple[str, ...] = ()  # the values of `by`
    order: tuple[str, bool] | None = None  # column, and whether the smallest comes first

    @property
    def searched(self) -> str:
        """The filter in MLflow's search field."""
        if self.fixed is None:
            return self.filter
        return f"{self.filter} and params.{PROTOCOL} {'=' if self.fixed else '!='} '{FIXED}'"

    def state(self, parameters: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """The state of MLflow's run page; the groups of trials with these logged parameters start folded."""
        own = [each for each in parameters if self.fixed is None or (each.get(PROTOCOL) == FIXED) is self.fixed]
        by = (self.by,) if self.by else told_apart(grouping(own), own)
        groups = {group_id(by, each) for each in own}
        if self.by:
            groups = {f"param.{self.by}.{level}" for level in self.levels}
        # MLflow's page loads 100 runs: sorted by seed, these are all cells and lags with their first seeds; sorted by
        # time, they would be a few cells with all seeds
        by_seed = self.grouped or self.chart
        column, ascending = self.order or ("params.`seed`" if by_seed else "attributes.start_time", by_seed)
        cards, sections = chart_layout.cards(self.id, self.sections)
        keys = [{"mode": "param", "groupByData": name} for name in by]
        return {
            "searchFilter": self.searched,
            "orderByKey": column,
            "orderByAsc": ascending,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            **chart_layout.layout(self.columns, self.grouped),
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
            "groupBy": {"aggregateFunction": "average", "groupByKeys": keys} if self.grouped else None,
            "groupsExpanded": dict.fromkeys(sorted(groups), False) if self.grouped else {},
            "autoRefreshEnabled": True,
            "useGroupedValuesInCharts": True,
            "hideEmptyCharts": True,
            "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
            "chartsSearchFilter": "",
        }


def grouping(parameters: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """The parameters that make groups: the cell, and what must not be averaged over.

    A mean over networks trained at one lag and at many lags is meaningless, and so is a mean over networks that were
    trained at different lags and tested at all of them. A network tested only at its own lag is one point of a line.
    """
    protocols = {each.get(PROTOCOL) for each in parameters}
    lags = {each.get(LAG) for each in parameters if each.get(PROTOCOL) == FIXED and TEST_LAGS in each}
    return (CELL, *([PROTOCOL] if len(protocols) > 1 else []), *([LAG] if len(lags) > 1 else []))


def sweep_views(varying: Sequence[str]) -> tuple[View, ...]:
    """The views of a sweep whose trials differ in the `varying` parameters."""
    others = tuple(name for name in varying if name not in FIRST and not name.startswith("cell."))
    last = tuple(name for name in others if name.startswith(LAST))
    settings = tuple(name for name in others if name not in last)
    results = named("metrics", RESULTS)
    trials = (
        *named("params", FIRST + settings),
        *named("tags", ["status"]),
        *results,
        *named("tags", [HORIZON]),
        *named("params", last),
    )
    deciding = tuple(name for name in DECIDING if name in varying) or DECIDING[:2]
    paths = Section("From parameters to final skill", (chart_layout.parallel(deciding, "final/skill"),))
    final, training = chart_layout.FINAL, chart_layout.TRAINING
    by_lag = View("farback-far", "How far back", True, results, (*chart_layout.BY_LAG, training), grouped=True)
    by_protocol: tuple[View, ...] = (by_lag,)
    if PROTOCOL in varying:  # one network tested at every lag, and a network for every lag, need views of their own
        each_lag = replace(by_lag, id="farback-learn", name="Trained at each lag", fixed=True)
        by_protocol = (replace(by_lag, fixed=False), each_lag)
    return (
        *by_protocol,
        View("farback-cells", "Cells", False, results, (final, training), grouped=True),
        View("farback-trials", "Trials", False, trials, (training,)),
        View("farback-decides", "What decides", True, trials, (paths, final)),
    )


def search_views(search: SearchViews) -> tuple[View, ...]:
    """The views of a search: best first, on fresh seeds, by group, parallel coordinates."""
    (name, largest), others = search.objectives[0], search.objectives[1:]
    received, own = f"{MEAN}/{name}", f"{OWN}/{name}"
    values = (received, *(f"{MEAN}/{other}" for other, _ in others))
    tags = ("optuna.number", "optuna.state", "optuna.reason", "status")
    best = (f"metrics.`{received}`", not largest)
    trials = (*named("params", ["group"]), *named("metrics", (*values, own)))
    trials += (*named("params", (*search.parameters, "seed")), *named("tags", tags))
    means = named("metrics", (own, *values, *RESULTS))
    searching, reporting = f"{TRIALS} and tags.phase = 'search'", f"{TRIALS} and tags.phase = 'report'"
    fresh = Section(f"The result: {name} on fresh seeds, mean over seeds", (chart_layout.bar(own),))
    group = Section(f"By group: {name} during the search, mean over its trials", (chart_layout.bar(received),))
    lines = chart_layout.parallel(("group", *search.parameters), received)
    paths = Section(f"From the setting to {name} during the search, a line for each trial", (lines,))
    by_setting = View("farback-fresh", "On fresh seeds", True, means, (fresh, chart_layout.TRAINING), True, reporting)
    by_group = View("farback-groups", "By group", False, means, (group, chart_layout.TRAINING), True, searching)
    return (
        View("farback-best", "Best first", False, trials, (), filter=searching, order=best),
        replace(by_setting, by="setting", levels=search.settings),
        replace(by_group, by="group", levels=search.groups),
        View("farback-parallel", "Parallel coordinates", True, trials, (paths,), filter=searching, order=best),
    )


def existing(tags: Collection[str]) -> list[View]:
    """The views that an experiment with these tags has, complete enough for links; if it has none, a sweep's views."""
    known = (*sweep_views([PROTOCOL]), *search_views(SearchViews((), (("value", True),))))
    return [view for view in known if TAG + view.id in tags] or list(sweep_views([]))


def write_views(
    client: Any,
    experiment_id: str,
    keys: Iterable[str],
    parameters: Iterable[dict[str, str]],
    search: SearchViews | None = None,
) -> None:
    """Write the saved views of an experiment that are missing or have changed.

    A sweep's `parameters`, as logged for each trial, are not read if the views of these trials exist already.
    """
    tags = client.get_experiment(experiment_id).tags
    milliseconds = int(time.time() * 1000)
    digest = "" if search else _digest(keys)
    if digest and tags.get(VIEWED) == digest and all(TAG + view.id in tags for view in sweep_views([])):
        return
    covered = [] if search else covering(parameters)
    for view in search_views(search) if search else sweep_views(varying(covered)):
        state = view.state(covered)
        old = json.loads(tags.get(TAG + view.id, "{}"))
        if old.get("name") == view.name and old.get("state") and unpacked(old["state"]) == state:
            continue
        entry = {"name": view.name, "createdAt": old.get("createdAt", milliseconds), "updatedAt": milliseconds}
        client.set_experiment_tag(experiment_id, TAG + view.id, json.dumps({**entry, "state": packed(state)}))
    if digest:
        client.set_experiment_tag(experiment_id, VIEWED, digest)


def _digest(keys: Iterable[str]) -> str:
    """A hash of a sweep's trials and of this release's views."""
    views = json.dumps([view.state() for view in sweep_views([PROTOCOL])], sort_keys=True)
    return hashlib.sha256("".join([views, *sorted(keys)]).encode()).hexdigest()[:16]


def covering(parameters: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """A few trials' parameters that together show every value of each parameter, its absence, and every group."""
    covered: set[Any] = set()
    kept = []
    for each in parameters:
        shows = {*each.items(), tuple(each), tuple(each.get(name) for name in GROUP)}
        if not shows <= covered:
            kept.append(each)
            covered |= shows
    return kept


def varying(parameters: Sequence[dict[str, str]]) -> list[str]:
    """The parameters that differ between trials, in order of first appearance."""
    names = dict.fromkeys(name for each in parameters for name in each)
    return [name for name in names if len({each.get(name) for each in parameters}) > 1]


def packed(state: dict[str, Any]) -> str:
    """A state in MLflow's encoding."""
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state, sort_keys=True).encode())).decode()


def unpacked(text: str) -> Any:
    """The inverse of `packed`."""
    return json.loads(zlib.decompress(base64.b64decode(text.removeprefix("deflate;"))))

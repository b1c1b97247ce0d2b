"""What a person sees in MLflow's pages: the experiment's description and its saved views.

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
from dataclasses import dataclass
from typing import Any

from farback.stores import charts
from farback.stores.charts import Section

TAG = "mlflow.sharedViewState."
NOTE = "mlflow.note.content"
SUMMARY, ASKED, CONFIG = "farback.summary", "farback.question", "farback.config"
VIEWED = "farback.viewed"  # a hash of the trials that the views were written for
LONGEST_CONFIG = 4000  # characters in the description: a tag must fit into 5000 on every database

TRIALS = "tags.kind = 'trial'"
GROUP = ("cell", "train_lags")  # runs of one cell and one protocol are averaged: the two protocols are never mixed
FIRST = ("cell", "lag", "seed")
ALWAYS = ("final/skill", "best/skill", "final/accuracy", "final/loss")
DECIDING = ("lag", "cell", "init.name", "depth", "seed")


@dataclass(frozen=True)
class Study:
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
    by: tuple[str, ...] = ()  # the parameters that make a group, where those of GROUP do not...
    folded: tuple[str, ...] = ()  # ...and the groups that start folded, as MLflow names them
    order: tuple[str, bool] | None = None  # column, and whether the smallest comes first

    def state(self, parameters: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """The state of MLflow's run page.

        Args:
            parameters: of each trial, as logged: the groups of runs that they make start folded.
        """
        by = self.by or [name for name in GROUP if name == GROUP[0] or len({each.get(name) for each in parameters}) > 1]
        made = {",".join(f"param.{name}.{each.get(name)}" for name in by) for each in parameters}
        groups = self.folded if self.by else sorted(made)
        # MLflow's page loads 100 runs: ordered by seed, they are every cell and lag with the first seeds, where
        # the newest would be a few cells with all of theirs
        seeds_first = self.grouped or self.chart
        column, ascending = self.order or ("params.`seed`" if seeds_first else "attributes.start_time", seeds_first)
        cards, sections = charts.cards(self.id, self.sections)
        return {
            "searchFilter": self.filter,
            "orderByKey": column,
            "orderByAsc": ascending,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": list(self.columns),
            "columnOrder": [],
            "columnWidths": {},
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


def saved(varying: Sequence[str]) -> tuple[View, ...]:
    """The project's views.

    Args:
        varying: the parameters that differ between the experiment's trials.
    """
    others = tuple(name for name in varying if name not in FIRST and not name.startswith("cell."))
    trials = (*_columns("params", FIRST + others), *_columns("tags", ["status"]), *_columns("metrics", ALWAYS))
    cells = _columns("metrics", ALWAYS)
    decides = tuple(name for name in DECIDING if name in varying) or DECIDING[:2]
    return (
        View("farback-trials", "Trials", False, trials, sections=(charts.TRAINING,)),
        View("farback-cells", "Cells", False, cells, grouped=True, sections=(charts.WORTH, charts.TRAINING)),
        View(
            "farback-far",
            "How far back",
            True,
            cells,
            grouped=True,
            sections=(charts.FAR, charts.OTHERS, charts.TRAINING),
        ),
        View("farback-decides", "What decides", True, trials, sections=(charts.deciding(decides), charts.WORTH)),
    )


def studied(study: Study) -> tuple[View, ...]:
    """The views of a search: best first, on fresh seeds, by group, parallel coordinates."""
    (name, largest), others = study.objectives[0], study.objectives[1:]
    seen, own = f"search/{name}", f"own/{name}"
    values = (seen, *(f"search/{other}" for other, _ in others))
    searched = (*study.parameters, "seed")
    said = ("optuna.number", "optuna.state", "optuna.reason", "status")
    best = (f"metrics.`{seen}`", not largest)
    trials = (*_columns("params", ["group"]), *_columns("metrics", (*values, own)))
    trials += (*_columns("params", searched), *_columns("tags", said))
    means = _columns("metrics", (own, *values, *ALWAYS))
    searching = f"{TRIALS} and tags.phase = 'search'"
    worth = Section("On fresh seeds: the result", (charts.bar(f"{name}, mean over seeds", own),))
    group = Section("By group, as the search saw it", (charts.bar(f"{name} seen, mean over trials", seen),))
    paths = charts.parallel("From setting to value, as the search saw it", ("group", *study.parameters), (seen,))
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
            sections=(Section("Parallel coordinates", (paths,)),),
            filter=searching,
            order=best,
        ),
    )


def link(base_url: str, experiment_id: str, view: View) -> str:
    """The address of a saved view. Without `workflowType` MLflow opens on its pages for language models."""
    mode = "CHART" if view.chart else "TABLE"
    page = f"#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    return f"{base_url.rstrip('/')}/{page}&viewStateShareKey={view.id}&compareRunsMode={mode}"


def written(tags: Collection[str]) -> list[View]:
    """The views that an experiment with these tags has, as far as links need them; those of a sweep where none is."""
    sweep, search = saved([]), studied(Study((), (("value", True),)))
    return [view for view in (*sweep, *search) if TAG + view.id in tags] or list(sweep)


def write(
    client: Any,
    experiment_id: str,
    keys: Iterable[str],
    parameters: Iterable[dict[str, str]],
    study: Study | None = None,
) -> None:
    """Write the saved views of an experiment; those that are there already and the same are left alone.

    Args:
        client: an MLflow client.
        experiment_id: MLflow's.
        keys: of the trials.
        parameters: of each trial, as logged; not looked at where the views of these very trials are there already.
        study: what is searched, where the experiment is a search: it has views of its own.
    """
    tags = client.get_experiment(experiment_id).tags
    now = int(time.time() * 1000)
    chosen = studied(study) if study else saved([])
    of = "" if study else _of(keys)
    if of and tags.get(VIEWED) == of and all(TAG + view.id in tags for view in chosen):
        return
    shown = [] if study else covering(parameters)
    for view in chosen if study else saved(varying(shown)):
        state = view.state(shown)
        before = json.loads(tags.get(TAG + view.id, "{}"))
        if before.get("name") == view.name and before.get("state") and unpacked(before["state"]) == state:
            continue
        entry = {"name": view.name, "createdAt": before.get("createdAt", now), "updatedAt": now}
        client.set_experiment_tag(experiment_id, TAG + view.id, json.dumps({**entry, "state": packed(state)}))
    if of:
        client.set_experiment_tag(experiment_id, VIEWED, of)


def _of(keys: Iterable[str]) -> str:
    """What the views of a sweep depend on: its trials, and how this release draws views."""
    drawn = json.dumps([view.state() for view in saved([])], sort_keys=True)
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


def describe(client: Any, experiment_id: str, question: str = "", config_text: str = "", summary: str = "") -> None:
    """Write an experiment's description. What is not given stays as it was.

    Args:
        client: an MLflow client.
        experiment_id: MLflow's.
        question: what the experiment asks.
        config_text: the YAML behind it.
        summary: the id of the summary run.
    """
    old = client.get_experiment(experiment_id).tags
    new = {ASKED: question, CONFIG: config_text[:LONGEST_CONFIG], SUMMARY: summary}
    said = {name: text or old.get(name, "") for name, text in new.items()}
    parts = [said[ASKED]]
    links = [f"[{view.name}]({link('', experiment_id, view).lstrip('/')})" for view in written(old)]
    if said[SUMMARY]:
        links.insert(
            0, f"[Summary: figures, horizons and the report](#/experiments/{experiment_id}/runs/{said[SUMMARY]})"
        )
    parts.append(" · ".join(links))
    if said[CONFIG] and len(config_text) <= LONGEST_CONFIG:
        parts.append(f"```yaml\n{said[CONFIG].strip()}\n```")
    said[NOTE] = "\n\n".join(part for part in parts if part)
    for name, text in said.items():
        if text != old.get(name, ""):
            client.set_experiment_tag(experiment_id, name, text)


def _columns(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{kind}.`{name}`" for name in names)

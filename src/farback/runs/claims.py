"""The ledger of claims: which configs check published statements, what is missing of them, and what came out."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from farback.experiment import Experiment
from farback.experiment.yaml_tree import read
from farback.records.record import UserError, choices
from farback.report.claims_page import Earlier, Row, write_ledger
from farback.report.page import Page, found
from farback.runs import schedule
from farback.runs.page import publish as farback_publish
from farback.runs.page import subject as farback_subject
from farback.runs.schedule import Plan
from farback.stores.base import Store
from farback.system.project import CLAIMS, RESULTS, configs_in


@dataclass(frozen=True)
class Ledger:
    """Every experiment of a project that checks claims.

    Attributes:
        root: the project's folder.
        experiments: in the order of their names.
        seeds_shifted: added to every seed.
    """

    root: Path
    experiments: tuple[Experiment, ...]
    seeds_shifted: int = 0

    @property
    def folder(self) -> Path:
        """Where the page goes: that of shifted seeds lies beside the first."""
        name = f"{CLAIMS}--seeds-{self.seeds_shifted}" if self.seeds_shifted else CLAIMS
        return self.root / RESULTS / name

    def chosen(self, only: Sequence[str] = ()) -> list[Experiment]:
        """The experiments to train: those that need no GPU, or those of them that are named.

        Args:
            only: names of experiments, or ids of claims.

        Raises:
            UserError: there is no such experiment or claim, or it needs a GPU.
        """
        here = [one for one in self.experiments if not needs_gpu(one)]
        if not only:
            return here
        homes = {name: one for one in self.experiments for name in (one.name, *(claim.id for claim in one.claims))}
        wanted = set()
        for name in only:
            experiment = homes.get(name.removeprefix("claims/"))
            if experiment is None:
                raise UserError(
                    f"--only {name}: no claim and no experiment with claims is called so; {choices(name, list(homes))}"
                )
            if needs_gpu(experiment):
                command = f"farback run {experiment.shown} --device cuda"
                raise UserError(
                    f"--only {name}: it needs a GPU ({experiment.claims[0].why}); where there is one: {command}"
                )
            wanted.add(experiment.name)
        return [one for one in here if one.name in wanted]


def opened(root: Path, seeds: int = 0) -> Ledger:
    """The ledger of a project.

    Args:
        root: its folder.
        seeds: added to every seed, to repeat all claims with others.

    Raises:
        UserError: no config has claims; two have a name or two claims an id in common; a config that has a mistake.
    """
    paths = [path for path in configs_in(root) if "claims" in read(path)[1].entries]
    if not paths:
        raise UserError(f"no config in {root / 'configs'} has claims; docs/claims.md says how one is written")
    experiments = [Experiment.load(path) for path in sorted(paths, key=lambda path: path.stem)]
    seen: dict[str, Experiment] = {}
    for one in experiments:
        for name in (one.name, *(f"claim {claim.id}" for claim in one.claims)):
            if name in seen:
                raise UserError(f"{name} stands in {seen[name].shown} and in {one.shown}: a name is used once")
            seen[name] = one
    return Ledger(root, tuple(one.shifted(seeds) if seeds else one for one in experiments), seeds)


def needs_gpu(experiment: Experiment) -> bool:
    """Whether its claims need one: all of a config do, or none."""
    return any(claim.needs for claim in experiment.claims)


def outlook(experiment: Experiment, store: Store, workers: int = 1) -> Plan:
    """What is missing of an experiment, and what a run would do."""
    return schedule.outlook(experiment, experiment.trials(), store.frame(experiment.name), workers)


def rows(ledger: Ledger, store: Store) -> list[Row]:
    """Every claim as it stands, from the store alone: those that have a place first, in its order.

    Raises:
        UserError: a script does not answer exactly what its config claims.
    """
    first = _first(ledger)
    all_rows = [row for experiment in ledger.experiments for row in _rows(ledger, experiment, store, first)]
    return sorted(all_rows, key=lambda row: row.claim.place or math.inf)


def publish(ledger: Ledger, experiments: Sequence[Experiment], store: Store) -> Page:
    """Write the pages of experiments of which anything is recorded, then that of all claims.

    A page with more verdicts than this store has trials for is not written over: that of the few lies beside it.

    Raises:
        UserError: a script does not answer exactly what its config claims.
    """
    for experiment in experiments:
        plan = outlook(experiment, store)
        if plan.reused:
            # its script may need more trials than there are: its rows say how many are missing
            with suppress(UserError) if plan.needed() else nullcontext():
                farback_publish(experiment, store)
    options = f" --shift-seeds {ledger.seeds_shifted}" if ledger.seeds_shifted else ""
    every = rows(ledger, store)
    fewer = sum(row.finding is not None for row in every) < _judged(ledger.folder)
    folder = ledger.folder.with_name(f"{ledger.folder.name}--part") if fewer else ledger.folder
    return write_ledger(every, folder, options, listed=not (options or fewer))


def _judged(folder: Path) -> int:
    """How many verdicts the page has that is there."""
    path = folder / "claims.csv"
    if not path.exists():
        return 0
    return int((pd.read_csv(path, keep_default_na=False)["verdict"] != "").sum())


def _rows(ledger: Ledger, experiment: Experiment, store: Store, first: Mapping[str, Earlier]) -> list[Row]:
    frame = store.frame(experiment.name)
    subject = farback_subject(experiment, store, frame)
    findings = found(subject, frame)
    report = subject.folder / "report.md"
    config = _link(ledger, experiment.path)
    page = _link(ledger, report) if report.exists() else ""
    return [
        Row(claim, experiment.name, config, page, findings.get(claim.id), subject.missing, first.get(claim.id))
        for claim in experiment.claims
    ]


def _link(ledger: Ledger, path: Path) -> str:
    """A link from the ledger's page."""
    return Path(os.path.relpath(path.absolute(), ledger.folder.absolute())).as_posix()


def _first(ledger: Ledger) -> dict[str, Earlier]:
    """What the page of the seeds that are written in the configs says, where others are asked for."""
    path = ledger.root / RESULTS / CLAIMS / "claims.csv"
    if not ledger.seeds_shifted or not path.exists():
        return {}
    table = pd.read_csv(path, keep_default_na=False)
    rows = table[table["verdict"] != ""].to_dict("records")
    return {str(row["id"]): Earlier(str(row["verdict"]), str(row["number"])) for row in rows}

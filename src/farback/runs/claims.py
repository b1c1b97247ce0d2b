"""The ledger of claims: which configs check published statements, and what came out."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from farback.experiment import Experiment, Sweep
from farback.experiment.yaml_tree import read
from farback.records.record import UserError, choices
from farback.report.claims_page import Earlier, Row, write_ledger
from farback.report.page import Page, Subject, found
from farback.runs.page import publish_from, subject
from farback.runs.sweep import checked_sweep
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
    experiments: tuple[Sweep, ...]
    seeds_shifted: int = 0

    @property
    def folder(self) -> Path:
        """Where the page goes: that of shifted seeds lies beside the first."""
        name = f"{CLAIMS}--seeds-{self.seeds_shifted}" if self.seeds_shifted else CLAIMS
        return self.root / RESULTS / name

    def chosen(self, only: Sequence[str] = ()) -> list[Sweep]:
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
                    f"--only {name}: no claim and no experiment with claims has this name; {choices(name, list(homes))}"
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
    experiments = [checked_sweep(Experiment.load(path)) for path in sorted(paths, key=lambda path: path.stem)]
    seen: dict[str, Sweep] = {}
    for one in experiments:
        for name in (one.name, *(f"claim {claim.id}" for claim in one.claims)):
            if name in seen:
                raise UserError(f"{name} stands in {seen[name].shown} and in {one.shown}: names must differ")
            seen[name] = one
    return Ledger(root, tuple(one.shifted(seeds) if seeds else one for one in experiments), seeds)


def needs_gpu(sweep: Sweep) -> bool:
    """Whether its claims need one: all of a config do, or none."""
    return any(claim.needs for claim in sweep.claims)


def publish(ledger: Ledger, sweeps: Sequence[Sweep], store: Store) -> Page:
    """Write the pages of sweeps of which anything is recorded, then the page of all claims.

    If the ledger's page has more verdicts than this store has trials for, it stays, and the new page lies beside it.

    Args:
        ledger: all claims.
        sweeps: of the ledger, whose pages are written.
        store: with their trials.

    Raises:
        UserError: a script's findings are not exactly the claims of its config.
    """
    found_rows = rows(ledger, store, sweeps)
    options = f" --shift-seeds {ledger.seeds_shifted}" if ledger.seeds_shifted else ""
    fewer = sum(row.finding is not None for row in found_rows) < _judged(ledger.folder)
    folder = ledger.folder.with_name(f"{ledger.folder.name}--part") if fewer else ledger.folder
    return write_ledger(found_rows, folder, options, listed=not (options or fewer))


def rows(ledger: Ledger, store: Store, sweeps: Sequence[Sweep] = ()) -> list[Row]:
    """Every claim as the store has it: those that have a place first, in its order.

    Args:
        ledger: all claims.
        store: with their trials.
        sweeps: of the ledger, whose pages are written on the way, so that each sweep is read once.

    Raises:
        UserError: a script's findings are not exactly the claims of its config.
    """
    first, found_rows = _first(ledger), list[Row]()
    for sweep in ledger.experiments:
        frame = store.frame(sweep.name)
        about = subject(sweep, store, frame)
        if sweep in sweeps and frame["key"].isin(about.keys).any():
            # the script may need more trials than there are: the claims then show how many are missing
            with suppress(UserError) if about.missing else nullcontext():
                publish_from(sweep, store, frame, about)
        found_rows += _rows(ledger, sweep, frame, about, first)
    return sorted(found_rows, key=lambda row: row.claim.place or math.inf)


def _judged(folder: Path) -> int:
    """How many verdicts the present page has."""
    path = folder / "claims.csv"
    if not path.exists():
        return 0
    return int((pd.read_csv(path, keep_default_na=False)["verdict"] != "").sum())


def _rows(ledger: Ledger, sweep: Sweep, frame: pd.DataFrame, about: Subject, first: Mapping[str, Earlier]) -> list[Row]:
    findings = found(about, frame)
    report = about.folder / "report.md"
    config = _link(ledger, sweep.path)
    page = _link(ledger, report) if report.exists() else ""
    return [
        Row(claim, sweep.name, config, page, findings.get(claim.id), about.missing, first.get(claim.id))
        for claim in sweep.claims
    ]


def _link(ledger: Ledger, path: Path) -> str:
    """A link from the ledger's page."""
    return Path(os.path.relpath(path.absolute(), ledger.folder.absolute())).as_posix()


def _first(ledger: Ledger) -> dict[str, Earlier]:
    """The verdicts with the seeds of the configs, where the ledger is of others."""
    path = ledger.root / RESULTS / CLAIMS / "claims.csv"
    if not ledger.seeds_shifted or not path.exists():
        return {}
    table = pd.read_csv(path, keep_default_na=False)
    rows = table[table["verdict"] != ""].to_dict("records")
    return {str(row["id"]): Earlier(str(row["verdict"]), str(row["number"])) for row in rows}

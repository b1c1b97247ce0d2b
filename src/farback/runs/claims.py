"""The ledger of claims: the experiments that check published statements, and the page of their verdicts."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from farback.experiment import Experiment, Sweep
from farback.experiment.yaml_tree import read
from farback.records.user_error import UserError, choices
from farback.report.claims_page import ClaimRow, FirstVerdict, write_ledger
from farback.report.page import Page, findings_of
from farback.runs import sweep_page as pages
from farback.runs.sweep import checked_sweep
from farback.stores.base import Store
from farback.system.project import CLAIMS, RESULTS, configs_in


@dataclass(frozen=True)
class Ledger:
    """Every experiment of a project that checks claims, sorted by name. `seeds_shifted` is added to every seed."""

    root: Path
    experiments: tuple[Sweep, ...]
    seeds_shifted: int = 0

    @property
    def folder(self) -> Path:
        """The folder of the page: `results/claims`, or a folder beside it if seeds are shifted."""
        name = f"{CLAIMS}--seeds-{self.seeds_shifted}" if self.seeds_shifted else CLAIMS
        return self.root / RESULTS / name

    def chosen(self, only: Sequence[str] = ()) -> list[Sweep]:
        """The experiments to train, without those that need a GPU; `only` selects them by name or by a claim's id.

        Raises:
            UserError: an experiment or claim does not exist, or needs a GPU.
        """
        experiments = {name: one for one in self.experiments for name in (one.name, *(c.id for c in one.claims))}
        chosen = set()
        for name in only:
            experiment = experiments.get(name.removeprefix("claims/"))
            if experiment is None:
                suggestion = choices(name, list(experiments))
                raise UserError(f"--only {name}: no claim and no experiment with claims has this name; {suggestion}")
            if needs_gpu(experiment):
                why, command = experiment.claims[0].why, f"farback run {experiment.arguments} --device cuda"
                raise UserError(f"--only {name}: this experiment needs a GPU ({why}); on a machine with one: {command}")
            chosen.add(experiment.name)
        return [one for one in self.experiments if not needs_gpu(one) and (one.name in chosen or not only)]


def opened(root: Path, seeds: int = 0) -> Ledger:
    """The ledger of the project in a folder; `seeds` is added to every seed.

    Raises:
        UserError: no config has claims, two experiments or two claims have the same name, or a config has a mistake.
    """
    paths = [path for path in configs_in(root) if "claims" in read(path)[1].entries]
    if not paths:
        raise UserError(f"no config in {root / 'configs'} has claims; docs/claims.md describes how to add one")
    experiments = [checked_sweep(Experiment.load(path)) for path in sorted(paths, key=lambda path: path.stem)]
    seen: dict[str, Sweep] = {}
    for one in experiments:
        for name in (one.name, *(f"claim {claim.id}" for claim in one.claims)):
            if name in seen:
                raise UserError(f"{name} is in both {seen[name].shown} and {one.shown}: rename one of them")
            seen[name] = one
    return Ledger(root, tuple(one.shifted(seeds) if seeds else one for one in experiments), seeds)


def needs_gpu(sweep: Sweep) -> bool:
    """Whether the claims of a sweep need a GPU: in one config, either all of them do or none does."""
    return any(claim.needs for claim in sweep.claims)


def publish(ledger: Ledger, sweeps: Sequence[Sweep], store: Store) -> Page:
    """Write the page of each of these sweeps that has recorded trials, then the page of all claims.

    A page with more verdicts than this store has is kept; then the new page is written beside it.

    Raises:
        UserError: a script does not answer exactly the claims of its config.
    """
    ledger_rows = rows(ledger, store, sweeps)
    options = f" --shift-seeds {ledger.seeds_shifted}" if ledger.seeds_shifted else ""
    judged = sum(row.finding is not None for row in ledger_rows)
    fewer = judged < len(_page_verdicts(ledger.folder))
    folder = ledger.folder.with_name(f"{ledger.folder.name}--part") if fewer else ledger.folder
    return write_ledger(ledger_rows, folder, options, listed=not (options or fewer))


def rows(ledger: Ledger, store: Store, sweeps: Sequence[Sweep] = ()) -> list[ClaimRow]:
    """Every claim with its finding; claims with a `place` come first, sorted by it.

    Also writes the pages of `sweeps`, so that each frame is read only once. Raises the same errors as `publish`.
    """
    first = _page_verdicts(ledger.root / RESULTS / CLAIMS) if ledger.seeds_shifted else {}
    rows = []
    for sweep in ledger.experiments:
        frame = store.frame(sweep.name)
        about = pages.subject(sweep, store, frame)
        if sweep in sweeps and frame["key"].isin(about.keys).any():
            # A script may fail while trials are missing; the row then shows how many are missing
            with suppress(UserError) if about.missing else nullcontext():
                pages.publish(sweep, store, frame, about)
        findings = findings_of(about, frame)
        report = about.folder / "report.md"
        config, page = _link(ledger, sweep.path), _link(ledger, report) if report.exists() else ""
        for claim in sweep.claims:
            finding, earlier = findings.get(claim.id), first.get(claim.id)
            rows.append(ClaimRow(claim, sweep.name, config, page, finding, about.missing, earlier))
    return sorted(rows, key=lambda row: row.claim.place or math.inf)


def _page_verdicts(folder: Path) -> dict[str, FirstVerdict]:
    """The verdicts on the page in a folder, by claim. Raises UserError: farback did not write the table there."""
    path = folder / "claims.csv"
    if not path.exists():
        return {}
    try:
        table = pd.read_csv(path, keep_default_na=False)
        rows = table[table["verdict"] != ""].to_dict("records")
        return {str(row["id"]): FirstVerdict(str(row["verdict"]), str(row["number"])) for row in rows}
    except (ValueError, KeyError, OSError) as error:  # ValueError: not CSV, or not UTF-8
        raise UserError(f"{path} is not a table of claims as farback writes it ({error!r}): move it away") from None


def _link(ledger: Ledger, path: Path) -> str:
    """A relative link from the ledger's page."""
    return Path(os.path.relpath(path.absolute(), ledger.folder.absolute())).as_posix()

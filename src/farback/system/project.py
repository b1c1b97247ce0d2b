"""Where the files of a project lie: each experiment's config and script, under one name.

`configs/NAME.yaml` goes with `experiments/NAME.py`, and `configs/claims/NAME.yaml` with `experiments/claims/NAME.py`:
those experiments exist for the ledger of claims alone. A name is used once in both, for it is `results/NAME` too.
"""

from __future__ import annotations

from pathlib import Path

from farback.records.record import UserError

CONFIGS, SCRIPTS, CLAIMS, RESULTS = "configs", "experiments", "claims", "results"


def root_of(config: Path) -> Path:
    """The folder that holds `results/`: above `configs/`, or the folder of a config that lies elsewhere.

    A config that lies below a `results/`, as the winners of a search do, belongs to the folder that holds it.
    """
    folder = config.absolute().parent
    if folder.parent.name == RESULTS:
        return folder.parent.parent
    if folder.name == CLAIMS and folder.parent.name == CONFIGS:
        return folder.parent.parent
    return folder.parent if folder.name == CONFIGS else folder


def config_of(name: str, root: Path = Path()) -> Path:
    """The config of an experiment, `NAME` or `claims/NAME`; where there is none, the path where it would be.

    Raises:
        UserError: `configs/` and `configs/claims/` both have one.
    """
    plain = root / CONFIGS / f"{name}.yaml"
    below = root / CONFIGS / CLAIMS / f"{name}.yaml"
    if plain.exists() and below.exists():
        raise UserError(f"{plain} and {below} have one name, and results are kept under it: rename one of them")
    return below if below.exists() else plain


def script_of(name: str, root: Path) -> Path:
    """The Python file of an experiment; it need not exist."""
    below = root / SCRIPTS / CLAIMS / f"{name}.py"
    return below if below.exists() else root / SCRIPTS / f"{name}.py"


def configs_in(root: Path) -> list[Path]:
    """Every config of a project, those of the ledger last."""
    return [path for folder in (CONFIGS, f"{CONFIGS}/{CLAIMS}") for path in sorted((root / folder).glob("*.yaml"))]

"""The paths of a project's files: an experiment's config, script and results share one name.

`configs/NAME.yaml` belongs to `experiments/NAME.py`, and `configs/claims/NAME.yaml`, which is used by the ledger of
claims only, to `experiments/claims/NAME.py`. A name occurs in one of the two only, since both write `results/NAME`.
"""

from __future__ import annotations

from pathlib import Path

from farback.records.record import UserError

CONFIGS, SCRIPTS, CLAIMS, RESULTS = "configs", "experiments", "claims", "results"


def root_of(config: Path) -> Path:
    """The folder that contains `results/`: above `configs/`, or the folder of a config elsewhere.

    A config below `results/`, such as a winner of a search, belongs to the folder that contains `results/`.
    """
    folder = config.absolute().parent
    if folder.parent.name == RESULTS:
        return folder.parent.parent
    if folder.name == CLAIMS and folder.parent.name == CONFIGS:
        return folder.parent.parent
    return folder.parent if folder.name == CONFIGS else folder


def config_of(name: str, root: Path = Path()) -> Path:
    """The path of an experiment's config, in `configs/` or `configs/claims/`; it need not exist.

    Raises:
        UserError: both folders have one.
    """
    plain = root / CONFIGS / f"{name}.yaml"
    below = root / CONFIGS / CLAIMS / f"{name}.yaml"
    if plain.exists() and below.exists():
        raise UserError(
            f"{plain} and {below} have the same name, and would share one folder of results: rename one of them"
        )
    return below if below.exists() else plain


def script_of(name: str, root: Path) -> Path:
    """The path of an experiment's Python file; it need not exist."""
    below = root / SCRIPTS / CLAIMS / f"{name}.py"
    return below if below.exists() else root / SCRIPTS / f"{name}.py"


def configs_in(root: Path) -> list[Path]:
    """All configs of a project, those in `configs/claims/` last."""
    return [path for folder in (CONFIGS, f"{CONFIGS}/{CLAIMS}") for path in sorted((root / folder).glob("*.yaml"))]

"""The paths of a project's files: an experiment's config, script and results share one name.

`configs/NAME.yaml` belongs to `experiments/NAME.py`. Experiments that only check published claims are in
`configs/claims/` and `experiments/claims/`. No name may occur in both folders, since both write to `results/NAME`.
farback itself uses the names in `RESERVED`, and "--" between a name and the options that changed its config.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from farback.records.record import UserError

CONFIGS, SCRIPTS, CLAIMS, RESULTS = "configs", "experiments", "claims", "results"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # names a folder below results/, and an MLflow experiment
OPTIONS = "--"  # between a name and options, in names of folders and studies
RESERVED = {
    "store": "results/store holds the databases",
    CLAIMS: "results/claims is the page of `farback claims`",
    "calibrate": "results/calibrate is the page of `farback calibrate`",
    "default": "MLflow has an experiment of this name",
}


def root_of(config: Path) -> Path:
    """The project's folder, which contains `results/`: the parent of `configs/`, or else the folder of the config.

    A config in `results/NAME/`, such as the best setting of a search, belongs to the folder that contains `results/`.
    """
    folder = config.absolute().parent
    if folder.parent.name == RESULTS:
        return folder.parent.parent
    if folder.name == CLAIMS and folder.parent.name == CONFIGS:
        return folder.parent.parent
    return folder.parent if folder.name == CONFIGS else folder


def project_folder() -> Path:
    """The project that contains the current directory: the nearest folder, from there upwards, with configs or a store.

    The current directory itself if there is none.
    """
    found = (path for path in _upwards() if (path / RESULTS / "store").is_dir() or any((path / CONFIGS).glob("*.yaml")))
    return next(found, Path.cwd())


def config_named(name: str) -> Path:
    """The path of an experiment's config in the current directory or the nearest folder above that has it.

    The file need not exist; its path is then in the current directory.

    Raises:
        UserError: as `config_of`.
    """
    found = (config for path in _upwards() if (config := config_of(name, path)).exists())
    return Path(os.path.relpath(next(found, config_of(name, Path.cwd()))))


def _upwards() -> Iterator[Path]:
    """The current directory and the folders above it, up to the first that belongs to another user."""
    here = Path.cwd()
    yield here
    for path in here.parents:
        with suppress(OSError):
            if path.stat().st_uid == os.getuid():
                yield path
                continue
        return


def name_problem(config: Path) -> str | None:
    """Why the name of a config cannot be used: its characters, or something else has it. None if it can be used.

    Names that differ in capital letters only are the same name: some file systems do not tell them apart.
    """
    name = config.stem
    if not NAME.fullmatch(name) or OPTIONS in name:
        return f"the file's name must be 1 to 64 letters, digits, - and _, without {OPTIONS}, followed by .yaml"
    if name.lower() in RESERVED:
        return f"the file's name is used by farback ({RESERVED[name.lower()]}): rename the file"
    root = root_of(config)
    for other in (*configs_in(root), *(root / RESULTS).glob("*/*.yaml")):
        if other.stem.lower() == name.lower() and not (config.exists() and other.samefile(config)):
            return f"{other} has the same name, and both would use results/{name}: rename one of them"
    return None


def plain_name(text: str) -> str:
    """A text as part of a name of a config: other characters become "-"."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")


def with_digest(text: str, characters: int) -> str:
    """A text as in `plain_name`, with a digest, so that different texts give different names."""
    return f"{plain_name(text)[: characters - 7].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def config_of(name: str, root: Path = Path()) -> Path:
    """The path of an experiment's config, in `configs/` or `configs/claims/`; the file need not exist.

    Raises:
        UserError: both folders have a config of this name.
    """
    plain = root / CONFIGS / f"{name}.yaml"
    below = root / CONFIGS / CLAIMS / f"{name}.yaml"
    if plain.exists() and below.exists():
        raise UserError(
            f"{plain} and {below} have the same name and would share one results folder: rename one of them"
        )
    return below if below.exists() else plain


def script_of(name: str, root: Path) -> Path:
    """The path of an experiment's Python file, which need not exist."""
    below = root / SCRIPTS / CLAIMS / f"{name}.py"
    return below if below.exists() else root / SCRIPTS / f"{name}.py"


def configs_in(root: Path) -> list[Path]:
    """All configs of a project, those in `configs/claims/` last."""
    return [path for folder in (CONFIGS, f"{CONFIGS}/{CLAIMS}") for path in sorted((root / folder).glob("*.yaml"))]

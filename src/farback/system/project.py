"""The paths of a project's files: an experiment's config, script and results share one name.

`configs/NAME.yaml` belongs to `experiments/NAME.py`. Experiments that only check published claims are in
`configs/claims/` and `experiments/claims/`. No name may occur in both folders, since both write to `results/NAME`.
farback itself uses the names in `RESERVED`, and "--" between a name and the options that changed its config.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from farback.records.user_error import UserError, choices

CONFIGS, SCRIPTS, CLAIMS, RESULTS = "configs", "experiments", "claims", "results"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # names a folder below results/, and an MLflow experiment
OPTIONS = "--"  # between a name and options, in names of folders and studies
BELOW, SHOWN_PROJECTS = ("*", "*/*"), 8  # where projects are looked for to name them in a message
RESERVED = {
    "store": "results/store holds the databases",
    CLAIMS: "results/claims is the page of `farback claims`",
    "backtest": "results/backtest is the page of `farback backtest`",
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


def config_path(config: str | Path) -> Path:
    """The path of a config, given as a path or a name: `configs/demo.yaml`, `configs/demo`, `demo.yaml` or `demo`.

    It is looked up in the current directory and the folders above it. The file exists, unless a path names a folder
    that exists: reading that path gives an error that lists the folder's configs.

    Raises:
        UserError: there is no such config; the message lists the configs of the project, or projects in folders below.
            Or two configs have the name.
    """
    found = found_config(config)
    if found is not None:
        return found
    path = Path(config)
    if path.parent != Path() and os.path.isdir(path.parent):
        return path if path.suffix else path.with_name(f"{path.name}.yaml")
    raise UserError(_not_found(path))


def found_config(config: str | Path) -> Path | None:
    """The path of a config as in `config_path`; None if there is none."""
    given = Path(config)
    if os.path.isfile(given):
        return given
    name = str(given).removesuffix(".yaml")
    for folder in _upwards():
        places = [config_of(name, folder)]
        if given.name == str(given):
            places += sorted((folder / RESULTS).glob(f"*/{glob.escape(name)}.yaml"))  # best settings of searches
        if given.name != str(given) or folder == Path.cwd():
            places.append(folder / f"{name}.yaml")
        for path in places:
            if os.path.isfile(path):
                return Path(os.path.relpath(path))
    return None


def _not_found(config: Path) -> str:
    """Why there is no such config, and what there is instead."""
    root, name, file = project_folder(), config.name.removesuffix(".yaml"), f"{str(config).removesuffix('.yaml')}.yaml"
    if names := [path.stem for path in configs_in(root)]:
        return f"there is no config {file} in {root / CONFIGS}; {choices(name, names)}"
    below = {path.parent.parent for pattern in BELOW for path in Path.cwd().glob(f"{pattern}/{CONFIGS}/*.yaml")}
    here = f"there is no config {file}: neither {Path.cwd()} nor a folder above it has {CONFIGS}/*.yaml"
    if not below:
        return f"{here}, nor has a folder below it; `farback init` makes a project"
    projects = sorted(path.relative_to(Path.cwd()) for path in below)
    own = [path for folder in projects if (path := config_of(name, folder)).exists()]
    if own:
        return f"{here}; did you mean {' or '.join(map(str, own[:SHOWN_PROJECTS]))}?"
    more = f" and {len(projects) - SHOWN_PROJECTS} more" if len(projects) > SHOWN_PROJECTS else ""
    return f"{here}; projects in folders below: {', '.join(map(str, projects[:SHOWN_PROJECTS]))}{more}"


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
    if os.path.exists(plain) and os.path.exists(below):  # False for a name that is too long
        raise UserError(
            f"{plain} and {below} have the same name and would share one results folder: rename one of them"
        )
    return below if os.path.exists(below) else plain


def script_of(name: str, root: Path) -> Path:
    """The path of an experiment's Python file, which need not exist."""
    below = root / SCRIPTS / CLAIMS / f"{name}.py"
    return below if below.exists() else root / SCRIPTS / f"{name}.py"


def configs_in(root: Path) -> list[Path]:
    """All configs of a project, those in `configs/claims/` last."""
    return [path for folder in (CONFIGS, f"{CONFIGS}/{CLAIMS}") for path in sorted((root / folder).glob("*.yaml"))]

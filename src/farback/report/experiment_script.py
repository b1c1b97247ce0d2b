"""The Python file of an experiment, which analyses the scores and judges the prediction."""

from __future__ import annotations

import importlib.util
import traceback
from pathlib import Path
from types import ModuleType

from farback.records.user_error import UserError


def experiment_module(path: Path) -> ModuleType | None:
    """An experiment's Python file as a module, or None where the file does not exist.

    Raises:
        UserError: the file cannot be imported, or has no function `analyse`.
    """
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location(f"farback_experiment_{path.stem}", path)
    assert spec is not None  # the path ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise script_error(path, error, "the page needs this script") from error
    if not hasattr(module, "analyse"):
        raise UserError(
            f"{path} has no function analyse(scores, ladder), which makes the page: add it, or delete the file to get "
            "the standard tables and figures"
        )
    return module


def script_error(script: Path, error: Exception, advice: str) -> UserError:
    """An error in a script as one line: the place in the script, the error, and advice."""
    if isinstance(error, SyntaxError) and error.filename == str(script):
        line = error.lineno
    else:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(script)), None)
    return UserError(f"{script}{f':{line}' if line else ''}: {type(error).__name__}: {error}; {advice}")

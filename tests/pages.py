"""Pages whose code is run, block by block in one namespace, as a reader would type it.

A ```python block that prints is followed by a ```text block with what it prints. `python tests/pages.py PAGE...` writes
those; the tests only compare.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path

BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?P<shown>\n```text\n(?P<output>.*?)```\n)?", re.DOTALL)


def ran(text: str, name: str = "page") -> str:
    """A page with what its code prints in place of what it says that it prints.

    Raises:
        AssertionError: a block raises; the message holds its code.
    """
    names: dict[str, object] = {"__name__": name}

    def run(block: re.Match[str]) -> str:
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(block["code"], name, "exec"), names)
        except Exception as error:
            raise AssertionError(f"{name}: {error!r} in\n{block['code']}") from error
        shown = f"\n```text\n{printed.getvalue()}```\n" if printed.getvalue() else ""
        return f"```python\n{block['code']}```\n{shown}"

    return BLOCK.sub(run, text)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(ran(path.read_text(), path.name))

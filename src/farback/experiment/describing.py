"""What a docstring says of each field, put where an editor shows it: on the field's own schema."""

from __future__ import annotations

import re
import textwrap
from typing import Any

HEADING = "\nAttributes:\n"
FIELD = re.compile(r"^(\w+(?:, \w+)*): (.*(?:\n +.*)*)", re.MULTILINE)


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """A record's schema with the lines of its docstring's "Attributes:" on its properties, in place of the section."""
    text, heading, section = schema.get("description", "").partition(HEADING)
    if not heading:
        return schema
    lines = {
        name: " ".join(line.split())
        for names, line in FIELD.findall(textwrap.dedent(section))
        for name in names.split(", ")
    }
    properties = {
        name: {**field, "description": lines[name]} if name in lines else field
        for name, field in schema["properties"].items()
    }
    return {**schema, "description": text.rstrip(), "properties": properties}

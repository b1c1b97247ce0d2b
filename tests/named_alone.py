"""The components of a family that their name alone describes: all their fields have defaults."""

from __future__ import annotations

from typing import Any


def named_alone(family: Any) -> list[str]:
    """Their names; `family` is a package such as `farback.tasks`."""
    members = {name: family.FAMILY.plugin(name).model_fields.values() for name in family.names()}
    return [name for name, fields in members.items() if not any(field.is_required() for field in fields)]

"""Numbers with their nouns, and the places that print them."""

import re
from pathlib import Path

import pytest

import farback
from farback.records.counted_nouns import counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 seeds"), (1, "1 seed"), (2, "2 seeds"), ("1", "1 seed"), ("1 to 2", "1 to 2 seeds"), (11, "11 seeds")],
)
def test_one_is_singular(number, text):
    assert counted(number, "seed") == text


def test_numbers_of_seeds_that_can_be_one_are_counted():
    """No text that a user sees has a number and "seeds" in one string, where the number can be 1."""
    plural = re.compile(r'f"[^"]*\{[^{}"]+\} (fresh )?seeds\b')
    never_one = {"{CHOICE_SEEDS}", "{counts} seeds", "{len(one.trials)} seeds"}  # 3; else "one seed"; 3 at least
    found = [
        f"{path.name}: {line.strip()}"
        for path in Path(farback.__file__).parent.rglob("*.py")
        for line in path.read_text().splitlines()
        if plural.search(line) and not any(text in line for text in never_one)
    ]
    assert found == []

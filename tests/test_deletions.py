"""Everything that farback deletes is on the list of docs/security.md, with what proves that it is farback's."""

import re
from pathlib import Path

import farback

SOURCE = Path(farback.__file__).parent
SECURITY = Path(__file__).parents[1] / "docs" / "security.md"
# Files, folders, and what MLflow and Optuna keep; not `rename` of a column or `delete` of NumPy
DELETES = re.compile(r"\.unlink\(|\brmtree\(|\bos\.(remove|rmdir|unlink)\(|\.rmdir\(|\bdelete_\w+\(")


def test_every_deletion_is_on_the_list():
    section = SECURITY.read_text().partition("## What is deleted")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`((?:\w+/)+\w+\.py)`", section))
    assert len(listed) > 5
    assert all((SOURCE / name).is_file() for name in listed)
    found = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if DELETES.search(path.read_text())}
    assert found
    assert found <= listed

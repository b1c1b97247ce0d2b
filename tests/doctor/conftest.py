"""A store that was trained once, and a copy of it for each test."""

from pathlib import Path

import pytest
from wards import CONFIG, Ward


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    folder = tmp_path_factory.mktemp("project")
    (folder / "configs").mkdir()
    (folder / "configs" / "tiny.yaml").write_text(CONFIG)
    ward = Ward(folder)
    assert ward.train().trained == 4
    return ward


@pytest.fixture
def ward(whole: Ward, tmp_path: Path) -> Ward:
    return whole.copied(tmp_path / "copy")

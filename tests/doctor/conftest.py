"""A store that was trained once, and a copy of it for each test."""

import shutil
from pathlib import Path

import pytest
from trained_project import CONFIG, TrainedProject


@pytest.fixture(scope="session")
def intact(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> TrainedProject:
    folder = tmp_path_factory.mktemp("project")
    (folder / "configs").mkdir()
    (folder / "configs" / "tiny.yaml").write_text(CONFIG)
    project = TrainedProject(folder)
    project.path.parent.mkdir(parents=True)
    shutil.copy(empty_database, project.path)
    assert project.train().trained == 4
    return project


@pytest.fixture
def project(intact: TrainedProject, tmp_path: Path) -> TrainedProject:
    return intact.copied(tmp_path / "copy")

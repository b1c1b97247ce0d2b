"""What is checked before a run opens its store."""

from pathlib import Path

import pytest

import farback
from farback.experiment import Experiment
from farback.records.record import UserError
from memory_store import Memory

SMALL = "name: small\nbase: {task: recall, cell: elman, lag: 1, hidden: 2, batch: 2, steps: 1}\n"


@pytest.mark.parametrize("place", ["results", "results/small"])
def test_a_file_in_the_place_of_the_report_is_refused_before_training(place: str, tmp_path: Path) -> None:
    config, store, path = tmp_path / "small.yaml", Memory(), tmp_path / place
    config.write_text(SMALL)
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(UserError, match=f"{place} is a file, and the report needs a folder there"):
        farback.run(Experiment.load(config), workers=1, store=store)
    assert not store.experiments
    assert path.read_text() == "mine"

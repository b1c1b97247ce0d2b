"""The two files of a result: what was written comes back, and any change is noticed."""

import json

import pytest
from made_up import finished, trial

from farback.report import groups
from farback.stores import result_files
from farback.stores.base import tidy
from farback.trials.trial import later_parameters


@pytest.fixture
def files() -> tuple[bytes, bytes]:
    written = result_files.written(trial().columns(), finished(trial()).result)
    return written[result_files.RESULT], written[result_files.SCORES]


def test_truncated_scores_are_detected_at_every_length(files: tuple[bytes, bytes]) -> None:
    about, table = files
    for length in range(len(table)):
        with pytest.raises(result_files.Damaged):
            result_files.read(about, table[:length])


def test_a_truncated_description_is_detected_at_every_length(files: tuple[bytes, bytes]) -> None:
    about, table = files
    for length in range(len(about.rstrip())):
        with pytest.raises(result_files.Damaged):
            result_files.read(about[:length], table)


def test_one_changed_bit_is_detected_wherever_it_is(files: tuple[bytes, bytes]) -> None:
    """Or it changes no value, as in the space between two values, or 1E-3 for 1e-3."""
    about, table = files
    intact = result_files.read(about, table)
    for place in range(len(about)):
        for bit in (1, 2, 4, 8, 16, 32, 64, 128):
            changed = about[:place] + bytes([about[place] ^ bit]) + about[place + 1 :]
            try:
                found = result_files.read(changed, table)
            except result_files.Damaged:
                continue
            assert repr(found) == repr(intact)
    for place in range(len(table)):
        with pytest.raises(result_files.Damaged):
            result_files.read(about, table[:place] + bytes([table[place] ^ (1 << place % 8)]) + table[place + 1 :])


@pytest.mark.parametrize("name", ["key", "label", "trained_lag", "seed"])
@pytest.mark.parametrize("value", [None, [1], {"a": 1}])
def test_a_column_that_a_page_needs_has_its_type(files: tuple[bytes, bytes], name: str, value: object) -> None:
    """Also where the digest is right: whoever may write to a store may write anything."""
    values = json.loads(files[0])
    del values["digest"]
    for trial_columns in ({**values["trial"], name: value}, {k: v for k, v in values["trial"].items() if k != name}):
        with pytest.raises(result_files.Damaged, match=f"no usable {name}"):
            result_files.read(json.dumps({**values, "trial": trial_columns}).encode(), files[1])


def test_results_of_the_first_release_are_read_without_a_digest_of_the_description(files: tuple[bytes, bytes]) -> None:
    about, table = files
    values = json.loads(about)
    del values["digest"]
    old = json.dumps(values).encode()
    assert repr(result_files.read(old, table)) == repr(result_files.read(about, table))
    for cut in (table[:-1], table[: table.rindex(b"\n", 0, -1) + 4], b"", b"\xff\xfe\n"):
        with pytest.raises(result_files.Damaged):
            result_files.read(old, cut)
    del values["scores"]  # without a digest of the scores nothing could be told
    with pytest.raises(result_files.Damaged, match="scores"):
        result_files.read(json.dumps(values).encode(), table)


def test_a_result_from_before_a_field_existed_has_its_default_in_a_frame() -> None:
    """Otherwise a table would show old and new trainings of one network as two groups."""
    records = []
    for one in (trial(0), trial(1)):
        written = result_files.written(one.columns(), finished(one).result)
        records.append(result_files.read(written[result_files.RESULT], written[result_files.SCORES]))
    for name in later_parameters():
        del records[0].columns[name]
    frame = tidy(records)
    assert frame.groupby("seed")["schedule.name"].first().to_dict() == {0: "constant", 1: "constant"}
    assert groups(frame) == ["label"]


@pytest.mark.parametrize("about", [b"[]", b"null", b"{}", b'{"trial": 3, "status": "finished"}', b"\xff"])
def test_a_file_that_is_no_result_is_named(files: tuple[bytes, bytes], about: bytes) -> None:
    with pytest.raises(result_files.Damaged, match=r"result\.json"):
        result_files.read(about, files[1])

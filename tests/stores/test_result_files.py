"""The two files of a result: what was written comes back, and what is not what was written says so."""

import json

import pytest
from made_up import finished, trial

from farback.stores import result_files


@pytest.fixture
def files() -> tuple[bytes, bytes]:
    written = result_files.written(trial().columns(), finished(trial()).result)
    return written[result_files.RESULT], written[result_files.SCORES]


def test_wherever_the_scores_are_cut_it_is_noticed(files: tuple[bytes, bytes]) -> None:
    about, table = files
    assert result_files.parsed(about, table).checked
    for length in range(len(table)):
        with pytest.raises(result_files.Damaged):
            result_files.read(about, table[:length])


def test_wherever_the_description_is_cut_it_is_noticed(files: tuple[bytes, bytes]) -> None:
    about, table = files
    for length in range(len(about.rstrip())):
        with pytest.raises(result_files.Damaged):
            result_files.read(about[:length], table)


def test_any_changed_byte_of_the_scores_is_noticed(files: tuple[bytes, bytes]) -> None:
    about, table = files
    for place in range(0, len(table), 7):
        with pytest.raises(result_files.Damaged):
            result_files.read(about, table[:place] + bytes([table[place] ^ 1]) + table[place + 1 :])


def test_results_of_earlier_releases_are_read_without_a_digest(files: tuple[bytes, bytes]) -> None:
    about, table = files
    said = json.loads(about)
    del said["scores"]
    old = json.dumps(said).encode()
    now, then = result_files.parsed(about, table), result_files.parsed(old, table)
    assert (repr(then.rows), then.columns, then.checked) == (repr(now.rows), now.columns, False)
    for cut in (table[:-1], table[: table.rindex(b"\n", 0, -1) + 4], b"", b"\xff\xfe\n"):
        with pytest.raises(result_files.Damaged):
            result_files.read(old, cut)


@pytest.mark.parametrize("about", [b"[]", b"null", b"{}", b'{"trial": 3, "status": "finished"}', b"\xff"])
def test_what_is_no_result_is_named(files: tuple[bytes, bytes], about: bytes) -> None:
    with pytest.raises(result_files.Damaged, match=r"result\.json"):
        result_files.read(about, files[1])

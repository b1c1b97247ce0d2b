"""The two files of a result: what was written comes back, and any change is noticed."""

import json

import pytest
from made_up import finished, trial

from farback.stores import result_files


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


def test_a_changed_byte_of_the_scores_is_detected(files: tuple[bytes, bytes]) -> None:
    about, table = files
    for place in range(0, len(table), 7):
        with pytest.raises(result_files.Damaged):
            result_files.read(about, table[:place] + bytes([table[place] ^ 1]) + table[place + 1 :])


def test_a_changed_character_of_the_description_is_detected(files: tuple[bytes, bytes]) -> None:
    about, table = files
    text = about.decode()
    name = text.rindex(f'"{result_files.DIGEST}"')  # without it, the file is one of the first release
    places = [place for place, letter in enumerate(text) if letter.isalnum() and not 0 < place - name < 8]
    for place in places[::3]:
        changed = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]
        with pytest.raises(result_files.Damaged):
            result_files.read(changed.encode(), table)


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


@pytest.mark.parametrize("about", [b"[]", b"null", b"{}", b'{"trial": 3, "status": "finished"}', b"\xff"])
def test_a_file_that_is_no_result_is_named(files: tuple[bytes, bytes], about: bytes) -> None:
    with pytest.raises(result_files.Damaged, match=r"result\.json"):
        result_files.read(about, files[1])

"""Streams of the random numbers: named, separate, of the seed and the name alone."""

import pytest

from farback.system.random_streams import stream

NAMES = [("weights",), ("train",), ("validation",), ("test",), ("test", 10), ("test", 11), ("test10",)]


def numbers(seed: int, *name: str | int) -> tuple[float, ...]:
    return tuple(stream(seed, *name).random(8))


def test_different_names_and_seeds_give_different_numbers() -> None:
    drawn = {numbers(seed, *name) for seed in range(20) for name in NAMES}
    assert len(drawn) == 20 * len(NAMES)


def test_no_number_is_shared_between_streams() -> None:
    values = [value for name in NAMES for value in stream(3, *name).random(1000)]
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**63 - 1])
def test_equal_seeds_and_names_give_equal_numbers(seed: int) -> None:
    assert numbers(seed, "train") == numbers(seed, "train")


def test_a_draw_from_one_stream_changes_nothing_in_another() -> None:
    train, validation = stream(0, "train"), stream(0, "validation")
    train.random(100)
    assert tuple(validation.random(8)) == numbers(0, "validation")


def test_a_name_in_two_parts_differs_from_their_concatenation() -> None:
    assert numbers(0, "a", "b") != numbers(0, "ab")
    assert numbers(0, "a", "b") != numbers(0, "b", "a")


def test_seeds_that_differ_above_the_lowest_32_bits_differ() -> None:
    assert numbers(1, "train") != numbers(1 + 2**32, "train")


def test_the_numbers_are_the_same_in_every_release() -> None:
    """A change would silently change every recorded trial: it must be made on purpose, with new component versions."""
    assert stream(0, "train").integers(1000, size=5).tolist() == [240, 286, 364, 393, 696]
    assert stream(7, "test", "retention", 40).integers(1000, size=5).tolist() == [503, 155, 797, 299, 9]

"""What names become before they are kept or looked up."""

import pytest

from remediator.storage.postgres import keys


@pytest.mark.parametrize("name", ["", "docker:local/web", "é" * 250], ids=["empty", "short", "as-long-as-can-be"])
def test_a_name_stays_as_it_is(name: str) -> None:
    """People read it in a refusal."""
    assert name == keys.bounded(name)


def test_long_names_stay_different_and_become_short() -> None:
    """Two groups that differ in the last letter are two groups."""
    one, other = "é" * 50_000 + "a", "é" * 50_000 + "b"

    assert keys.bounded(one) != keys.bounded(other)
    assert len(keys.bounded(one).encode()) < 500
    assert keys.bounded(one) == keys.bounded(keys.bounded(one))


def test_a_nul_is_replaced() -> None:
    """PostgreSQL refuses the whole statement for one."""
    assert "a\N{REPLACEMENT CHARACTER}b" == keys.plain("a\0b") == keys.bounded("a\0b")


def test_locks_are_few_and_always_in_the_same_order() -> None:
    """In any other order two processes wait for each other."""
    names = [f"{number:016x}" for number in range(10_000)]

    assert keys.buckets(names) == keys.buckets(reversed(names)) == sorted(set(keys.buckets(names)))
    assert len(keys.buckets(names)) <= 256

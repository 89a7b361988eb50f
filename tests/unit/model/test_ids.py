"""Ids: short, sortable by the second they were made in, and never twice the same."""

import base64
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from remediator.model.ids import new_occurrence_id, new_owner_id, new_run_id

YEARS = st.datetimes(datetime(1970, 1, 2), datetime(2105, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive


@given(YEARS)
def test_an_id_is_16_characters_that_begin_with_the_second(at: datetime) -> None:
    """People sort by them, and the same characters have stood for the same time since the first version."""
    for made in (new_run_id(at), new_occurrence_id(at), new_owner_id(at)):
        assert (16, made.lower()) == (len(made), made)
        assert int(at.timestamp()) == int.from_bytes(base64.b32hexdecode(made.upper())[:4], "big")


@given(YEARS)
def test_ids_of_a_later_second_come_later(at: datetime) -> None:
    """A list of the newest runs goes by them where times are equal."""
    assert new_run_id(at) < new_run_id(at + timedelta(seconds=1))


def test_no_two_ids_of_one_second_are_the_same() -> None:
    """A storm makes thousands of them in a second."""
    at = datetime(2026, 1, 31, tzinfo=UTC)
    assert 10_000 == len({new_occurrence_id(at) for _ in range(10_000)})

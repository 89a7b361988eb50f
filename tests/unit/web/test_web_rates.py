"""So many at once, and then as many as come back with time; whoever is counted cannot fill the memory."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model.budget import Budget
from remediator.web.rates import Rates, place_of

MOMENTS = st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=60)


@given(gaps=MOMENTS, count=st.integers(1, 5))
def test_no_more_come_than_were_there_and_have_come_back(gaps: list[float], count: int) -> None:
    """However they come; and whoever is told to wait, and does, is let in."""
    now, began, let_in = [0.0], 0.0, 0
    rates = Rates(Budget(count, timedelta(seconds=60)), lambda: now[0])
    for gap in gaps:
        now[0] += gap
        wait = rates.take("a")
        let_in += not wait
        assert let_in <= count + (now[0] - began) * count / 60 + 1e-6
        assert 0 <= wait <= 60 / count + 1e-6
    now[0] += rates.take("a") + 1e-6
    assert 0 == rates.take("b")


def test_what_was_not_used_is_given_back_and_never_more_than_there_was() -> None:
    """A good token among bad ones costs nothing."""
    rates = Rates(Budget(2, timedelta(seconds=60)), lambda: 0.0)
    for _ in range(5):
        assert 0 == rates.take("a")
        rates.give_back("a")
    rates.give_back("a")

    assert [True, True, False] == [not rates.take("a") for _ in range(3)]


def test_only_so_many_are_remembered() -> None:
    """Whoever changes their name again and again fills nothing; who was seen last is remembered longest."""
    rates = Rates(Budget(1, timedelta(seconds=60)), lambda: 0.0, most=3)
    for name in ("a", "b", "c", "d"):
        rates.take(name)

    assert 60 == rates.take("d")
    assert 0 == rates.take("a")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        (None, ""),
        ("/run/socket", ""),
    ],
)
def test_a_network_of_ipv6_is_one_place(address: str | None, place: str) -> None:
    """Whoever has one address there has all of them."""
    assert place == place_of(address)

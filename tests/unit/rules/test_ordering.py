"""Diagnosis steps that need each other: every circle is found, and nothing else is taken for one."""

from graphlib import CycleError, TopologicalSorter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.rules.ordering import circles, in_turn, say_circle

NAMES = "abcdefgh"


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"a": "", "b": "a", "c": "ab"}, [], id="a-chain"),
        pytest.param({"a": "b", "b": "a"}, [("a", "b")], id="two"),
        pytest.param({"a": "a"}, [("a",)], id="itself"),
        pytest.param({"x": "b", "a": "c", "b": "a", "c": "b"}, [("a", "c", "b")], id="reached-from-outside"),
        pytest.param({"a": "b", "b": "a", "c": "d", "d": "c"}, [("a", "b"), ("c", "d")], id="two-circles"),
        pytest.param({"a": "gone"}, [], id="unknown-steps-are-said-elsewhere"),
    ],
)
def test_each_circle_is_found_once_and_begins_with_the_step_that_stands_first(
    needs: dict[str, str], expected: list[tuple[str, ...]]
) -> None:
    """The mistake is shown at that step."""
    found = {step: frozenset([needed] if needed == "gone" else needed) for step, needed in needs.items()}

    assert expected == list(circles(found))


@given(st.dictionaries(st.sampled_from(NAMES), st.frozensets(st.sampled_from(NAMES)), max_size=8))
def test_there_is_a_circle_exactly_where_there_is_no_order(needs: dict[str, frozenset[str]]) -> None:
    """One that is missed would wait for ever at night; the standard library is the oracle."""
    known = {step: frozenset(needed & set(needs)) for step, needed in needs.items()}
    try:
        tuple(TopologicalSorter(known).static_order())
        has_order = True
    except CycleError:
        has_order = False
    found = list(circles(needs))

    turn = in_turn(needs)

    assert has_order is (found == [])
    assert sorted(needs) == sorted(turn)
    if has_order:
        assert all(turn.index(one) > turn.index(other) for one in needs for other in known[one])
    for circle in found:
        assert all(other in needs[one] for one, other in zip(circle, (*circle[1:], circle[0]), strict=True))


def test_a_chain_longer_than_python_nests_is_gone_through() -> None:
    """A rule file is not trusted to be small."""
    needs = {f"s{n}": frozenset([f"s{n + 1}"]) for n in range(5000)} | {"s5000": frozenset(["s0"])}

    assert [5001] == [len(circle) for circle in circles(needs)]


def test_a_circle_is_said_link_by_link() -> None:
    """A person has to see where to cut it."""
    assert "`a` needs `b`, `b` needs `a`: none of them can be the first" == say_circle(("a", "b"))

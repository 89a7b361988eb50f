"""The book finds the rules of an alert, in order, and looks at few of them."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from remediator.model.ids import RuleId
from remediator.rules.book import Book, compile_rule
from tests.unit.rules.sample_actions import ACTIONS


def book_of(*rules: tuple[str, str, list[str]] | tuple[str, str, list[str], bool]) -> Book:
    def document(pack: str, name: str, match: list[str], goes_on: bool = False) -> dict[str, Any]:
        return {"pack": pack, "vars": {}, "rule": {"name": name, "match": match, "continue": goes_on}}

    return Book([compile_rule(document(*rule), ACTIONS) for rule in rules])


class Counting(Mapping[str, str]):
    """Labels that count how often they are asked."""

    def __init__(self, **labels: str) -> None:
        self._labels = labels
        self.asked = 0

    def __getitem__(self, name: str) -> str:
        self.asked += 1
        return self._labels[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)


RULES = book_of(
    ("a", "first", ["alertname=Down", "team=web"]),
    ("a", "watch", ["severity!=info"], True),
    ("a", "second", ["alertname=Down"]),
    ("a", "third", ["severity=page"]),
    ("b", "own", ["alertname=Down"]),
    ("b", "none", ["alertname="]),
)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"alertname": "Down", "team": "web"}, ["a/first", "b/own"]),
        ({"alertname": "Down"}, ["a/watch", "a/second", "b/own"]),
        ({"alertname": "Down", "severity": "info"}, ["a/second", "b/own"]),
        ({"alertname": "Up", "severity": "page"}, ["a/watch", "a/third"]),
        ({"alertname": "Up", "severity": "info"}, []),
        ({"severity": "info"}, ["b/none"]),
    ],
)
def test_the_first_rule_of_each_pack_wins(labels: dict[str, str], expected: list[str]) -> None:
    """As in Alertmanager's routes; packs know nothing of each other."""
    assert expected == [rule.id for rule in RULES.match(labels)]


def test_a_rule_is_found_by_its_id() -> None:
    """The command line and the API name rules so."""
    rule = RULES.get(RuleId("a/third"))

    assert rule is not None
    assert "third" == rule.name
    assert RULES.get(RuleId("a/fourth")) is None
    assert 6 == len(RULES) == len(list(RULES))


def test_an_alert_meets_few_of_many_rules() -> None:
    """Thousands of rules must not make each alert dear: what is counted is how often its labels are asked."""
    many = [("p", f"r{n}", [f"alertname=Alert{n}", "team=web"]) for n in range(1900)]
    others = [("q", f"s{n}", [f"service=s{n}"]) for n in range(99)]
    book = book_of(*many, *others, ("q", "last", ["severity!=info"]))
    labels = Counting(alertname="Alert7", team="web", severity="page")

    assert ["p/r7", "q/last"] == [rule.id for rule in book.match(labels)]
    assert 2000 == len(book)
    assert labels.asked < 10

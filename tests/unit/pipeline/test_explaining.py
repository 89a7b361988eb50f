"""Which rules match an alert is said with the value that decided."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from remediator.clients import Clients
from remediator.model.alert import Alert, AlertStatus, fingerprint_of
from remediator.model.plan import Mode
from remediator.pipeline.explaining import Explanation, Standing, explain
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.rules.loading import load_book
from remediator.settings import Settings
from tests.unit.pipeline.world import World, actions_of

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ACTIONS = actions_of(World())


def book_of(tmp_path: Path, *packs: tuple[str, Sequence[Mapping[str, Any]]], actions: Actions = ACTIONS) -> Book:
    for name, rules in packs:
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"pack": name, "rules": list(rules)}))
    return load_book([tmp_path], actions)


def explained(book: Book, ceiling: Mode = Mode.AUTO, **labels: str) -> Explanation:
    given = {"alertname": "Sick", **labels}
    alert = Alert(fingerprint_of(given), AlertStatus.FIRING, given, {}, NOON)
    return explain(alert, book, ceiling=ceiling, clients=Clients(Settings()))


def rule(name: str, *matchers: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "match": list(matchers) or ["alertname=Sick"], **more}


def test_the_first_matcher_that_failed_is_told_with_the_value_it_saw(tmp_path: Path) -> None:
    """`does not match` alone sends people to read regular expressions at night."""
    book = book_of(tmp_path, ("p", [rule("r", "alertname=Sick", 'service=~"a|b"', "zone=x")]))
    (view,) = explained(book, service="web").rules
    (bare,) = explained(book).rules

    assert (Standing.FAILS, 'service=~"a|b"', "web") == (
        view.standing,
        str(view.failed and view.failed.matcher),
        view.failed and view.failed.value,
    )
    assert [True, False, False] == [seen.holds for seen in view.seen]
    assert bare.failed is not None
    assert bare.failed.value is None
    assert view.outlook is None


def test_a_rule_that_an_earlier_one_of_its_pack_won_over_is_told_so(tmp_path: Path) -> None:
    """The first that matches wins; other packs do not care."""
    first, second = rule("first"), rule("second")
    found = explained(book_of(tmp_path, ("p", [first, second]), ("q", [second])))

    assert [
        ("p/first", Standing.MATCHES, None),
        ("p/second", Standing.PASSED_OVER, "p/first"),
        ("q/second", Standing.MATCHES, None),
    ] == [(view.rule.id, view.standing, view.winner) for view in found.rules]


def test_a_rule_that_continues_lets_the_next_one_match(tmp_path: Path) -> None:
    """As in Alertmanager's routes; the one that did not is the one that wins over the third."""
    rules = [rule("a", **{"continue": True}), rule("b"), rule("c")]
    found = explained(book_of(tmp_path, ("p", rules)))

    assert ["p/a", "p/b"] == [view.rule.id for view in found.matching]
    assert "p/b" == found.rules[2].winner


def test_what_matches_is_what_the_service_would_start(tmp_path: Path) -> None:
    """The explanation must not have a mind of its own."""
    rules = [rule("a", "service=~w.+", **{"continue": True}), rule("b", "x!=y"), rule("c", "service=db"), rule("d")]
    book = book_of(tmp_path, ("p", rules), ("q", [rule("e", "service!=web"), rule("f", "service=web")]))
    several: list[dict[str, str]] = [{}, {"service": "web"}, {"service": "db"}, {"x": "y"}]
    for labels in several:
        found = explained(book, Mode.AUTO, **labels)

        assert [r.id for r in book.match(found.alert.labels)] == [view.rule.id for view in found.matching]


def test_rules_that_come_near_are_a_few_of_each_pack(tmp_path: Path) -> None:
    """Of a thousand rules that do not match, the few that nearly do are worth reading."""
    near = [rule(f"n{n}", "alertname=Sick", "zone=x") for n in range(5)]
    rules = [
        rule("far", "alertname=Other"),
        *near,
        rule("nearer", "alertname=Sick", "job=a"),
        rule("odd", 'a!="b"', "c=d"),
    ]
    misspelt = rule("misspelt", "alertname=Sicc")
    found = explained(
        book_of(tmp_path, ("p", rules), ("q", [misspelt, rule("any", "service=~.+", "c=d")])), service="web"
    )

    assert ["p/n0", "p/n1", "p/n2", "q/misspelt"] == [view.rule.id for view in found.near]


def test_a_group_is_told_by_the_labels_that_make_it(tmp_path: Path) -> None:
    """Which alerts share a run; a label that is missing counts as the empty one."""
    book = book_of(tmp_path, ("p", [rule("r", group_by=["service", "zone"])]))
    (view,) = explained(book, service="web").rules

    assert (("service", "web"), ("zone", "")) == view.group_key


def test_approvers_who_are_not_there_are_told(tmp_path: Path) -> None:
    """Nobody is to find out at night that no one can approve."""
    remedy = {"name": "cure", "do": [{"test.act": {"name": "a"}}], "gate": {"approvers": ["dba"], "quorum": 2}}
    book = book_of(tmp_path, ("p", [rule("r", remediate=[remedy])]))
    (view,) = explained(book).rules

    assert view.outlook is not None
    gate = view.outlook.rungs[0].gate
    assert (("dba",), 2, "deny") == (gate.approvers, gate.quorum, gate.on_timeout)
    few = "2 have to approve, and the settings know 1 who may, with the admin token and without other tokens"
    assert (f"approval.groups has no group dba; {few}",) == gate.doubts

"""What waits to be fetched is bounded, whoever sends it."""

from dataclasses import replace
from datetime import UTC, datetime

from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.ids import Fingerprint
from remediator.pipeline.incomplete import CutGroup, Incomplete

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_delivery(group: str, *, missing: int = 1, **labels: str) -> Delivery:
    held = Alert(Fingerprint("f"), AlertStatus.FIRING, {"alertname": "Down"}, {"text": "x" * 1000}, NOW)
    return Delivery((held,), NOW, receiver="r", group_key=group, group_labels=labels, truncated=missing)


def taken(waiting: Incomplete, now: float = 0.0) -> list[str]:
    return [group.group_key for group in waiting.take_due(now)]


def test_a_group_is_kept_without_its_alerts_and_with_its_newest_count() -> None:
    """Thousands of whole deliveries would fill the memory; only what is asked for is needed."""
    waiting = Incomplete()
    waiting.put(a_delivery("one", missing=3, team="x"))
    waiting.put(a_delivery("two"))
    waiting.put(a_delivery("one", missing=5, team="x"))

    assert (CutGroup("r", "two", {}, 1), CutGroup("r", "one", {"team": "x"}, 5)) == waiting.take_due(0.0)
    assert () == waiting.take_due(0.0)


def test_only_so_many_groups_wait_and_the_oldest_gives_way() -> None:
    """Who sends them makes up the names of their groups."""
    waiting = Incomplete()
    for number in range(1500):
        waiting.put(a_delivery(f"g{number}"))

    assert [f"g{number}" for number in range(500, 1500)] == taken(waiting)


def test_a_group_with_endless_labels_does_not_wait() -> None:
    """Alertmanager would refuse so long a question, and a thousand of them would fill the memory."""
    waiting = Incomplete()
    waiting.put(a_delivery("big", team="x" * 20_000))

    assert 0 == len(waiting)


def test_a_group_that_is_put_back_waits_for_its_time_and_for_no_newer_delivery() -> None:
    """The newer one knows better what is missing, and has all its tries."""
    waiting = Incomplete()
    waiting.put(a_delivery("one"))
    waiting.put(a_delivery("two"))
    one, two = waiting.take_due(0.0)
    waiting.put(a_delivery("two", missing=9))
    waiting.put_back(replace(one, tries=1, not_before=10.0))
    waiting.put_back(replace(two, tries=1, not_before=10.0))

    assert [9] == [group.missing for group in waiting.take_due(9.9)]
    assert ["one"] == taken(waiting, 10.0)

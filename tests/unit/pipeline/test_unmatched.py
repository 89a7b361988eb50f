"""Whoever tries a rule sees why nothing happens, and a storm of other alerts does not fill the log."""

import asyncio

from structlog.testing import capture_logs

from remediator.kit.redaction import Redactor
from remediator.pipeline.unmatched import Unmatched


async def test_the_first_is_told_at_once_and_a_storm_once_a_second() -> None:
    unmatched = Unmatched(Redactor([]))
    with capture_logs() as logs:
        unmatched.note(["B", "A"])
        for _ in range(1000):
            unmatched.note(["C"])
        told = list(logs)
        async with asyncio.timeout(30):
            while len(logs) < 2:
                await asyncio.sleep(0.01)
    unmatched.close()

    assert [("A, B", 2)] == [(line["alertname"], line["count"]) for line in told]
    assert [("A, B", 2), ("C", 1000)] == [(line["alertname"], line["count"]) for line in logs]


async def test_what_is_left_is_told_at_the_end() -> None:
    unmatched = Unmatched(Redactor([]))
    with capture_logs() as logs:
        unmatched.note(["A"])
        unmatched.note(["B"])
        unmatched.close()
        unmatched.close()

    assert [("A", 1), ("B", 1)] == [(line["alertname"], line["count"]) for line in logs]


async def test_nothing_is_told_where_every_alert_has_a_rule() -> None:
    unmatched = Unmatched(Redactor([]))
    with capture_logs() as logs:
        unmatched.note([])
        unmatched.close()

    assert [] == logs


async def test_names_are_few_short_and_without_secrets() -> None:
    """They are whatever somebody has sent."""
    unmatched = Unmatched(Redactor(["tiger-lily"]))
    with capture_logs() as logs:
        unmatched.note([f"{n} tiger-lily {'x' * 5000}" for n in range(9)])
    unmatched.close()

    assert 9 == logs[0]["count"]
    assert "tiger" not in logs[0]["alertname"]
    assert 3 * 80 + 4 >= len(logs[0]["alertname"])

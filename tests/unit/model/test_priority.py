"""How urgent an alert is, from what its sender says."""

import pytest

from remediator.model.priority import Priority, priority_of


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ("critical", Priority.HIGH),
        ("CRITICAL", Priority.HIGH),
        (" Page ", Priority.HIGH),
        ("emergency", Priority.HIGH),
        ("warning", Priority.NORMAL),
        ("", Priority.NORMAL),
        ("sehr wichtig", Priority.NORMAL),
        ("criticality", Priority.NORMAL),
        ("info", Priority.LOW),
        ("None", Priority.LOW),
        ("critical" * 100_000, Priority.NORMAL),
        ("critical\x00", Priority.NORMAL),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_the_label_severity_says_how_urgent_a_run_is(severity: str, expected: Priority) -> None:
    """Whatever a sender puts there, the answer is one of three, and what is not known is normal."""
    assert expected == priority_of({"alertname": "Sick", "severity": severity})


def test_an_alert_without_a_severity_is_normal() -> None:
    """Most alerts of people who do not use it should neither push nor wait."""
    assert Priority.NORMAL is priority_of({"alertname": "Sick"})


def test_the_more_urgent_sorts_first() -> None:
    """The store orders by the number."""
    assert [Priority.HIGH, Priority.NORMAL, Priority.LOW] == sorted(Priority)

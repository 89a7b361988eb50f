"""How many messages a channel may get, and the one that tells of many."""

from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.budget import Budget
from remediator.model.message import Mention, Message, QueuedPost, Tone
from remediator.pipeline.escalation.gathering import Allowance, gathered, key_of
from remediator.pipeline.escalation.levels import limits_of
from remediator.settings import EscalationSettings

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LIMIT = Budget(3, timedelta(minutes=1))
TEAM = Mention("usergroup", "S0TEAM")


def post(number: int, event: str = "escalated", mention: Mention | None = TEAM) -> QueuedPost:
    data = (("event", event), ("level", "pager"), ("run", f"r{number}"), ("rule", "web/down"), ("summary", "down"))
    message = Message(Tone.FIRING, "t", (), mention, data)
    return QueuedPost(number, None, "#c", f"escalation.r{number}.1", message, 2, T0, None, None)


def test_an_allowance_is_used_up_and_comes_back() -> None:
    """In any minute there are three; each comes back a minute after it was taken."""
    one, left = Allowance(LIMIT), []
    for now in (0.0, 10.0, 20.0):
        one.take(now)
        left.append(one.left(now))
    later = [one.left(now) for now in (59.9, 60.0, 69.9, 70.0, 200.0)]

    assert [2, 1, 0] == left
    assert [0, 1, 1, 2, 3] == later


@pytest.mark.parametrize("limits", [("3/1m", "10/1m"), ("10/1m", "3/1m"), ("180/1h", "20/1m")])
def test_levels_that_share_a_channel_share_the_strictest_limit(limits: tuple[str, str]) -> None:
    """Where two may call there, it is still one phone."""
    settings = {
        name: EscalationSettings.model_validate({"channel": "#c", "webhook": "http://pager.example/x", "limit": limit})
        for name, limit in zip(("a", "b"), limits, strict=True)
    }
    found = limits_of(settings)

    assert {"#c", "webhook:a", "webhook:b"} == set(found)
    assert found["#c"] == min(settings["a"].limit, settings["b"].limit, key=lambda one: one.count / one.window.seconds)
    assert limits_of(settings, instead="terminal")["terminal"] == found["#c"]


def test_as_shipped_there_are_ten_a_minute() -> None:
    """A bound is there without anybody having thought of it."""
    assert Budget(10, timedelta(minutes=1)) == EscalationSettings.model_validate({"channel": "#c"}).limit


def test_what_nobody_has_seen_yet_comes_first_and_pings() -> None:
    """Of a hundred lines people read the first."""
    message = gathered([post(1, "over", None), post(2, "stopped", None), post(3)], LIMIT)

    assert "3 problems at once for pager: 1 escalated, 1 stopped, though they still fire, 1 over" == message.title
    assert ["r3", "r1", "r2"] == [dict(one)["run"] for one in message.problems]
    assert TEAM == message.mention
    assert "remediator escalation ack r3 --reason" in repr(message.parts)


def test_that_nothing_is_open_any_more_pings_nobody() -> None:
    """Nobody gets up for what is over."""
    message = gathered([post(1, "over"), post(2, "acknowledged")], LIMIT)

    assert (None, Tone.NEUTRAL) == (message.mention, message.tone)
    assert "escalation ack" not in repr(message.parts)


def test_each_version_has_a_message_of_its_own() -> None:
    """News of the first of them must not edit what told of all."""
    assert "escalations.7.2" == key_of([post(7), post(8)])

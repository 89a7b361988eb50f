"""How far the telling of each level is: due, on its way, delivered, or led nowhere; a real receiver hears it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from remediator.chat.chat import landed_at
from remediator.chat.webhook import WebhookChat
from remediator.pipeline.escalation.deliveries import LevelState, Told
from remediator.pipeline.escalation.levels import Level
from remediator.pipeline.escalation.listing import Escalations
from remediator.pipeline.outbox import Outbox
from tests.contract.pager import PAGER, Pager, paging, poster
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, rule

LADDER = [{"after": "0s", "to": "pager"}, {"after": "1m", "to": "nobody"}, {"after": "15m", "to": "manager"}]
LEVELS = {"pager": Level((PAGER,)), "manager": Level((PAGER,))}


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
async def chat(pager: Pager) -> AsyncIterator[WebhookChat]:
    async with paging(pager) as made:
        yield made


async def levels_of(it: Harness, outbox: Outbox) -> tuple[LevelState, ...]:
    escalations = Escalations(it.store, it.process.rulebook, it.clock, levels=LEVELS, channel="#c", tries=outbox.tries)
    (one, *_) = await escalations.list_open()
    return one.levels


async def test_a_level_is_told_once_it_was_delivered(tmp_path: Path, pager: Pager, chat: WebhookChat) -> None:
    """While its webhook is in trouble it is not, and the list says since when, how often it was tried, and why."""
    async with Harness(tmp_path, rule(mode="observe", escalate=LADDER), levels=LEVELS) as it:
        outbox = poster(it.store, chat, it.clock)
        await it.deliver(alert())
        await it.pass_time(SECOND)
        sent = await levels_of(it, outbox)
        pager.status = 503
        await outbox.send_waiting()
        tried = await levels_of(it, outbox)
        elsewhere = await levels_of(it, poster(it.store, chat, it.clock))
        pager.status = 200
        await it.clock.advance(MINUTE)
        await outbox.send_waiting()
        heard = await levels_of(it, outbox)
        await it.pass_time(15 * MINUTE)
        later = await levels_of(it, outbox)

    assert [Told.WAITING, Told.NOT_CONFIGURED, Told.DUE] == [one.told for one in sent]
    assert [(PAGER, False, None)] == [(place.channel, place.delivered, place.tries) for place in sent[0].places]
    assert sent[0].due == sent[0].places[0].at == tried[0].places[0].at
    assert (tries := tried[0].places[0].tries) is not None
    assert (1, True) == (tries.count, "answered 503" in tries.error)
    assert "s3cr3t-path" not in tries.error
    assert [None] == [place.tries for place in elsewhere[0].places]
    assert [Told.DELIVERED, Told.NOT_CONFIGURED, Told.DUE] == [one.told for one in heard]
    assert heard[0].places[0].at is not None
    assert [Told.DELIVERED, Told.NOT_CONFIGURED, Told.WAITING] == [one.told for one in later]


async def test_what_is_told_with_others_is_delivered_with_them(tmp_path: Path, pager: Pager, chat: WebhookChat) -> None:
    """It waits as long as the one message for all of them waits."""
    async with Harness(tmp_path, rule(mode="observe", escalate=LADDER[:1]), levels=LEVELS) as it:
        outbox = poster(it.store, chat, it.clock, limit=1)
        await it.deliver_all([it.alert({"alertname": "Sick", "instance": f"{number}"}) for number in range(5)])
        await it.deliver(alert())
        await it.pass_time(SECOND)
        pager.status = 500
        await outbox.send_waiting()
        (waits,) = await levels_of(it, outbox)
        pager.status = 200
        for _ in range(30):
            await it.clock.advance(SECOND)
            await outbox.send_waiting()
        (heard,) = await levels_of(it, outbox)

    assert (Told.WAITING, Told.DELIVERED) == (waits.told, heard.told)
    assert waits.places[0].tries is not None
    assert [("several", "6")] == [(body["event"], body["count"]) for body in pager.told if "event" in body]


@pytest.mark.parametrize(
    ("ref", "at"),
    [
        ("C0ALERTS:1767268800.000200", "2026-01-01 12:00:00.000200+00:00"),
        ("taken at 2026-01-01T12:00:00+00:00", "2026-01-01 12:00:00+00:00"),
        ("taken at noon", None),
        ("17", None),
        ("note/webhook:pager/escalation.r1.1", None),
        ("C0ALERTS:99999999999.000200", "5138-11-16 09:46:39.000200+00:00"),
    ],
)
def test_where_a_message_stands_says_when_it_landed(ref: str, at: str | None) -> None:
    """By Slack's clock, or by ours; a terminal says nothing, and so does what an earlier version has written."""
    found = landed_at(ref)

    assert at == (None if found is None else str(found))

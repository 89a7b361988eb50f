"""Socket Mode: what comes over the connection is taken once, and a connection that is of no use is replaced."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from remediator.clients.slack_socket import SlackSocketClient
from remediator.errors import BadPayload, Failed, StoreUnavailable
from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.model.run import Decision
from remediator.testing.slack_people import OpenedView
from remediator.testing.slack_socket import Connection, SlackSocketStandIn
from remediator.web.slack.socket import Inbox, SocketMode
from tests.unit.web.serving import until
from tests.unit.web.slack_desk import BEN, Desk, at_the_desk


class Heard:
    """An inbox that notes what it is given, and answers as it is told to."""

    def __init__(self) -> None:
        self.given: list[tuple[str, Mapping[str, Any]]] = []
        self.error: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def interact(self, payload: Mapping[str, Any], /) -> dict[str, Any] | None:
        return await self._take("interact", payload)

    async def command(self, form: Mapping[str, str], /) -> dict[str, Any] | None:
        return await self._take("command", form)

    async def _take(self, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
        self.given.append((kind, given))
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return {"text": f"{kind} {len(self.given)}"}


@asynccontextmanager
async def listening(
    slack: SlackSocketStandIn, inbox: Inbox, *, silence: timedelta = timedelta(seconds=20)
) -> AsyncIterator[tuple[SocketMode, Metrics]]:
    """Socket Mode at work; it has a connection where Slack gives one."""
    metrics = Metrics()
    client = SlackSocketClient(token=slack.app_token, base_url=slack.base_url, silence=silence)
    mode = SocketMode(client, inbox, SystemClock(), metrics, first_pause=timedelta(milliseconds=5))
    work = asyncio.create_task(mode.work())
    try:
        yield mode, metrics
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


@pytest.fixture
async def slack() -> AsyncIterator[SlackSocketStandIn]:
    async with SlackSocketStandIn() as made:
        yield made


@pytest.fixture
def inbox() -> Heard:
    return Heard()


def is_up(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("remediator_slack_socket")


async def test_a_press_over_the_socket_decides() -> None:
    """Networks that let nothing in are the reason for Socket Mode; all else is as over HTTP."""
    desk: Desk
    async with at_the_desk(stand_in=SlackSocketStandIn) as desk:
        slack = desk.slack
        assert isinstance(slack, SlackSocketStandIn)
        async with listening(slack, desk.inbox) as (mode, _):
            await until(lambda: mode.trouble is None)
            denied = await slack.press(desk.card, "deny")
            await until(lambda: bool(slack.views))
            view: OpenedView = slack.views[-1]
            unsaid = await slack.send_off(view, reason=" ")
            said = await slack.send_off(view, reason="not at night")
            again = await slack.press(desk.card, "approve", user=BEN)
            status = await slack.type("help")
        decisions: list[Decision] = await desk.decisions()
        told = await desk.told()

    assert (None, None, None) == (denied, said, again)
    assert "errors" == unsaid["response_action"]
    assert [(False, "not at night", "ana")] == [(one.approved, one.reason, one.person) for one in decisions]
    assert [BEN.id] == [user for user, _ in told]
    assert status["response_type"] == "ephemeral"


async def test_an_envelope_that_comes_twice_is_taken_once(slack: SlackSocketStandIn, inbox: Heard) -> None:
    """Slack sends it again where it saw no acknowledgement, also while the first is still being taken."""
    async with listening(slack, inbox) as (mode, _):
        await until(lambda: mode.trouble is None)
        inbox.may_answer.clear()
        first = asyncio.create_task(slack.deliver("interactive", {"n": 1}, envelope="e1"))
        await until(lambda: bool(inbox.given))
        second = asyncio.create_task(slack.deliver("interactive", {"n": 1}, envelope="e1"))
        inbox.may_answer.set()
        answers = [await second, await slack.deliver("interactive", {"n": 1}, envelope="e1")]
        first.cancel()

    assert [("interact", {"n": 1})] == inbox.given
    assert [{"text": "interact 1"}] * 2 == answers


@pytest.mark.parametrize("error", [BadPayload("odd"), StoreUnavailable("full"), ValueError("a mistake of ours")])
async def test_what_was_not_taken_is_not_acknowledged(
    slack: SlackSocketStandIn, inbox: Heard, error: Exception
) -> None:
    """Slack shows the person an error then, and the next envelope is taken."""
    inbox.error = error
    async with listening(slack, inbox) as (mode, _):
        await until(lambda: mode.trouble is None)
        lost = asyncio.create_task(slack.deliver("interactive", {}))
        await until(lambda: bool(inbox.given))
        inbox.error = None
        answer = await slack.deliver("slash_commands", {"text": "status", "odd": ["no text"]})
        (connection,) = slack.connections

        assert {"text": "command 2"} == answer
        assert ("command", {"text": "status"}) == inbox.given[-1]
        assert ["envelope-2"] == connection.acknowledged
        assert not lost.done()
        lost.cancel()


@pytest.mark.parametrize("text", ["[]", "nonsense", "{}", '{"envelope_id": 7}', "[" * 100_000, '{"type": "new"}'])
async def test_what_is_no_envelope_does_no_harm(slack: SlackSocketStandIn, inbox: Heard, text: str) -> None:
    """Nothing that comes over the wire may end the listening."""
    async with listening(slack, inbox) as (mode, _):
        await until(lambda: mode.trouble is None)
        await slack.connections[-1].socket.send_str(text)
        answer = await slack.deliver("interactive", "no object")

        assert ({"text": "interact 1"}, [("interact", {})]) == (answer, inbox.given)
        assert 1 == slack.opened


async def test_a_connection_that_ends_soon_is_replaced_before(slack: SlackSocketStandIn, inbox: Heard) -> None:
    """Slack ends each after some hours: nobody's press falls between; what is under way is answered where it came."""
    async with listening(slack, inbox) as (mode, metrics):
        await until(lambda: mode.trouble is None)
        (old,) = slack.connections
        inbox.may_answer.clear()
        pressed = asyncio.create_task(slack.deliver("interactive", {}, over=old))
        await until(lambda: bool(inbox.given))
        await old.end_soon("warning")
        await until(lambda: len(slack.connections) == 2)
        is_up_meanwhile = is_up(metrics), mode.trouble
        inbox.may_answer.set()
        answer = await pressed
        await until(lambda: len(slack.connections) == 1)
        other = await slack.deliver("interactive", {})

    assert (1.0, None) == is_up_meanwhile
    assert [{"text": "interact 1"}, {"text": "interact 2"}] == [answer, other]
    assert (["envelope-1"], 2) == (old.acknowledged, slack.opened)


async def _drop(slack: SlackSocketStandIn, connection: Connection) -> None:
    await connection.socket.close()


async def _silence(slack: SlackSocketStandIn, connection: Connection) -> None:
    connection.fall_silent()


@pytest.mark.parametrize("spoil", [_drop, _silence])
async def test_a_connection_that_is_dead_is_replaced(
    slack: SlackSocketStandIn, inbox: Heard, spoil: Callable[[SlackSocketStandIn, Connection], Any]
) -> None:
    """A firewall that forgets a connection tells nobody: only asking shows it."""
    async with listening(slack, inbox, silence=timedelta(milliseconds=500)) as (mode, _):
        await until(lambda: mode.trouble is None)
        old = slack.connections[0]
        await spoil(slack, old)
        await until(lambda: slack.opened > 1 and mode.trouble is None)
        answer = await slack.deliver("interactive", {})

    assert {"text": "interact 1"} == answer


async def test_a_connection_that_lives_is_kept_and_pings_are_answered(slack: SlackSocketStandIn, inbox: Heard) -> None:
    """Slack, too, ends a connection that does not answer it."""
    async with listening(slack, inbox) as (mode, _):
        await until(lambda: mode.trouble is None)
        (connection,) = slack.connections
        for _ in range(3):
            await connection.socket.ping()
        await until(lambda: connection.pongs == 3)
    async with listening(slack, inbox, silence=timedelta(milliseconds=300)):
        await until(lambda: any(one.pings > 1 for one in slack.connections))

    assert 3 == connection.pongs


async def test_while_slack_refuses_it_is_tried_again_and_said_why(slack: SlackSocketStandIn, inbox: Heard) -> None:
    """Readiness and the metric say it; nothing of the token or the address is in it."""
    slack.fail_next("apps.connections.open", times=2, status=503)
    slack.fail_next("apps.connections.open", error="missing_scope")
    slack.greets = True
    troubles: set[str] = set()
    async with listening(slack, inbox) as (mode, metrics):
        before = is_up(metrics)
        while mode.trouble is not None:
            troubles.add(mode.trouble)
            await asyncio.sleep(0)
        after = is_up(metrics)

    assert (0.0, 1.0, 4) == (before, after, slack.opened)
    assert any("scope connections:write" in one for one in troubles)
    assert not any("s3cr3t" in one or "xapp" in one.replace("xapp-…", "") for one in troubles)


@pytest.mark.parametrize("url", ["", "http://127.0.0.1/x", "ws://127.0.0.1:1/?ticket=s3cr3t", 7])
async def test_an_address_that_is_none_is_not_connected_to(url: object) -> None:
    """Where the web API is asked by HTTPS, nothing is sent over a connection that others can read."""

    class Odd(SlackSocketClient):
        async def _call(self, *_given: Any, **_more: Any) -> Mapping[str, Any]:
            _given[2].close()
            return {"url": url}

    client = Odd(token="xapp-1", base_url="https://slack.com/api/")
    with pytest.raises(Exception, match="gave no address") as caught:
        await client.connect()
    await client.close()

    assert not isinstance(caught.value, Failed)
    assert "s3cr3t" not in str(caught.value)

"""From Alertmanager to a press in Slack to the action, with the service as a process of its own."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from remediator.testing.slack import SlackStandIn, StoredMessage
from remediator.testing.slack_people import User, has_buttons
from tests import services
from tests.pair import Replica
from tests.served import Served

ANA, BEN = User(), User("U00000200", "ben")
LOOK = {"argv": ["true"], "effect": "read"}


@pytest.fixture
async def slack() -> AsyncIterator[SlackStandIn]:
    async with SlackStandIn() as made:
        yield made


def configure(served: Served, slack: SlackStandIn, done: Path, **more: Any) -> None:
    """A gated rule whose one step adds a line to a file; people decide in Slack."""
    slack_settings = {
        "token": slack.token,
        "channel": "#alerts",
        "base_url": slack.base_url,
        "signing_secret": slack.signing_secret,
        "post_interval": "0s",
    }
    mend = {
        "argv": ["sh", "-c", 'echo "$0" >> "$1"', "{service}", str(done)],
        "parameters": {"service": {}},
        "effect": "change",
        "target": "{service}",
    }
    served.configure(
        slack=slack_settings,
        people={"ana": {"slack": ANA.id}, "ben": {"slack": BEN.id}},
        commands={"mend": mend, "look": LOOK},
        **more,
    )


async def off(function: Callable[..., Any], *arguments: Any) -> Any:
    """Beside the loop, which has Slack to serve."""
    return await asyncio.to_thread(function, *arguments)


async def a_card(slack: SlackStandIn) -> StoredMessage:
    """The message with the buttons, once it is there."""
    async with asyncio.timeout(60):
        while True:
            found = [message for message in slack.messages["alerts"] if has_buttons(message.blocks)]
            if found:
                return found[-1]
            await asyncio.sleep(0.02)


async def noted(served: Served) -> None:
    """Wait until every message is noted as sent: a service that is killed before that may send one again."""
    await off(services.wait_until, lambda: _all_sent(served.run()), "all messages to be noted as sent")


def _all_sent(run: dict[str, Any]) -> bool:
    return bool(run["messages"]) and all(message["sent"] for message in run["messages"])


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def fire(alertmanager: str) -> None:
    body = json.dumps([{"labels": {"alertname": "Down", "service": "web"}}]).encode()
    request = urllib.request.Request(
        f"{alertmanager}/api/v2/alerts", data=body, headers={"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


def deliver(served: Served) -> None:
    labels = {"alertname": "Down", "service": "web"}
    alert = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": "2026-01-01T12:00:00Z"}
    body = json.dumps({"version": "4", "groupKey": "{}", "receiver": "r", "alerts": [alert]}).encode()
    assert 202 == served.ask("/api/v1/alerts", body=body)[0]


def decisions(served: Served) -> list[dict[str, Any]]:
    return [signal for signal in served.run()["signals"] if signal["kind"] == "decision"]


async def test_a_press_in_slack_has_the_step_done_once(slack: SlackStandIn, served: Served, tmp_path: Path) -> None:
    """The whole way, with a restart while people think; a second press, and the first one sent again, do nothing."""
    services.requires("prometheus-alertmanager")
    done = tmp_path / "done"
    configure(served, slack, done)
    await off(served.start)
    slack.people_call = served.url
    with services.alertmanager(webhook=f"{served.url}/api/v1/alerts") as alertmanager:
        await off(fire, alertmanager.address)
        card = await a_card(slack)
        pressed = slack.click_payload(card, "approve")
        await noted(served)
        await off(served.kill)
        await off(served.start)

        assert 200 == (await slack.send_interaction(pressed)).status
        await eventually(done.exists)
        await eventually(lambda: not has_buttons(card.blocks))
        assert "ana" in card.shown
        again = await slack.send_interaction({**pressed, "trigger_id": "another"})
        await eventually(lambda: bool(slack.ephemerals))
        run = await off(served.run)

    assert 200 == again.status
    assert (ANA.id, True) == (slack.ephemerals[0].user, "ana has approved it already" in slack.ephemerals[0].text)
    assert "web\n" == done.read_text()
    assert 1 == len([signal for signal in run["signals"] if signal["kind"] == "decision"])


async def test_what_was_decided_when_the_service_was_killed_is_done_once(slack: SlackStandIn, tmp_path: Path) -> None:
    """It dies after the decision is on disk and before anything is begun; a second press adds nothing."""
    done, flag = tmp_path / "done", tmp_path / "flag"
    served = Replica(tmp_path / "service")
    served.folder.mkdir()
    configure(served, slack, done)
    served.arm("run.taken", "SIGKILL", flag)
    slack.people_call = served.url
    try:
        await off(served.start)
        await off(deliver, served)
        card = await a_card(slack)
        pressed = slack.click_payload(card, "approve")
        flag.touch()
        with suppress(aiohttp.ClientError, TimeoutError):  # it may die before it has answered
            await slack.send_interaction(pressed)
        await off(served.until, "SIGKILL")
        assert not done.exists()
        served.wrapper = ()
        await off(served.start)
        await slack.send_interaction({**pressed, "trigger_id": "another"})

        await eventually(lambda: done.exists() and not has_buttons(card.blocks))
        await off(services.wait_until, lambda: bool(served.run()["outcome"]), "the run to end")
        assert ["ana"] == [decision["by"] for decision in await off(decisions, served)]
        assert "web\n" == done.read_text()
    finally:
        await off(served.end)


async def test_a_denial_with_its_reason_ends_the_run(slack: SlackStandIn, served: Served, tmp_path: Path) -> None:
    """By the modal, and told in the thread."""
    done = tmp_path / "done"
    configure(served, slack, done)
    await off(served.start)
    slack.people_call = served.url
    await off(deliver, served)
    card = await a_card(slack)

    await slack.click(card, "deny")
    await eventually(lambda: bool(slack.views))
    answer = await slack.submit(slack.views[0], reason="we are at it")

    assert (200, b"") == (answer.status, answer.body)
    await eventually(lambda: "UTC: we are at it" in card.shown and not has_buttons(card.blocks))
    await off(services.wait_until, lambda: served.run()["outcome"] == "denied", "the run to end")
    assert not done.exists()


async def test_two_people_who_press_at_once_on_two_replicas_decide_once(
    slack: SlackStandIn, new_database: str, tmp_path: Path
) -> None:
    """A load balancer sends each press to another process; the step is done once, and one of them is told so."""
    done = tmp_path / "done"
    replicas = [Served(tmp_path / name) for name in ("one", "two")]
    try:
        for replica in replicas:
            replica.folder.mkdir()
            store = {"directory": str(replica.folder / "store"), "url": new_database}
            configure(replica, slack, done, store=store)
        for replica in replicas:
            await off(replica.start)
        await off(deliver, replicas[0])
        card = await a_card(slack)

        answers = await asyncio.gather(
            slack.click(card, "approve", user=ANA, to=replicas[0].url),
            slack.click(card, "approve", user=BEN, to=replicas[1].url),
        )

        assert [200, 200] == [answer.status for answer in answers]
        await eventually(lambda: bool(slack.ephemerals))
        await eventually(lambda: done.exists() and not has_buttons(card.blocks))
        (decision,) = await off(decisions, replicas[1])
        ((told, text),) = [(one.user, one.text) for one in slack.ephemerals]
        assert {"ana", "ben"} == {decision["by"], "ana" if told == ANA.id else "ben"}
        assert text.startswith(f"{decision['by']} has approved it already")
        assert "web\n" == done.read_text()
    finally:
        for replica in replicas:
            await off(replica.end)

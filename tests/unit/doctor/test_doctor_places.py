"""The doctor looks where other places are, and whether Socket Mode would work, and tells nobody."""

import asyncio
from typing import Any

import pytest

from remediator.clients import Clients
from remediator.doctor.finding import Finding, Verdict
from remediator.doctor.needs import Needs
from remediator.doctor.places import notified, socket
from remediator.errors import Failed
from remediator.settings import Settings
from remediator.testing.slack_socket import SlackSocketStandIn

SECRET = "0123456789abcdef"


async def found(**place: Any) -> Finding:
    settings = Settings.model_validate({"notify": {"team": place}})
    (finding,) = await notified(Clients(settings), Needs())
    return finding


async def test_a_webhook_is_connected_to_and_told_nothing() -> None:
    """A question would be taken for news."""
    told: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    finding = await found(webhook=f"http://127.0.0.1:{port}/s3cr3t", secret=SECRET)
    while not told:
        await asyncio.sleep(0)
    server.close()
    await server.wait_closed()
    away = await found(webhook=f"http://127.0.0.1:{port}/s3cr3t", secret=SECRET)

    assert (Verdict.OK, [b""]) == (finding.verdict, told)
    assert (Verdict.PROBLEM, "check notify.team.webhook and the network") == (away.verdict, away.remedy)
    assert "s3cr3t" not in f"{finding} {away}"


@pytest.mark.parametrize(("url", "verdict"), [("json://127.0.0.1:1/s3cr3t", "ok"), ("nonsense://s3cr3t", "problem")])
async def test_an_address_of_apprise_is_read(url: str, verdict: str) -> None:
    """Whether a mailbox takes a mail is known once it is sent one."""
    finding = await found(url=url)

    assert verdict.upper() == finding.verdict.name
    assert "s3cr3t" not in str(finding)


async def test_socket_mode_is_asked_for_and_not_opened() -> None:
    """Over a connection of the doctor's own a press would be lost."""
    async with SlackSocketStandIn() as slack:

        async def look(app_token: str | None) -> list[Finding]:
            given = {"token": slack.token, "base_url": slack.base_url, "app_token": app_token}
            return await socket(Clients(Settings.model_validate({"slack": given})), Needs())

        (good,) = await look(slack.app_token)
        none = await look(None)
        with pytest.raises(Failed, match=r"invalid_auth; check slack\.app_token"):
            await look("xapp-another")

    assert (Verdict.OK, []) == (good.verdict, none)
    assert (1, []) == (slack.opened, slack.connections)

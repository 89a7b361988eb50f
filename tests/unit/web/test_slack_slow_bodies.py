"""Whether a body is Slack's shows at its end: whoever begins one and never ends it keeps nothing from anybody else."""

import asyncio

from remediator.testing.slack_people import signed
from tests.unit.web.a_run import NOW
from tests.unit.web.serving import FIRING
from tests.unit.web.slack_desk import at_the_desk

STAMP = int(NOW.timestamp())
CLAIM = "".join(f"{name}: {value}\r\n" for name, value in signed("not the secret", STAMP, b"").items())
HEAD = f"POST /slack/commands HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n{CLAIM}\r\n"


async def test_alerts_are_taken_while_anybody_begins_bodies_for_slack() -> None:
    """That takes no secret. More begin than there would be room for, each as large as it may be."""
    async with at_the_desk() as desk:
        writers = []
        for _ in range(80):
            reader, writer = await asyncio.open_connection(desk.client.host, desk.client.port)
            writer.write(HEAD.encode())
            assert b"HTTP/1.1 100 Continue\r\n" == await reader.readline()
            writers.append(writer)
        async with desk.client.post("/api/v1/alerts", data=FIRING + b" " * 300_000) as answer:
            status = answer.status
        for writer in writers:
            writer.transport.abort()

    assert 202 == status

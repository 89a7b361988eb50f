"""The doctor looks where levels of escalation lead, and calls nobody."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.clients import Clients
from remediator.doctor.escalation import levels
from remediator.doctor.finding import Finding, Verdict
from remediator.doctor.needs import Needs, needs_of
from remediator.doctor.unknown import unknown_names
from remediator.pipeline.escalation.listing import unknown_levels
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.rules.loading import load_book
from remediator.settings import Settings
from tests import services

RULES = """
pack: web
rules:
  - name: down
    match: ['alertname="Down"']
    mode: observe
    escalate: [{to: on-call}, {after: 1h, to: manager}, {after: 2h, to: manager}]
  - {name: slow, match: ['alertname="Slow"'], mode: observe}
"""


def settings_of(**escalation: Any) -> Settings:
    return Settings.model_validate({"escalation": escalation})


async def found(needs: Needs | None = None, **escalation: Any) -> list[Finding]:
    return await levels(Clients(settings_of(**escalation)), needs or Needs())


@pytest.fixture
def book(tmp_path: Path) -> Book:
    (tmp_path / "web.yaml").write_text(RULES)
    return load_book([tmp_path / "web.yaml"], Actions({}))


async def test_a_level_that_there_is_not_is_a_problem(book: Book) -> None:
    """By `doctor`, by `check`, and in the log when the service starts."""
    settings = settings_of(**{"on-call": {"channel": "#c"}})
    (finding,) = await levels(Clients(settings), needs_of(book))
    noted = [(use.rule, use.path, said) for use, said in unknown_names(settings, needs_of(book))]

    assert ("escalation manager", Verdict.PROBLEM) == (finding.what, finding.verdict)
    assert "web/down escalates to it, and it is not there: nobody would be told" == finding.detail
    said = "the settings name no level of escalation `manager`; known are `on-call`"
    assert [("web/down", ("escalate", number, "to"), said) for number in (1, 2)] == noted
    assert [("web/down", "manager")] == list(unknown_levels(book, settings.escalation))


async def test_a_webhook_is_connected_to_and_told_nothing() -> None:
    """Whoever is behind it must not be called by a look."""
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            heard.append(await reader.read())
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (finding,) = await found(pager={"webhook": f"http://127.0.0.1:{port}/s3cr3t"})
    async with asyncio.timeout(60):
        while not heard:
            await asyncio.sleep(0)
    server.close()
    await server.wait_closed()

    assert [b""] == heard
    assert Verdict.OK is finding.verdict
    assert "s3cr3t" not in finding.detail


async def test_a_webhook_that_is_not_there_is_a_problem() -> None:
    """It names the setting, and not the address's secret path."""
    (finding,) = await found(pager={"webhook": f"http://127.0.0.1:{services.free_port()}/s3cr3t"})

    assert Verdict.PROBLEM is finding.verdict
    assert "escalation.pager.webhook" in finding.remedy
    assert "s3cr3t" not in finding.detail + finding.remedy


async def test_one_that_speaks_no_tls_is_a_problem_where_the_address_says_so() -> None:
    """A certificate that is not valid would be noticed in the night that it is needed."""

    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\r\n")
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (finding,) = await found(pager={"webhook": f"https://127.0.0.1:{port}/x", "timeout": timedelta(seconds=5)})
    server.close()
    await server.wait_closed()

    assert Verdict.PROBLEM is finding.verdict

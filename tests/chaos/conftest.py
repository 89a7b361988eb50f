"""Fixtures of the chaos tests: the service as a process, a PostgreSQL of its own that asks for no password."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediator.testing.slack import SlackStandIn
from tests import services
from tests.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The service, not started yet; it is ended at last."""
    made = Served(tmp_path)
    yield made
    made.end()


@pytest.fixture
def database() -> Iterator[services.Postgres]:
    """A PostgreSQL with an empty database `remediator`, whose superuser is `postgres`; a test may stop it."""
    services.requires("postgres", "initdb", "pg_isready", "psql")
    with services.postgresql() as running:
        running.sql("CREATE DATABASE remediator")
        yield running


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    """Slack's stand-in on a loop of its own, so that it answers while a test waits."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="slack-stand-in")
    thread.start()
    made = SlackStandIn(token="xoxb-chaos", channels=["alerts"])
    asyncio.run_coroutine_threadsafe(made.start(), loop).result(10)
    yield made
    asyncio.run_coroutine_threadsafe(made.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()

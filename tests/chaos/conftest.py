"""Fixtures of the chaos tests: the service as a process, a PostgreSQL of its own that asks for no password."""

from collections.abc import Iterator

import pytest

from remediator.testing.slack import SlackStandIn
from tests import services
from tests.slack_on_a_loop import slack_on_a_loop

pytest.register_assert_rewrite("tests.chaos.after_an_outage")


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
    with slack_on_a_loop("xoxb-chaos", ["alerts"]) as made:
        yield made

"""Servers that only these tests need."""

from collections.abc import Iterator

import pytest

from tests import services
from tests.integration.on_postgres import PASSWORD


@pytest.fixture
def own_server() -> Iterator[services.Postgres]:
    """A server of the test's own, which asks for a password and may be stopped."""
    services.requires("postgres", "initdb", "pg_isready", "psql")
    with services.postgresql(password=PASSWORD) as running:
        running.sql("CREATE DATABASE remediator")
        yield running

"""The API over a few runs and alerts, and the whole application behind a webhook."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.web.a_run import WAITING, Alerts, Runs
from tests.unit.web.serving import Client, Service, api, serving, token


@pytest.fixture
def runs() -> Runs:
    return Runs({WAITING.id: WAITING})


@pytest.fixture
def alerts() -> Alerts:
    return Alerts()


@pytest.fixture
async def client(runs: Runs, alerts: Alerts) -> AsyncIterator[Client]:
    async with api(token(), runs=runs, alerts=alerts) as running:
        yield running


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as running:
        yield running

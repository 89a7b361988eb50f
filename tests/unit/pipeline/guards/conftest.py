"""A clock, and an Alertmanager that goes by it, for guards that look at the world."""

from collections.abc import AsyncIterator

import pytest

from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.guards.probing import AT, World, an_alertmanager


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(AT)


@pytest.fixture
async def world(clock: VirtualClock) -> AsyncIterator[World]:
    async with an_alertmanager(clock) as made:
        yield made

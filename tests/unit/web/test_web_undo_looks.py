"""The API looks at how it is now where it is asked to, and waits until nothing is being put back any more."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from remediator.errors import Failed, RemediatorError
from remediator.model.ids import RunId
from remediator.model.remains import Now
from remediator.model.run import Run
from remediator.pipeline.undo.looking import Found
from remediator.pipeline.undo.verdicts import Key
from tests.unit.web.serving import ADMIN, Nothing, api
from tests.unit.web.test_web_undo import ASKED, ENDED, GIVE, GIVEN, OVER, RUN, a_run

FOUND = Found("somebody has changed it since", Now.CHANGED)
UNDER_WAY = a_run(*GIVEN, ENDED, ASKED)
ADMINS = {"Authorization": f"Bearer {ADMIN}"}
PATH = f"/api/v1/runs/{RUN.id}/undo"


class One(Nothing):
    """One run, which is over after it was read so often."""

    def __init__(self, run: Run, *, over_after: int = 1000, fails: RemediatorError | None = None) -> None:
        self.run, self.over_after, self.fails = run, over_after, fails
        self.reads = self.looks = 0

    async def read_run(self, run: RunId, /) -> Run | None:
        self.reads += 1
        return replace(self.run, facts=(*self.run.facts, OVER)) if self.reads > self.over_after else self.run

    async def look_at_changes(self, run: Run, /) -> Mapping[Key, Found]:
        self.looks += 1
        if self.fails is not None:
            raise self.fails
        return {(1, GIVE.id): FOUND}


async def test_how_it_is_now_is_shown_where_it_is_asked_for() -> None:
    """A plain look reaches out to nobody."""
    runs = One(a_run(*GIVEN, ENDED))
    async with api(ADMINS, runs=runs) as client:
        plain = await (await client.get(PATH)).json()
        looked = await (await client.get(f"{PATH}?look=true")).json()

    assert ("now" in plain["changes"][0], 1) == (False, runs.looks)
    assert {"is": "changed", "says": "somebody has changed it since"} == looked["changes"][0]["now"]


async def test_what_cannot_be_looked_at_is_a_refusal_with_its_reason() -> None:
    """The rule of the run may not be readable any more."""
    async with api(ADMINS, runs=One(a_run(*GIVEN, ENDED), fails=Failed("its rule is gone"))) as client:
        answer = await client.get(f"{PATH}?look=true")

        assert (409, "how it is now cannot be looked at: its rule is gone") == (
            answer.status,
            (await answer.json())["error"],
        )


async def test_it_is_answered_as_soon_as_it_is_over() -> None:
    """Nobody has to ask again and again."""
    runs = One(UNDER_WAY, over_after=2)
    async with api(ADMINS, runs=runs) as client, asyncio.timeout(20):
        found = await (await client.get(f"{PATH}?wait=30s")).json()

    assert (False, 3) == (found["under_way"], runs.reads)


async def test_it_is_answered_at_the_latest_when_the_time_is_over() -> None:
    """What is held may take days."""
    async with api(ADMINS, runs=One(UNDER_WAY)) as client, asyncio.timeout(20):
        found = await (await client.get(f"{PATH}?wait=300ms")).json()

    assert found["under_way"]


async def test_it_is_answered_when_the_service_stops() -> None:
    """Who waits for half a minute must not hold up a stop, which others wait for."""
    runs = One(UNDER_WAY)
    async with api(ADMINS, runs=runs) as client, asyncio.timeout(20):
        waiting = asyncio.ensure_future(client.get(f"{PATH}?wait=30s"))
        while not runs.reads:
            await asyncio.sleep(0)
        app = client.app
        assert app is not None
        await app.shutdown()
        found = await (await waiting).json()

    assert found["under_way"]


@pytest.mark.parametrize("query", ["wait=31s", "wait=soon", "look=maybe", "force=true"])
async def test_what_it_does_not_know_is_told(query: str) -> None:
    """A typing mistake must not look like an answer."""
    async with api(ADMINS, runs=One(UNDER_WAY)) as client:
        assert 400 == (await client.get(f"{PATH}?{query}")).status

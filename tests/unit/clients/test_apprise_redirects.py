"""A place that sends us on: nobody is told anything at an address that the settings do not name."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from remediator.clients.apprise import AppriseClient
from remediator.errors import OutcomeUnknown
from remediator.settings import NotifySettings


@dataclass
class Moved:
    """Sends everybody on from `/from…`, and notes who comes to `/to`."""

    status: int = 302
    port: int = 0
    came: list[str] = field(default_factory=list)

    async def send_on(self, request: web.Request) -> web.Response:
        del request
        return web.Response(status=self.status, headers={"Location": "/to"})

    async def note(self, request: web.Request) -> web.Response:
        self.came.append(request.method)
        return web.Response()


@pytest.fixture
async def moved() -> AsyncIterator[Moved]:
    place = Moved()
    app = web.Application()
    app.router.add_route("*", "/from{_:/?}", place.send_on)
    app.router.add_route("*", "/to", place.note)
    async with TestServer(app) as server:
        place.port = server.port or 0
        yield place


def client_of(place: Moved, more: str = "") -> AppriseClient:
    url = f"json://127.0.0.1:{place.port}/from{more}"
    return AppriseClient("team", SecretStr(url), NotifySettings.model_validate({"url": url}))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_place_that_has_moved_is_told_nothing_elsewhere(moved: Moved, status: int) -> None:
    """With 302, the library only asks for the new address, and takes its answer for a message that was told."""
    moved.status = status
    with pytest.raises(OutcomeUnknown, match=rf"{status}.*; check notify\.team"):
        await client_of(moved).tell("a plan waits", "b", "info")

    assert [] == moved.came


async def test_the_settings_may_allow_it(moved: Moved) -> None:
    """There are services that send people on as a matter of course."""
    moved.status = 307
    await client_of(moved, "?redirect=yes").tell("a plan waits", "b", "info")

    assert ["POST"] == moved.came

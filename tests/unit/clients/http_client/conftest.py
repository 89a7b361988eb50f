"""Servers on loopback, and a client that may reach them."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.clients.http import HttpClient
from tests.unit.clients.http_client.clients import LOOPBACK, Handler, Serve, a_client


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    """A client that may reach this machine."""
    made = a_client(*LOOPBACK)
    yield made
    await made.close()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server with one handler for every path; gives its URL."""
    servers: list[TestServer] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        servers.append(TestServer(app))
        await servers[-1].start_server(shutdown_timeout=0.1)
        return f"http://127.0.0.1:{servers[-1].port}"

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
def forever() -> Iterator[asyncio.Event]:
    """What a hanging handler waits for; set at the end, so that the server can stop."""
    event = asyncio.Event()
    yield event
    event.set()

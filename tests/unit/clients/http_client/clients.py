"""A client of HTTP as tests need it, and what a server of theirs is."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from ipaddress import ip_network

from aiohttp import web

from remediator.clients.http import HttpClient
from remediator.settings import HttpSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]
LOOPBACK = ("127.0.0.0/8", "::1/128")


def a_client(*allow: str, max_body_kib: int = 256) -> HttpClient:
    return HttpClient(
        HttpSettings(allow=tuple(map(ip_network, allow)), timeout=timedelta(seconds=20), max_body_kib=max_body_kib)
    )


async def fine(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"status": "fine"}, headers={"X-Version": "7", "Set-Cookie": "session=s3cret"})

"""Connecting is held to the networks of the settings, whatever notation or name leads there."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network

import pytest

from remediator.clients.tcp import TcpProbe
from remediator.errors import Failed, NotAllowed
from remediator.settings import TcpSettings
from tests.services import free_port


@pytest.fixture
def port() -> Iterator[int]:
    """A port of 127.0.0.1 and ::1 where somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def a_probe(*allow: str, limit: float = 10) -> TcpProbe:
    return TcpProbe(TcpSettings(allow=tuple(map(ip_network, allow)), timeout=timedelta(seconds=limit)))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "::ffff:127.0.0.1", "[::ffff:127.0.0.1]"]
)
async def test_what_listens_is_reached(port: int, host: str) -> None:
    """However this machine is written; not one byte is sent."""
    found = await a_probe("127.0.0.0/8", "::1/128").connect(host, port)

    assert "" == found.error
    assert found.address in ("127.0.0.1", "::ffff:127.0.0.1")
    assert 0 < found.seconds < 10


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "::ffff:127.0.0.1", "0.0.0.0", "::1", "::"]
)
async def test_what_is_not_allowed_is_an_error_and_not_tried(port: int, host: str) -> None:
    """A label could name the cloud's metadata service, in any notation."""
    with pytest.raises(NotAllowed, match=r"in none of the networks of tcp\.allow; add its network there"):
        await a_probe("10.0.0.0/8").connect(host, port)


async def test_a_name_is_tried_at_its_allowed_addresses_only(port: int) -> None:
    """One forbidden address of two does not forbid the other."""
    found = await a_probe("127.0.0.0/8").connect("localhost", port)

    assert ("", "127.0.0.1") == (found.error, found.address)


async def test_nobody_listening_is_an_answer() -> None:
    """It is the evidence that was asked for."""
    found = await a_probe("127.0.0.0/8").connect("127.0.0.1", free_port())

    assert ("refused", "127.0.0.1") == (found.error, found.address)


async def test_an_unknown_name_is_an_answer() -> None:
    """The name of a service that is not there any more."""
    found = await a_probe("127.0.0.0/8").connect("nobody.invalid", 80)

    assert ("no such host", "") == (found.error, found.address)


async def test_what_takes_no_connection_times_out() -> None:
    """A server whose queue is full lets everybody wait; the time is ours."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server, socket.socket() as one, socket.socket() as two:
        waiting = [one, two, *(socket.socket() for _ in range(8))]
        for link in waiting:
            link.setblocking(False)
            link.connect_ex(server.getsockname())
        found = await a_probe("127.0.0.0/8", limit=0.3).connect("127.0.0.1", server.getsockname()[1])
        for link in waiting:
            link.close()

    assert "timed out" == found.error
    assert 0.25 < found.seconds < 60


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "a b",
        "a\nb",
        "a\0b",
        "http://a",
        "a/b",
        "-a",
        "ä",
        "a" * 300,
        "127.0.0.1:80",
        "$(id)",
        "user@h",
        "xn--\ud800",
    ],
)
async def test_what_is_no_host_is_refused(host: str) -> None:
    """Hosts may come from labels: nothing but a name or an address goes to the resolver."""
    with pytest.raises(Failed, match="is not a host; give a name or an address"):
        await a_probe("0.0.0.0/0").connect(host, 80)


@pytest.mark.parametrize("host", [".".join(["a" * 64, "b"]), "a..b", "1.2.3.4.5", "::1%nowhere", "fe80::1%99999999999"])
async def test_a_name_that_the_resolver_refuses_is_no_such_host(host: str) -> None:
    """It raises errors of its own kind for these."""
    found = await a_probe("127.0.0.0/8", limit=30).connect(host, 80)

    assert found.error


async def test_an_attempt_leaves_no_connection_behind(port: int) -> None:
    """It is asked again and again while a rule verifies."""
    probe = a_probe("127.0.0.0/8")

    assert [""] * 50 == [
        knock.error for knock in await asyncio.gather(*(probe.connect("127.0.0.1", port) for _ in range(50)))
    ]

"""Whether something listens at an address, held to the networks that `tcp.allow` names.

Made by `Clients` and used by `tcp.connect`. A host may carry a label, and a label is anybody's: so what is checked is
the address that is connected to, whatever name or notation led there. It never sends a byte.
"""

import asyncio
import errno
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Any

from remediator.clients.addresses import is_in_one
from remediator.errors import Failed, NotAllowed
from remediator.kit.redaction import shorten
from remediator.settings import TcpSettings

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
_MOST_ADDRESSES = 8
_WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timed out",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "no route to the host",
}


@dataclass(frozen=True, slots=True)
class Knock:
    """How it went; `error` is empty where somebody listens, and `address` the one that was tried last."""

    address: str
    error: str
    seconds: float


class TcpProbe:
    """Connects and hangs up at once."""

    def __init__(self, settings: TcpSettings) -> None:
        self._settings = settings

    async def connect(self, host: str, port: int) -> Knock:
        """Try the addresses of a host one after another until one takes the connection.

        Raises Failed for what is no host, NotAllowed where `tcp.allow` has none of its addresses.
        """
        name = host.removeprefix("[").removesuffix("]")
        if not _NAME.fullmatch(name) and not _is_ipv6(name):
            raise Failed(f"{shorten(host, 80)!r} is not a host; give a name or an address, such as 127.0.0.1")
        loop = asyncio.get_running_loop()
        began, tried = loop.time(), ""
        try:
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                error = "no such host"
                for family, address in self._allowed(name, port, await _addresses(name, port)):
                    tried = str(address[0])
                    error = await _try(family, address)
                    if not error:
                        break
        except TimeoutError:
            error = "timed out"
        return Knock(tried, error, loop.time() - began)

    def _allowed(self, host: str, port: int, found: list["_Address"]) -> list["_Address"]:
        allowed = [one for one in found if is_in_one(str(one[1][0]), self._settings.allow)]
        if found and not allowed:
            refused = ", ".join(dict.fromkeys(str(address[0]) for _, address in found))
            raise NotAllowed(
                f"connect to {host}:{port}: {refused} is in none of the networks of tcp.allow; "
                "add its network there if rules may reach it"
            )
        return allowed


_Address = tuple[int, tuple[Any, ...]]


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6  # noqa: PLR2004 - IPv6
    except ValueError:
        return False


async def _addresses(host: str, port: int) -> list[_Address]:
    """What the name stands for; nothing where nobody knows it."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return []
    return [(family, address) for family, _, _, _, address in found[:_MOST_ADDRESSES]]


async def _try(family: int, address: tuple[Any, ...]) -> str:
    """Why the connection was not taken; empty where it was."""
    with socket.socket(family, socket.SOCK_STREAM) as link:
        link.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(link, address)
        except OSError as error:
            return _WORDS.get(error.errno or 0) or shorten(error.strerror or type(error).__name__, 100)
    return ""

"""Requests to addresses that rule files name, held to the networks that `http.allow` names.

Made by `Clients` and used by the http actions. A URL may carry a label, and a label is anybody's: so the
address is checked where the socket is made, whatever name or notation led there. It never follows a
redirect to another origin, never uses a proxy, keeps no cookies, and never holds more of an answer than the
settings allow.
"""

import asyncio
import codecs
import json as jsons
import math
import re
import socket
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import aiohttp
from yarl import URL

from remediator.clients.addresses import bare_url, is_in_one, parse_url, told_url
from remediator.errors import Failed, NotAllowed, OutcomeUnknown, RemediatorError, Unavailable
from remediator.kit.redaction import Redactor, shorten
from remediator.settings import HttpSettings

_REDIRECTS = 3
_REDIRECTING = frozenset({301, 302, 303, 307, 308})
_READING = frozenset({"GET", "HEAD"})
_CHARSETS = frozenset({"utf-8", "ascii", "iso8859-1", "cp1252"})  # not `idna` and the like, which are slow on purpose
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\0-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")  # but for the tab, which a header may have
_HEADERS = 100
_HEADER_TEXT = 2000
_DEPTH = 64
_REDACTOR = Redactor()


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a server answered; `json` is None where the body is not JSON, or was cut."""

    status: int
    headers: Mapping[str, str]  # names in lower case, without set-cookie
    text: str
    json: Any
    seconds: float
    truncated: bool


class HttpClient:
    """Sends requests, each within a time limit; only connections for reading are kept for the next one."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        text: str | None = None,
        timeout: timedelta | None = None,
    ) -> HttpAnswer:
        """Send one request with a JSON or text body, or none, and read the answer, whatever its status.

        Raises NotAllowed for an address outside `http.allow` and for a redirect to another origin, Failed
        for a request that cannot be made, Unavailable where nobody answers, and OutcomeUnknown where a
        request other than GET and HEAD broke off or took too long after the connection stood.
        """
        address = parse_url(url)
        what = f"{method} {bare_url(url)}"
        limit = self._settings.timeout if timeout is None else timeout
        sent = SimpleNamespace(connected=False)
        body, extra = _body(json, text)
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await self._follow(method, address, {**extra, **_checked(headers or {})}, body, sent)
        except aiohttp.InvalidURL as error:
            raise Failed(f"{what}: {told_url(str(error))}") from error
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise _ours(what, error, limit, unknown=sent.connected and method not in _READING) from error

    async def close(self) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            await session.close()

    def _session(self, *, reading: bool) -> aiohttp.ClientSession:
        if reading not in self._sessions:
            self._sessions[reading] = aiohttp.ClientSession(
                # A kept connection may prove closed while a change is sent: then nobody knows what happened.
                connector=aiohttp.TCPConnector(socket_factory=self._socket, limit_per_host=50, force_close=not reading),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "remediator", "Accept-Encoding": "identity"},
                trace_configs=[_note_connection()],
                auto_decompress=False,  # `_read` does it, within bounds
                trust_env=False,
            )
        return self._sessions[reading]

    def _socket(self, where: tuple[Any, ...]) -> socket.socket:
        """Called by the connector for each address right before it connects."""
        family, kind, protocol, _, sockaddr = where
        if not is_in_one(str(sockaddr[0]), self._settings.allow):
            raise _RefusedError(f"{sockaddr[0]} is in none of the networks of http.allow")
        return socket.socket(family, kind, protocol)

    async def _follow(
        self, method: str, address: URL, headers: Mapping[str, str], body: bytes | None, sent: SimpleNamespace
    ) -> HttpAnswer:
        """Send the request, and follow redirects of a reading one within its origin."""
        session, loop = self._session(reading=method in _READING), asyncio.get_running_loop()
        began = loop.time()
        for _ in range(_REDIRECTS + 1):
            async with session.request(
                method, address, headers=headers, data=body, allow_redirects=False, trace_request_ctx=sent
            ) as response:
                onward = response.headers.get("Location", "")
                if method not in _READING or response.status not in _REDIRECTING or not onward:
                    return await _answer(response, self._settings.max_body_kib * 1024, lambda: loop.time() - began)
            address = _redirected(address, onward)
        raise Failed(f"{method} {told_url(str(address))}: more than {_REDIRECTS} redirects; ask the last address")


class _RefusedError(PermissionError):
    """A connection that `http.allow` forbids; an OSError, so that the connector tries the next address."""


def _ours(what: str, error: Exception, limit: timedelta, *, unknown: bool) -> RemediatorError:
    """Our error for one of the library's, or for the time limit."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, _RefusedError):
        return NotAllowed(f"{what}: {error.os_error}; add its network there if rules may reach it")
    if isinstance(error, TimeoutError):
        why = f"no complete answer in {limit.total_seconds():g} s"
    else:
        said = _UNPRINTABLE.sub("\ufffd", (str(error) or type(error).__name__)[:2000])
        why = shorten(_REDACTOR.text(said), 300)
    if unknown:
        return OutcomeUnknown(f"{what}: {why}; the request may have been carried out")
    if isinstance(error, TimeoutError):
        why += "; is it running? If it needs longer, raise the step's parameter `timeout`, or http.timeout"
    return Unavailable(f"{what}: {why}")


def _redirected(address: URL, onward: str) -> URL:
    """Where a redirect leads. Raises NotAllowed for another origin."""
    try:
        target = parse_url(str(address.join(URL(onward))))
    except ValueError as error:
        raise Failed(f"{told_url(str(address))} redirects to {told_url(onward)!r}, which is not a URL") from error
    if target.origin() != address.origin():
        raise NotAllowed(
            f"{told_url(str(address))} redirects to {told_url(str(target))}, another origin, never followed; "
            "ask that address itself"
        )
    return target


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise Failed(f"the header {shorten(name, 80)!r} cannot be sent: it holds characters that no header may")
    return headers


def _body(json: Any, text: str | None) -> tuple[bytes | None, dict[str, str]]:
    if json is not None and text is not None:
        raise Failed("a request has one body: give json or text, not both")
    if json is not None:
        return jsons.dumps(json).encode(), {"Content-Type": "application/json"}
    if text is not None:
        return text.encode("utf-8", "replace"), {"Content-Type": "text/plain; charset=utf-8"}
    return None, {}


def _note_connection() -> aiohttp.TraceConfig:
    """Notes on the request's own mark that it has a connection: from then on it may have been sent."""

    async def note(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.connected = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(note)
    tracing.on_connection_reuseconn.append(note)
    return tracing


async def _answer(response: aiohttp.ClientResponse, cap: int, seconds: Callable[[], float]) -> HttpAnswer:
    body, truncated = await _read(response, cap)
    text = body.decode(_charset(response.charset), "replace").replace("\0", "\ufffd")
    return HttpAnswer(
        status=response.status,
        headers=_headers(response),
        text=text,
        json=None if truncated else parse_json(text),
        seconds=seconds(),
        truncated=truncated,
    )


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers of an answer as text that can be stored: what is no character is replaced, and much is cut."""
    names = [name for name in dict.fromkeys(name.lower() for name in response.headers) if name != "set-cookie"]
    return {_header_text(name): _header_text(", ".join(response.headers.getall(name))) for name in names[:_HEADERS]}


def _header_text(text: str) -> str:
    return shorten(_UNPRINTABLE.sub("\ufffd", text), _HEADER_TEXT)


async def _read(response: aiohttp.ClientResponse, cap: int) -> tuple[bytes, bool]:
    """At most `cap` bytes of the body, unpacked; and whether there is more, or some could not be unpacked."""
    unpack = _unpacker(response.headers.get("Content-Encoding", ""))
    if unpack is None:
        return b"", True
    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(16 * 1024):
            body += unpack(chunk, cap + 1 - len(body))
            if len(body) > cap:
                return bytes(body[:cap]), True
    except zlib.error:
        return bytes(body), True
    return bytes(body), False


def _unpacker(encoding: str) -> Callable[[bytes, int], bytes] | None:
    """What turns a chunk into at most so many bytes of the body; None for an encoding that is not known."""
    match encoding.strip().lower():
        case "" | "identity":
            return lambda chunk, _: chunk
        case "gzip" | "x-gzip" | "deflate":
            unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either header
            return unpacking.decompress
        case _:
            return None


def _charset(name: str | None) -> str:
    try:
        known = codecs.lookup(name or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return known if known in _CHARSETS else "utf-8"


def parse_json(text: str) -> Any:
    """The value that `text` says, or None where it is not JSON, or holds what could not be stored."""
    try:
        value = jsons.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if _is_plain(value, _DEPTH) else None


def _is_plain(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return not _UNSTORABLE.search(value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return depth > 0 and all(_is_plain(k, 0) and _is_plain(v, depth - 1) for k, v in value.items())
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
    return True

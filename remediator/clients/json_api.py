"""Questions to one configured service that answers in JSON: Prometheus, Alertmanager; and what it is told to do.

Used by their clients only. The address comes from the settings and is trusted, so no allow-list applies;
still there is no proxy, no cookie, no redirect, and an answer is read up to a bound.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import aiohttp

from remediator.clients.addresses import bare_url
from remediator.clients.sessions import Session
from remediator.errors import Failed, OutcomeUnknown, Unavailable
from remediator.kit.redaction import Redactor, shorten

_LARGEST = 8 * 1024 * 1024
_PARSED_AT_ONCE = 256 * 1024  # a larger answer is parsed in a thread, so that nothing else waits for it
_REFUSES_THE_QUESTION = frozenset({400, 413, 414, 422, 431})  # by HTTP, the question is wrong or too long
_SAID = 4096  # bytes of an answer that are looked at for an error
_REDACTOR = Redactor()


class JsonApi:
    """One service by its address; `setting` is where that stands, for messages."""

    def __init__(self, url: str, *, timeout: timedelta, setting: str) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._setting = setting
        self._session = Session(timeout)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """The status and the JSON value that the service answered.

        Raises Unavailable where it does not answer in time, answers 5xx or 429, or what it says is not JSON; Failed
        where it refuses this very question without JSON, as it does with one that is too long.
        """
        where = f"{method} {bare_url(self._url)}{path}"
        try:
            async with self._session.opened().request(
                method, self._url + path, params=list(query), data=form, allow_redirects=False
            ) as response:
                status, body = response.status, await _read(response, where)
        except TimeoutError as error:
            why = f"no answer in {self._timeout.total_seconds():g} s; is it running? If it needs longer, raise"
            raise Unavailable(f"{where}: {why} {self._setting.rpartition('.')[0]}.timeout") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{where}: {told(str(error) or type(error).__name__)}; check {self._setting}") from error
        try:
            value = json.loads(body) if len(body) <= _PARSED_AT_ONCE else await asyncio.to_thread(json.loads, body)
        except (ValueError, RecursionError) as error:
            said = told(body[:_SAID].decode("utf-8", "replace"))
            if refuses_the_question(status):
                raise Failed(f"{where}: answered {status}: {said}") from error
            raise Unavailable(f"{where}: answered {status} without JSON; check {self._setting}: {said}") from error
        if status >= 500 or status == 429:  # noqa: PLR2004 - worth another try, by HTTP
            raise Unavailable(f"{where}: answered {status}: {told(said_in(value))}")
        return status, value

    async def tell(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Have the service do something: the status, and the JSON value that it answered; None where that is empty.

        Raises Unavailable where it cannot have been done, and OutcomeUnknown where it may have been.
        """
        where = f"{method} {bare_url(self._url)}{path}"
        try:
            async with self._session.opened().request(
                method, self._url + path, json=body, allow_redirects=False
            ) as response:
                status, said = response.status, await _read(response, where)
        except aiohttp.ClientConnectorError as error:
            raise Unavailable(f"{where}: {told(str(error))}; check {self._setting}") from error
        except (aiohttp.ClientError, OSError, ValueError, Unavailable) as error:  # TimeoutError is an OSError
            why = told(str(error) or type(error).__name__)
            raise OutcomeUnknown(f"{where}: {why}; it may have been done") from error
        if status == 429:  # noqa: PLR2004 - it takes nothing now, by HTTP
            raise Unavailable(f"{where}: answered {status}")
        try:
            value = json.loads(said) if said.strip() else None
        except (ValueError, RecursionError):
            value = said[:_SAID].decode("utf-8", "replace")
        if status >= 500:  # noqa: PLR2004 - something went wrong there, by HTTP
            raise OutcomeUnknown(f"{where}: answered {status}: {told(said_in(value))}; it may have been done")
        return status, value

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def refuses_the_question(status: int) -> bool:
    """Whether the status says that this question is at fault, so that asking it again will not help."""
    return status in _REFUSES_THE_QUESTION


def said_in(value: Any) -> str:
    """The error text in an answer of Prometheus (`error`) or of Alertmanager (a string, or `message`)."""
    if isinstance(value, Mapping):
        return str(value.get("error") or value.get("message") or "no reason given")
    return str(value)


def told(text: str) -> str:
    """Text from outside as it may be told: without secrets, and not too long."""
    return shorten(_REDACTOR.text(text[:2000]), 300)


async def _read(response: aiohttp.ClientResponse, where: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > _LARGEST:
            raise Unavailable(f"{where}: the answer is larger than {_LARGEST // 2**20} MiB; ask for less")
    return bytes(body)

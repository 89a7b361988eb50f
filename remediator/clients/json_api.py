"""Questions to one configured service that answers in JSON: Prometheus, Alertmanager.

Used by their clients only. The address comes from the settings and is trusted, so no allow-list applies;
still there is no proxy, no cookie, no redirect, and an answer is read up to a bound.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import aiohttp

from remediator.errors import Unavailable
from remediator.kit.redaction import Redactor, shorten

_LARGEST = 64 * 1024 * 1024
_REDACTOR = Redactor()


class JsonApi:
    """One service by its address; `setting` is where that stands, for messages."""

    def __init__(self, url: str, *, timeout: timedelta, setting: str) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._setting = setting
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """The status and the JSON value that the service answered.

        Raises Unavailable where it does not answer in time, answers 5xx or 429, or what it says is not JSON.
        """
        where = f"{method} {told(self._url)}{path}"
        try:
            async with self._opened().request(
                method, self._url + path, params=list(query), data=form, allow_redirects=False
            ) as response:
                status, body = response.status, await _read(response, where)
        except TimeoutError as error:
            raise Unavailable(f"{where}: no answer in {self._timeout.total_seconds():g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{where}: {told(str(error) or type(error).__name__)}; check {self._setting}") from error
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            said = told(body.decode("utf-8", "replace"))
            raise Unavailable(f"{where}: answered {status} without JSON; check {self._setting}: {said}") from error
        if status >= 500 or status == 429:  # noqa: PLR2004 - worth another try, by HTTP
            raise Unavailable(f"{where}: answered {status}: {told(said_in(value))}")
        return status, value

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout.total_seconds()),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "remediator"},
                trust_env=False,
            )
        return self._session


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

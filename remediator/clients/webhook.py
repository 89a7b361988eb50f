"""Tells a webhook of the settings something, by POST. The webhook chat calls it.

Each call is one request: no retries here, the outbox does them. Only the address of the settings is told, and whatever
it answers, nothing else: there is no redirect, no proxy, no cookie. Neither the address, which often holds a secret,
nor the secret header is in any error.
"""

from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from remediator.clients.json_api import told
from remediator.clients.sessions import open_session
from remediator.errors import Failed, OutcomeUnknown
from remediator.settings import EscalationSettings

_SAID = 2048  # bytes of an answer that are looked at for its reason
_SERVER_ERROR = 500
_TELLING = 6  # characters of a part of an address that may be a secret


class WebhookClient:
    """The webhook of one level."""

    def __init__(self, level: str, url: str, settings: EscalationSettings) -> None:
        self._level = level
        self._url = url
        self._secret = settings.secret
        self._header = settings.header
        self._timeout = settings.timeout
        self._session: aiohttp.ClientSession | None = None

    @property
    def place(self) -> str:
        """Where it is, as it may be told."""
        return f"the webhook of {self._level} ({URL(self._url).host})"

    async def post(self, body: Mapping[str, Any], *, key: str) -> None:
        """Have the webhook know; `key` is the same when the same is told again.

        Raises Failed where it surely has not heard it, OutcomeUnknown where it may have.
        """
        headers = {"Idempotency-Key": key}
        if self._secret is not None:
            headers[self._header] = self._secret.get_secret_value()
        try:
            async with self._opened().post(self._url, json=body, headers=headers, allow_redirects=False) as response:
                status, said = response.status, await response.content.read(_SAID)
        except aiohttp.ClientConnectorError as error:
            remedy = f"check escalation.{self._level}.webhook and the network"
            raise Failed(f"{self.place}: {told(str(error))}; {remedy}") from error
        except TimeoutError as error:
            why = f"no answer in {self._timeout.total_seconds():g} s; if it needs longer, raise"
            raise OutcomeUnknown(f"{self.place}: {why} escalation.{self._level}.timeout") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # their texts may hold the address
            raise OutcomeUnknown(f"{self.place}: the connection broke: {type(error).__name__}") from error
        if 200 <= status < 300:  # noqa: PLR2004 - success, by HTTP
            return
        why = f"{self.place}: answered {status}: {self._quoted(said) or 'no reason given'}"
        if status >= _SERVER_ERROR:
            raise OutcomeUnknown(why)
        raise Failed(f"{why}; check escalation.{self._level}")

    def _quoted(self, said: bytes) -> str:
        """The reason as it was given, unless that holds a part of the address: many servers name the path."""
        text, url = said.decode("utf-8", "replace"), URL(self._url)
        parts = {*url.raw_parts, *url.parts, *url.query.values(), url.raw_query_string}
        if any(len(part) >= _TELLING and part in text for part in parts):
            return "its reason names the address, so it is not shown"
        return told(text)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(self._timeout)
        return self._session

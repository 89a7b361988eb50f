"""Tells an address of the settings something, by POST. The webhook chats call it.

Each call is one request: no retries here, the outbox does them. Only the address of the settings is told, and whatever
it answers, nothing else: there is no redirect, no proxy, no cookie. Neither the address, which often holds a secret,
nor what it is given as a proof of who we are is in any error.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp
from pydantic import SecretStr
from yarl import URL

from remediator.clients.json_api import told
from remediator.clients.sessions import Session
from remediator.errors import Failed, OutcomeUnknown
from remediator.kit.clock import Clock
from remediator.settings import EscalationSettings

_SAID = 2048  # bytes of an answer that are looked at for its reason
_SERVER_ERROR = 500
_TELLING = 6  # characters of a part of an address that may be a secret


class _Receiver:
    """Whoever is behind one address of the settings."""

    def __init__(self, place: str, setting: str, url: str, timeout: timedelta) -> None:
        """`place` is who it is, for people; `setting` where it stands in the settings."""
        self.place = f"{place} ({URL(url).host})"
        self._setting = setting
        self._url = url
        self._timeout = timeout
        self._session = Session(timeout)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Have it know JSON. Raises Failed where it surely has not heard it, OutcomeUnknown where it may have."""
        sent = {"Content-Type": "application/json", **headers}
        try:
            async with self._session.opened().post(
                self._url, data=body, headers=sent, allow_redirects=False
            ) as response:
                status, said = response.status, await response.content.read(_SAID)
        except aiohttp.ClientConnectorError as error:
            remedy = f"check {self._setting}.webhook and the network"
            raise Failed(f"{self.place}: {told(str(error))}; {remedy}") from error
        except TimeoutError as error:
            why = f"no answer in {self._timeout.total_seconds():g} s; if it needs longer, raise"
            raise OutcomeUnknown(f"{self.place}: {why} {self._setting}.timeout") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # their texts may hold the address
            raise OutcomeUnknown(f"{self.place}: the connection broke: {type(error).__name__}") from error
        if 200 <= status < 300:  # noqa: PLR2004 - success, by HTTP
            return
        why = f"{self.place}: answered {status}: {quoted(said, self._url) or 'no reason given'}"
        if status >= _SERVER_ERROR:
            raise OutcomeUnknown(why)
        raise Failed(f"{why}; check {self._setting}")

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


class WebhookClient:
    """The webhook of one level: it knows us by a header."""

    def __init__(self, level: str, url: str, settings: EscalationSettings) -> None:
        self._secret = settings.secret
        self._header = settings.header
        self._receiver = _Receiver(f"the webhook of {level}", f"escalation.{level}", url, settings.timeout)

    @property
    def place(self) -> str:
        """Where it is, as it may be told."""
        return self._receiver.place

    async def post(self, body: Mapping[str, Any], *, key: str) -> None:
        """Have the webhook know; `key` is the same when the same is told again.

        Raises Failed where it surely has not heard it, OutcomeUnknown where it may have.
        """
        headers = {"Idempotency-Key": key}
        if self._secret is not None:
            headers[self._header] = self._secret.get_secret_value()
        await self._receiver.post(json.dumps(body).encode(), headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._receiver.close()


class SignedClient:
    """The webhook of a place that is told of runs: it knows us by a signature over the time and the body."""

    def __init__(self, place: str, url: str, secret: SecretStr, *, timeout: timedelta, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock
        self._receiver = _Receiver(f"the webhook of {place}", f"notify.{place}", url, timeout)

    @property
    def place(self) -> str:
        """Where it is, as it may be told."""
        return self._receiver.place

    async def post(self, body: Mapping[str, Any], *, key: str) -> None:
        """Have the webhook know, signed anew with each try. Raises as WebhookClient does."""
        sent, timestamp = json.dumps(body).encode(), str(int(self._clock.now().timestamp()))
        headers = {
            "Idempotency-Key": key,
            "X-Remediator-Timestamp": timestamp,
            "X-Remediator-Signature": signature(self._secret.get_secret_value(), timestamp, sent),
        }
        await self._receiver.post(sent, headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._receiver.close()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What proves that a body comes from us, and from when: with `v1=` before it, for there may be other ways later."""
    signed = timestamp.encode() + b"." + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def quoted(said: bytes, address: str) -> str:
    """A reason as it was given, unless that holds a part of the address: many servers name the path."""
    text, url = said.decode("utf-8", "replace"), URL(address)
    parts = {*url.raw_parts, *url.parts, *url.query.values(), url.raw_query_string}
    if any(len(part) >= _TELLING and part in text for part in parts):
        return "its reason names the address, so it is not shown"
    return told(text)

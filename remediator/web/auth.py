"""Who may call: senders of webhooks by bearer token or basic authentication, the API by the admin token or one of it.

Called by the server before a request's body is read, and by the composition root at start. Secrets are
compared as digests, in constant time, against every candidate; none is ever put into an error or a log.
"""

import base64
import binascii
import hmac
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Protocol, TypedDict

import structlog
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from remediator.errors import BadSettings
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.wording import say_time
from remediator.model.person import ADMIN, Person
from remediator.model.token import Scope, Token
from remediator.pipeline.people import People
from remediator.settings import ApiSettings, Settings, WebhookSettings, secret_file
from remediator.web.rates import Rates, place_of

ADMIN_TOKEN_FILE = "admin-token"  # noqa: S105 - a file's name

_REALM = 'realm="remediator"'
_READS = ("GET", "HEAD")
_MOST_SEEN = 1000  # tokens that were good, which are heard whatever else comes from their address

Headers = CIMultiDict[str] | CIMultiDictProxy[str]

log = structlog.get_logger(__name__)


class Senders:
    """Tells which senders of alerts are welcome, from a request's headers alone."""

    def __init__(self, webhook: WebhookSettings) -> None:
        self._tokens = tuple(_digest(token.value.get_secret_value()) for token in webhook.tokens)
        self._users = tuple(_digest(f"{name}:{word.value.get_secret_value()}") for name, word in webhook.users.items())
        schemes = [f"Bearer {_REALM}"] * bool(self._tokens) + [f'Basic {_REALM}, charset="UTF-8"'] * bool(self._users)
        self._challenge = ", ".join(schemes)

    def check(self, headers: Headers) -> None:
        """Let a sender pass. Raises HTTPUnauthorized, or HTTPForbidden for a web page at an open webhook."""
        if not self._tokens and not self._users:
            _refuse_browsers(headers)
            return
        scheme, credentials = _authorization(headers)
        if scheme == "bearer" and _is_one_of(_digest(credentials), self._tokens):
            return
        if scheme == "basic" and _is_one_of(_digest_of_basic(credentials), self._users):
            return
        raise _unauthorized(
            "the webhook needs a token or a user that is in the settings; set http_config.authorization or "
            "http_config.basic_auth of the receiver",
            self._challenge,
        )


class TokenFinder(Protocol):
    """What is asked about the tokens of the API."""

    async def find(self, text: str, /) -> Token | None:
        """The token that is written so, whether it is good or not. Raises StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls the API, and what they may do."""

    person: Person
    scope: Scope
    id: str
    """Of their token; `admin` for the admin token."""
    origin: str
    """The address from which they call, for the audit journal."""

    def named(self, stated: str, needed: str) -> Person:
        """The person who acts; `stated` is the name that they give, and `needed` what it is needed for.

        A token is somebody's, so no other name can be given with it. Raises HTTPBadRequest.
        """
        if self.person.is_admin:
            if not stated:
                raise web.HTTPBadRequest(text=needed)
            return replace(self.person, shown=stated)
        if stated not in ("", self.person.shown, self.person.name):
            raise web.HTTPBadRequest(text=f"by: the token is that of {self.person.shown}, so leave `by` out")
        return self.person


class SaidBy(TypedDict):
    """Who has said something, and from where."""

    person: Person
    origin: str


CALLER = web.RequestKey("caller", Caller)
"""Where a request that was let in has who calls."""


class Callers:
    """Tells who calls the API, and whether they may."""

    def __init__(
        self,
        people: People,
        clock: Clock,
        metrics: Metrics,
        *,
        admin_token: str,
        tokens: TokenFinder | None = None,
        api: ApiSettings = ApiSettings(),  # noqa: B008 - frozen
    ) -> None:
        self._people = people
        self._clock = clock
        self._metrics = metrics
        self._admin = (_digest(admin_token),)
        self._tokens = tokens
        self._calls = Rates(api.rate, clock.monotonic)
        self._failures = Rates(api.failures, clock.monotonic)
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    async def check(self, request: web.Request, needed: Scope) -> Caller:
        """Who calls, where they may.

        Raises HTTPUnauthorized, HTTPForbidden, HTTPTooManyRequests, and StoreUnavailable.
        """
        caller = await self._find(request)
        if request.method not in _READS and (wait := self._calls.take(caller.id)):
            raise self._too_many("rate", "this token has called too often (api.rate)", wait)
        if not caller.scope.covers(needed):
            self._metrics.api_refused.labels("scope").inc()
            raise web.HTTPForbidden(text=f"this takes a token with the scope {needed}, and yours has {caller.scope}")
        return caller

    async def _find(self, request: web.Request) -> Caller:
        origin = request.remote or ""
        scheme, credentials = _authorization(request.headers)
        digest = _digest(credentials)
        if scheme != "bearer" or not credentials:
            raise self._unknown("no_token")
        if _is_one_of(digest, self._admin):
            return Caller(self._people.of_admin(""), Scope.ADMIN, ADMIN, origin)
        place = place_of(origin)
        is_seen = digest in self._seen
        if not is_seen and (wait := self._failures.take(place)):
            raise self._too_many("failures", "too many bad tokens have come from this address (api.failures)", wait)
        is_bad = False
        try:
            token = await self._tokens.find(credentials) if self._tokens is not None else None
            is_bad = token is None or not token.is_good(self._clock.now())
        finally:  # where the store could not say it, nobody has guessed
            if not is_seen and not is_bad:
                self._failures.give_back(place)
        if token is None:
            log.warning("api_refused", why="no such token", origin=origin)
            raise self._unknown("unknown")
        if is_bad:
            self._seen.pop(digest, None)
            log.warning("api_refused", why="the token is over", origin=origin, id=token.id, subject=token.subject)
            raise self._over(token)
        self._remember(digest)
        return Caller(self._people.of_token(token.subject, token.groups, token=token.id), token.scope, token.id, origin)

    def _remember(self, digest: bytes) -> None:
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        if len(self._seen) > _MOST_SEEN:
            self._seen.popitem(last=False)

    def _unknown(self, reason: str) -> web.HTTPUnauthorized:
        self._metrics.api_refused.labels(reason).inc()
        return _unauthorized(
            "the API needs `Authorization: Bearer ...` with a token that `remediator tokens make` has made, or the one "
            f"in the file {ADMIN_TOKEN_FILE} of store.directory",
            f"Bearer {_REALM}",
        )

    def _over(self, token: Token) -> web.HTTPUnauthorized:
        """Whoever has the secret may know what became of it."""
        reason, at = ("revoked", token.revoked_at) if token.revoked_at is not None else ("expired", token.expires_at)
        self._metrics.api_refused.labels(reason).inc()
        since = f" since {say_time(at)}" if at is not None else ""
        return _unauthorized(f"the token {token.id} is {reason}{since}", f'Bearer {_REALM}, error="invalid_token"')

    def _too_many(self, reason: str, what: str, wait: float) -> web.HTTPTooManyRequests:
        self._metrics.api_refused.labels(reason).inc()
        seconds = max(ceil(wait), 1)
        return web.HTTPTooManyRequests(text=f"{what}; again in {seconds} s", headers={"Retry-After": str(seconds)})


def _unauthorized(what: str, challenge: str) -> web.HTTPUnauthorized:
    return web.HTTPUnauthorized(text=what, headers={"WWW-Authenticate": challenge})


def _refuse_browsers(headers: Headers) -> None:
    """An open webhook listens on loopback, where any page in a browser of this machine could post to it."""
    if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none":
        raise web.HTTPForbidden(text="web pages may not call the webhook; configure webhook.tokens to let others in")


def _authorization(headers: Headers) -> tuple[str, str]:
    """The scheme in lower case and the credentials; empty where there is not exactly one header."""
    given = headers.getall("Authorization", [])
    if len(given) != 1:
        return "", ""
    scheme, _, credentials = given[0].strip().partition(" ")
    return scheme.lower(), credentials.strip()


def _digest(text: str) -> bytes:
    # aiohttp keeps bytes that are not UTF-8 as surrogates; they must not make hashing fail.
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _digest_of_basic(credentials: str) -> bytes:
    """The digest of `user:password`; of nothing where they are malformed, which matches no user."""
    try:
        pair = base64.b64decode(credentials.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        pair = b""
    return sha256(pair).digest()


def _is_one_of(digest: bytes, candidates: Iterable[bytes]) -> bool:
    # A list, not a generator: every candidate is compared, so time does not tell which one came close.
    return any([hmac.compare_digest(digest, candidate) for candidate in candidates])  # noqa: C419


def refuse_open_door(settings: Settings) -> None:
    """Raises BadSettings when anybody on the network could post alerts, which start changes."""
    refusal = settings.open_door()
    if refusal is not None:
        raise BadSettings(refusal)


def admin_token(directory: Path) -> str:
    """The admin token of this installation, made at the first start. Raises BadSettings."""
    return secret_file.read_or_make(directory / ADMIN_TOKEN_FILE, what="an admin token")


def read_admin_token(directory: Path) -> str:
    """The admin token that a service has left in its store's directory. Raises BadSettings without one."""
    return secret_file.read(directory / ADMIN_TOKEN_FILE, what="an admin token")

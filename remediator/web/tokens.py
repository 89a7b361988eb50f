"""The API over its own tokens: what there is, making one, revoking one. All need the scope `admin`.

Called by the server, which has checked who calls. A token is in the one answer that tells that it was made, and nowhere
else: the store has no more than a digest.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from aiohttp import web

from remediator.kit.clock import Clock
from remediator.model.duration import parse_duration
from remediator.model.person import Person
from remediator.model.token import Scope, Token
from remediator.pipeline.people import People
from remediator.web.auth import CALLER
from remediator.web.body import Bodies
from remediator.web.given import only, read_given, refuse_other_parameters, words

_MAX_BODY = 16 * 1024
_MOST_GROUPS = 100
_USUAL, _NEVER = "90d", "never"
_SHOWN = 40
_FIELDS = ("subject", "scope", "groups", "for", "by")


class TokenKeeper(Protocol):
    """What the API needs of the tokens."""

    async def make(
        self, subject: str, scope: Scope, groups: Collection[str], lasts: timedelta | None, by: Person, origin: str
    ) -> tuple[Token, str]:
        """A new token, and how it is written. Raises Mistaken where it would be of no use, and StoreUnavailable."""
        ...

    async def revoke(self, token_id: str, by: Person, origin: str) -> bool:
        """Have a token be of no use any more; whether there was one that had not been revoked."""
        ...

    async def listed(self) -> Sequence[Token]:
        """All of them, the oldest first. Raises StoreUnavailable."""
        ...

    async def find(self, text: str, /) -> Token | None:
        """The token that is written so, whether it is good or not. Raises StoreUnavailable."""
        ...


class TokenPages:
    """Answers `/api/v1/tokens` and what is below it."""

    def __init__(self, tokens: TokenKeeper, people: People, clock: Clock, bodies: Bodies) -> None:
        self._tokens = tokens
        self._people = people
        self._clock = clock
        self._bodies = bodies

    async def list(self, request: web.Request) -> web.Response:
        """All of them, the oldest first, also those that are revoked or whose time is over."""
        refuse_other_parameters(request.query)
        return web.json_response({"tokens": [self._show(token) for token in await self._tokens.listed()]})

    async def make(self, request: web.Request) -> web.Response:
        """Make one; the answer, and nothing else ever, has it as `token`."""
        given = await self._read(request, _FIELDS)
        by = request[CALLER].named(words(given, "by"), "by is needed: who makes it")
        scope, groups, lasts = _scope(given), _groups(given), _lasts(words(given, "for"))
        made = await self._tokens.make(words(given, "subject"), scope, groups, lasts, by, request[CALLER].origin)
        token, text = made
        headers = {"Cache-Control": "no-store"}
        return web.json_response({**self._show(token), "token": text}, status=201, headers=headers)

    async def revoke(self, request: web.Request) -> web.Response:
        """Have one be of no use any more; 404 where there is none, or none any more."""
        given = await self._read(request, ("by",))
        by = request[CALLER].named(words(given, "by"), "by is needed: who revokes it")
        token_id = request.match_info["id"]
        if not await self._tokens.revoke(token_id, by, request[CALLER].origin):
            known = any(token.id == token_id for token in await self._tokens.listed())
            why = f"the token {token_id} is revoked already" if known else f"there is no token {token_id[:_SHOWN]}"
            raise web.HTTPConflict(text=why) if known else web.HTTPNotFound(text=why)
        return web.json_response({})

    async def _read(self, request: web.Request, names: Collection[str]) -> Mapping[str, Any]:
        return only(await read_given(request, self._bodies, _MAX_BODY), "this takes", *names)

    def _show(self, token: Token) -> Mapping[str, Any]:
        is_good = token.is_good(self._clock.now())
        return {
            "id": token.id,
            "subject": token.subject,
            "person": self._people.of_token(token.subject, token.groups).name,
            "scope": token.scope.value,
            "groups": list(token.groups),
            "groups_missing": list(self._people.missing(token.groups)),
            "state": "good" if is_good else "revoked" if token.revoked_at is not None else "expired",
            "made_at": token.made_at.isoformat(),
            "made_by": token.made_by,
            "expires_at": token.expires_at.isoformat() if token.expires_at is not None else None,
            "revoked_at": token.revoked_at.isoformat() if token.revoked_at is not None else None,
            "revoked_by": token.revoked_by or None,
        }


def _scope(given: Mapping[str, Any]) -> Scope:
    scopes = {scope.value: scope for scope in Scope}
    found = scopes.get(words(given, "scope"))
    if found is None:
        raise web.HTTPBadRequest(text=f"scope is one of {', '.join(scopes)}")
    return found


def _groups(given: Mapping[str, Any]) -> Sequence[str]:
    groups = given.get("groups", [])
    if type(groups) is not list or len(groups) > _MOST_GROUPS or not all(type(name) is str for name in groups):
        raise web.HTTPBadRequest(text="groups is a list of names")
    return groups


def _lasts(text: str) -> timedelta | None:
    """How long it is good; None for without an end, which has to be asked for."""
    try:
        return None if text == _NEVER else parse_duration(text or _USUAL)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"for: {error}; or {_NEVER}") from None

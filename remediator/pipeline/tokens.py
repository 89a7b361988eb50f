"""The tokens of the API: made for somebody, told from others, revoked. The store has the digest of each secret only.

Called by the API, on any replica: what is revoked is refused everywhere from the next request on. What has been made is
shown once, to whoever has asked for it, and is never logged.
"""

import hmac
from collections.abc import Collection, Mapping
from datetime import timedelta

import structlog

from remediator.errors import Mistaken
from remediator.kit.clock import Clock
from remediator.kit.redaction import Redactor
from remediator.kit.wording import say_time
from remediator.model.audit import AuditEntry
from remediator.model.person import Person
from remediator.model.token import Scope, Token, new_token_text, parts_of
from remediator.settings import ApprovalSettings, PersonSettings
from remediator.storage.tokens import TokenStore

log = structlog.get_logger(__name__)

_LONGEST = timedelta(days=3650)
_LONGEST_SUBJECT = 100
_NOBODYS = bytes(32)  # the digest of no secret


async def revoked_tokens(store: TokenStore) -> frozenset[str]:
    """The ids of all tokens that were revoked: what was approved with one of them does not count any more."""
    return frozenset(token.id for token in await store.list_tokens() if token.revoked_at is not None)


class Tokens:
    """Makes tokens, and knows them."""

    def __init__(
        self,
        store: TokenStore,
        clock: Clock,
        redactor: Redactor,
        people: Mapping[str, PersonSettings],
        approval: ApprovalSettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._redactor = redactor
        self._people = people
        self._groups = approval.groups

    async def make(
        self, subject: str, scope: Scope, groups: Collection[str], lasts: timedelta | None, by: Person, origin: str
    ) -> tuple[Token, str]:
        """A new token, and how it is written: nobody can tell that a second time. Without `lasts` it has no end.

        Raises Mistaken where it would be of no use, and StoreUnavailable.
        """
        self._check(subject, groups, lasts)
        text = new_token_text()
        parts = parts_of(text)
        assert parts is not None  # noqa: S101 - it is ours
        now, shown = self._clock.now(), self._redactor.text(by.shown)
        expires_at = now + lasts if lasts is not None else None
        token = Token(parts[0], subject, scope, tuple(sorted(set(groups))), parts[1], now, shown, expires_at)
        until = f"until {say_time(expires_at)}" if expires_at is not None else "without an end"
        detail = f"for {subject}, scope {scope}, groups: {', '.join(token.groups) or 'none'}, {until}"
        await self._store.put_token(token, [self._entry("token made", token.id, by, origin, detail)])
        log.warning("token_made", id=token.id, subject=subject, scope=scope, groups=token.groups, by=shown)
        return token, text

    def _check(self, subject: str, groups: Collection[str], lasts: timedelta | None) -> None:
        if not 1 <= len(subject) <= _LONGEST_SUBJECT or not subject.isprintable() or subject != subject.strip():
            raise Mistaken(f"the subject, whose token it is, is a name of 1 to {_LONGEST_SUBJECT} characters")
        person = self._people.get(subject)
        if person is not None and person.token not in (None, subject):
            raise Mistaken(f"{subject} of `people` is known by tokens of the subject {person.token}; name that one")
        if unknown := sorted(set(groups) - set(self._groups)):
            there = ", ".join(sorted(self._groups)) or "none"
            raise Mistaken(
                f"there is no group {unknown[0][:60]!a} in approval.groups of the settings, which has: {there}"
            )
        if lasts is not None and not timedelta(0) < lasts <= _LONGEST:
            raise Mistaken(
                f"a token lasts longer than nothing, and for {_LONGEST.days}d at the most; without an end: never"
            )

    async def revoke(self, token_id: str, by: Person, origin: str) -> bool:
        """Have a token be of no use any more; whether there was one that had not been revoked."""
        shown = self._redactor.text(by.shown)
        entry = self._entry("token revoked", token_id, by, origin, "")
        is_revoked = await self._store.revoke_token(token_id, self._clock.now(), shown, [entry])
        if is_revoked:
            log.warning("token_revoked", id=token_id, by=shown)
        return is_revoked

    async def listed(self) -> tuple[Token, ...]:
        """All of them, the oldest first. Raises StoreUnavailable."""
        return await self._store.list_tokens()

    async def find(self, text: str) -> Token | None:
        """The token that is written so, whether it is good or not. Raises StoreUnavailable.

        Whether there is one of its id does not show in the time that it takes to compare.
        """
        parts = parts_of(text)
        if parts is None:
            return None
        token = await self._store.find_token(parts[0])
        is_it = hmac.compare_digest(parts[1], token.digest if token is not None else _NOBODYS)
        return token if is_it else None

    def _entry(self, what: str, token_id: str, by: Person, origin: str, detail: str) -> AuditEntry:
        said = self._redactor.text(detail)
        return AuditEntry(
            self._clock.now(), what, by.name, by.via.value, subject=token_id, origin=origin, outcome="done", detail=said
        )

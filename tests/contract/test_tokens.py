"""Tokens in every store: kept with their entry in the audit journal, found by their id, revoked once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from remediator.errors import Mistaken
from remediator.model.audit import AuditEntry
from remediator.model.token import Scope, Token
from remediator.storage.store import Store

AT = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
ONE = Token("0123456789ab", "zoë", Scope.DECIDE, ("dba", "sre"), bytes(range(32)), AT, "ada", AT + timedelta(days=1))
OTHER = Token("ba9876543210", "ci", Scope.READ, (), bytes(32), AT + timedelta(seconds=1), "ada")
MADE = AuditEntry(AT, "token made", "admin", "admin", subject=ONE.id)
GONE = AuditEntry(AT, "token revoked", "admin", "admin", subject=ONE.id)


async def entries(store: Store) -> list[AuditEntry]:
    return [sealed.entry for sealed in await store.audit_page(after=0, limit=100)]


async def test_a_token_is_found_as_it_was_put(store: Store) -> None:
    """With everything that it may do, and until when; with its entry."""
    await store.put_token(OTHER)
    await store.put_token(ONE, [MADE])

    assert (ONE, OTHER) == await store.list_tokens()
    assert [ONE, OTHER, None] == [await store.find_token(name) for name in (ONE.id, OTHER.id, "nobody\0")]
    assert [MADE] == await entries(store)


async def test_there_is_one_token_of_an_id(store: Store) -> None:
    """The second could take the first one's place; nothing of it is written."""
    await store.put_token(ONE)
    with pytest.raises(Mistaken, match=f"there is a token {ONE.id} already"):
        await store.put_token(replace(OTHER, id=ONE.id), [MADE])

    assert ((ONE,), []) == (await store.list_tokens(), await entries(store))


async def test_a_token_is_revoked_once(store: Store) -> None:
    """Who was first, and when, stays; what changes nothing is not in the journal."""
    await store.put_token(ONE)
    later = AT + timedelta(hours=1)
    revoked = [
        await store.revoke_token(ONE.id, AT, "ada", [GONE]),
        await store.revoke_token(ONE.id, later, "ben", [GONE]),
        await store.revoke_token("nobody\0", later, "ben", [GONE]),
    ]
    found = await store.find_token(ONE.id)

    assert [True, False, False] == revoked
    assert found is not None
    assert (AT, "ada", False) == (found.revoked_at, found.revoked_by, found.is_good(AT))
    assert [GONE] == await entries(store)

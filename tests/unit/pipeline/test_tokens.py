"""Tokens of the API: made once, known by their secret alone, revoked for good; each with its entry in the journal."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from remediator.errors import Mistaken
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import MASK, Redactor
from remediator.model.audit import AuditEntry
from remediator.model.person import Person, Via
from remediator.model.token import Scope, Token
from remediator.pipeline.tokens import Tokens
from remediator.settings import Settings
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock

ADA = Person("admin", Via.ADMIN, "ada", is_known=True)
SETTINGS = Settings.model_validate(
    {
        "people": {"anna": {"token": "anna@example.org"}, "ben": {}},
        "approval": {"groups": {"sre": ["anna"], "dba": ["ben"]}},
    }
)


class Kept(SqliteStore):
    """The store, and what it was given for the journal."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(None, clock=clock, metrics=Metrics())
        self.entries: list[AuditEntry] = []

    async def put_token(self, token: Token, audit: Any = ()) -> None:
        await super().put_token(token, audit)
        self.entries += audit

    async def revoke_token(self, token_id: str, at: datetime, by: str, audit: Any = ()) -> bool:
        is_revoked = await super().revoke_token(token_id, at, by, audit)
        self.entries += audit if is_revoked else ()
        return is_revoked


@dataclass
class Desk:
    """Where tokens are made."""

    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.store = Kept(self.clock)
        redactor = Redactor(["hunter22"])
        self.tokens = Tokens(self.store, self.clock, redactor, SETTINGS.people, SETTINGS.approval)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    await made.store.open()
    yield made
    await made.store.close()


async def test_a_token_is_known_by_all_of_it(desk: Desk) -> None:
    """Not by its id, and not by the secret of another."""
    token, text = await desk.tokens.make("ci", Scope.READ, [], None, ADA, "")
    other = (await desk.tokens.make("ci", Scope.READ, [], None, ADA, ""))[1]
    _, token_id, secret = text.split("_", 2)

    assert token == await desk.tokens.find(text)
    for guess in (f"rmd_{token_id}_{other[17:]}", f"rmd_0123456789ab_{secret}", text[:16], secret, text[:-1], ""):
        assert await desk.tokens.find(guess) is None
    assert (token.id, 43) == (token_id, len(secret))


async def test_nothing_keeps_the_secret(desk: Desk) -> None:
    """It is in the answer to whoever has asked for it; the log and the journal have its id."""
    with capture_logs() as logs:
        token, text = await desk.tokens.make("ci", Scope.READ, [], None, replace(ADA, shown="ada hunter22"), "::1")
    secret = text.split("_", 2)[2]

    assert secret not in repr((logs, desk.store.entries, token, await desk.tokens.listed()))
    assert MASK == Redactor().text(text)
    assert f"ada {MASK}" == token.made_by


async def test_making_and_revoking_are_in_the_journal(desk: Desk) -> None:
    """With whom it is for, and what it may do; a token that is revoked already has no second entry."""
    until = timedelta(hours=2)
    token = (await desk.tokens.make("ben", Scope.DECIDE, ["sre", "dba", "sre"], until, ADA, "10.0.0.1"))[0]
    revoked = [await desk.tokens.revoke(name, ADA, "10.0.0.2") for name in (token.id, token.id, "0123456789ab")]
    now = desk.clock.now()

    detail = "for ben, scope decide, groups: dba, sre, until 2026-01-01 14:00:00 UTC"
    made = AuditEntry(now, "token made", "admin", "admin", "", token.id, "", "10.0.0.1", "done", detail)
    gone = AuditEntry(now, "token revoked", "admin", "admin", "", token.id, "", "10.0.0.2", "done", "")
    assert [True, False, False] == revoked
    assert [made, gone] == desk.store.entries
    assert [replace(token, revoked_at=now, revoked_by="ada")] == list(await desk.tokens.listed())


@pytest.mark.parametrize(
    ("subject", "groups", "lasts", "why"),
    [
        ("", [], None, "the subject"),
        ("x" * 101, [], None, "the subject"),
        (" ci", [], None, "the subject"),
        ("c\u202ei", [], None, "the subject"),
        ("c\ni", [], None, "the subject"),
        ("anna", [], None, "anna of `people` is known by tokens of the subject anna@example.org"),
        ("ci", ["ops"], None, "there is no group 'ops' in approval.groups of the settings, which has: dba, sre"),
        ("ci", [], timedelta(0), "a token lasts longer than nothing, and for 3650d at the most; without an end: never"),
        (
            "ci",
            [],
            timedelta(days=3651),
            "a token lasts longer than nothing, and for 3650d at the most; without an end: never",
        ),
    ],
)
async def test_a_token_of_no_use_is_not_made(
    desk: Desk, subject: str, groups: list[str], lasts: timedelta | None, why: str
) -> None:
    """Neither one that would be taken for somebody else's."""
    with pytest.raises(Mistaken, match="^" + why.replace("(", r"\(")):
        await desk.tokens.make(subject, Scope.DECIDE, groups, lasts, ADA, "")

    assert () == await desk.tokens.listed()

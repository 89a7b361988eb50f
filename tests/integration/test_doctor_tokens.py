"""Tokens of groups that the settings do not have any more: the doctor reads them from the store and changes nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.clients import Clients
from remediator.doctor.examination import LOOKS
from remediator.doctor.finding import Finding, Verdict
from remediator.doctor.needs import Needs
from remediator.kit.metrics import Metrics
from remediator.model.token import Scope, Token
from remediator.settings import Settings
from remediator.storage.postgres import PostgresStore
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock

NOW = datetime.now(UTC)
SETTINGS: dict[str, Any] = {"people": {"ana": {}}, "approval": {"groups": {"sre": ["ana"]}}}
TOKENS = [
    Token("0123456789a0", "bot", Scope.DECIDE, ("old", "sre"), b"d" * 32, NOW, "ada"),
    Token("0123456789a1", "well", Scope.DECIDE, ("sre",), b"d" * 32, NOW, "ada"),
    Token("0123456789a2", "over", Scope.DECIDE, ("old",), b"d" * 32, NOW, "ada", NOW - timedelta(days=1)),
    Token("0123456789a3", "gone", Scope.DECIDE, ("old",), b"d" * 32, NOW, "ada", None, NOW, "ada"),
]


async def findings(settings: Settings) -> Sequence[Finding]:
    clients = Clients(settings)
    try:
        return await LOOKS["tokens"](clients, Needs())
    finally:
        await clients.close()


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_good_tokens_of_groups_that_are_gone_are_told(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, is_open: bool
) -> None:
    """They give no right any more; one that is over does not matter. Also beside a service that has the store open."""
    url = {"url": request.getfixturevalue("new_database")} if kind == "postgresql" else {}
    settings = Settings.model_validate({"store": {"directory": tmp_path, **url}, **SETTINGS})
    made: dict[str, Any] = {"clock": VirtualClock(), "metrics": Metrics()}
    store = PostgresStore(settings.store, **made) if url else SqliteStore(tmp_path, **made)
    await store.open()
    for token in TOKENS:
        await store.put_token(token)
    if not is_open:
        await store.close()
    before = sorted(tmp_path.iterdir())
    found = await findings(settings)
    after = sorted(tmp_path.iterdir())
    if is_open:
        await store.close()

    (one,) = found
    assert ("token 0123456789a0", Verdict.WARNING) == (one.what, one.verdict)
    assert "bot has it for old, which approval.groups does not have (any more)" in one.detail
    assert before == after


@pytest.mark.parametrize("content", [None, b"", b"no store"])
async def test_without_a_store_that_can_be_read_nothing_is_said(tmp_path: Path, content: bytes | None) -> None:
    """That there is none, or a broken one, is told by others."""
    if content is not None:
        (tmp_path / "remediator.sqlite3").write_bytes(content)

    assert [] == await findings(Settings.model_validate({"store": {"directory": tmp_path}, **SETTINGS}))
    assert [tmp_path / "remediator.sqlite3"] * (content is not None) == list(tmp_path.iterdir())


async def test_a_database_without_tables_has_no_tokens(tmp_path: Path, new_database: str) -> None:
    """The service makes them at its first start."""
    store = {"directory": tmp_path, "url": new_database}

    assert [] == await findings(Settings.model_validate({"store": store, **SETTINGS}))

"""The API over the audit journal: its pages, who may read them, and what is refused."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from remediator.model.audit import AuditEntry, Part, Sealed
from remediator.model.ids import RunId
from tests.unit.web.serving import Client, api, token

T0 = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)
ENTRY = AuditEntry(T0, "approved", "admin", "admin", "r1", "p/r", "d" * 64, "127.0.0.1", "", "go", "ann")


class Journal:
    """Two entries, of which one is sealed; it notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, str | None, Part]] = []

    async def audit_page(
        self, *, after: int, limit: int, run: RunId | None = None, part: Part = Part.ALL
    ) -> tuple[Sealed, ...]:
        self.asked.append((after, limit, run, part))
        return (Sealed(7, ENTRY, 3, "ab", "k"), Sealed(8, ENTRY, None, None, None))

    async def audit_head(self) -> tuple[int, str]:
        return 3, "ab"

    async def audit_begin(self) -> tuple[int, str]:
        return 1, "cd"


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
async def client(journal: Journal) -> AsyncIterator[Client]:
    async with api(audit=journal) as running:
        yield running


async def get(client: Client, query: str = "", **headers: str) -> tuple[int, Any]:
    async with client.get(f"/api/v1/audit{query}", headers=headers or token()) as answer:
        return answer.status, await answer.json()


async def test_an_entry_is_shown_to_the_letter_with_its_place_in_the_chain(client: Client) -> None:
    """Whoever has the key computes its seal anew from what is shown."""
    status, said = await get(client)
    sealed, unsealed = said["entries"]

    assert 200 == status
    assert {
        "seq": 7,
        "place": 3,
        "seal": "ab",
        "key": "k",
        "at": "2026-01-31T12:00:00.000005+00:00",
        "what": "approved",
        "who": "admin",
        "via": "admin",
        "shown": "ann",
        "run": "r1",
        "subject": "p/r",
        "digest": "d" * 64,
        "origin": "127.0.0.1",
        "outcome": "",
        "detail": "go",
    } == sealed
    assert (None, None, None) == (unsealed["place"], unsealed["seal"], unsealed["key"])
    assert ({"place": 1, "seal": "cd"}, {"place": 3, "seal": "ab"}) == (said["begins"], said["head"])


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", (0, 100, None, Part.ALL)),
        ("?after=5&limit=500&part=sealed", (5, 500, None, Part.SEALED)),
        ("?part=unsealed", (0, 100, None, Part.UNSEALED)),
        ("?run=r1&after=2", (2, 100, "r1", Part.ALL)),
    ],
)
async def test_pages_are_asked_for_as_they_are_wanted(
    client: Client, journal: Journal, query: str, asked: tuple[int, int, str | None, Part]
) -> None:
    """By number, or in the order of the chain; or what concerns one run."""
    assert 200 == (await get(client, query))[0]
    assert [asked] == journal.asked


@pytest.mark.parametrize(
    "query",
    [
        *("?x=1", "?after=-1", "?after=x", "?after=99999999999999999999", "?after=\N{ARABIC-INDIC DIGIT ONE}"),
        *("?limit=0", "?limit=501", "?part=x", "?run=a/b", "?run=r1&part=sealed", f"?run={'r' * 65}"),
    ],
)
async def test_what_makes_no_sense_is_refused(client: Client, journal: Journal, query: str) -> None:
    """A mistyped question is not answered with something else."""
    assert 400 == (await get(client, query))[0]
    assert [] == journal.asked


async def test_the_journal_is_not_for_everybody(client: Client, journal: Journal) -> None:
    """It says from where people decide, and what they have refused."""
    assert 401 == (await get(client, Authorization="Bearer no"))[0]
    assert [] == journal.asked

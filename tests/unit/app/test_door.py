"""The door hands on what comes in, and has others look only where there is something for them."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from remediator.app.door import acceptor
from remediator.model.alert import Delivery
from remediator.model.ids import RuleId, RunId
from remediator.model.occurrence import Accepted, Ruling


@pytest.mark.parametrize(
    ("runs", "nudges"), [((), 0), (((RunId("r1"), RuleId("p/a")),), 1)], ids=["nothing begins", "a run begins"]
)
async def test_messages_are_looked_for_where_a_run_begins(runs: tuple[tuple[RunId, RuleId], ...], nudges: int) -> None:
    """Only a run has a first message, and each look costs as much as accepting an alert."""
    looks: list[str] = []

    async def accept(_: Delivery) -> Accepted:
        return Accepted((Ruling.OPENED,), runs, ())

    parts: Any = SimpleNamespace(
        intake=SimpleNamespace(accept=accept), outbox=SimpleNamespace(nudge=lambda: looks.append("look"))
    )
    await acceptor(parts)(Delivery((), received_at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert nudges == len(looks)

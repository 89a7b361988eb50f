"""What people say to runs is stored without secrets, as all else of a run is: it is shown as it stands."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from remediator.app.runs import Runs
from remediator.kit.redaction import MASK, Redactor
from remediator.model.ids import RunId, StepId
from remediator.model.run import Acknowledge, Cancel, Settle, Undo
from remediator.pipeline.dispatch import HeapDispatcher
from remediator.pipeline.escalation.listing import Escalations
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.harness import SECOND, Harness, alert

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "open-sesame-81"
REDACTOR = Redactor([SECRET])


class Heard:
    """A store that keeps what it is told."""

    def __init__(self) -> None:
        self.words: list[Any] = []

    async def signal(self, _run: RunId, word: Any, _audit: Any = ()) -> bool:
        self.words.append(word)
        return True


@pytest.mark.parametrize(
    ("say", "word"),
    [
        ("cancel", Cancel(AT, SECRET, f"as {SECRET} says")),
        ("undo", Undo(AT, SECRET, f"as {SECRET} says")),
        ("settle", Settle(AT, StepId("remediate.0.0"), 1, True, SECRET, f"as {SECRET} says")),
    ],
)
async def test_no_secret_is_stored_with_a_word(say: str, word: Any) -> None:
    """Somebody pastes the password that they have just set."""
    store, clock, unused = Heard(), VirtualClock(), object()
    parts: Any = (store, HeapDispatcher(clock), clock, unused, unused, unused, REDACTOR)
    await getattr(Runs(*parts), say)(RunId("r1"), word)

    assert [(MASK, f"as {MASK} says")] == [(heard.by, heard.reason) for heard in store.words]


async def test_no_secret_is_stored_with_who_takes_a_problem_on(tmp_path: Path) -> None:
    """It is told in the thread, and listed."""
    async with Harness(tmp_path) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        escalations = Escalations(it.store, it.process.rulebook, it.clock, redactor=REDACTOR)
        run = await it.run()
        await escalations.acknowledge(run.id, "ana", f"as {SECRET} says")
        (word,) = [signal for signal in (await it.run()).signals if isinstance(signal, Acknowledge)]

        assert f"as {MASK} says" == word.reason

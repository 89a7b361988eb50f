"""Messages of a run for other channels than its own: stored with what they tell of, or not at all, in every store."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.errors import Fenced
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.facts import Ended, Escalated, Held, Started
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.message import Mention, Message, Notice, Post, QueuedPost, Tone
from remediator.model.occurrence import NewRun, Opening, Ruling, Verdict
from remediator.model.outcome import Outcome, Reason
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore
from remediator.storage.runs import Claim, Entry, Refusal, Reservation
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock

ME, OTHER = OwnerId("me"), OwnerId("other")
RULE = Digest("d" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MESSAGE = Message(Tone.FIRING, "web is down", (), Mention("usergroup", "S0TEAM"), (("event", "escalated"),))
NOTICES = [Notice("#on-call", "escalation.r1.1", MESSAGE), Notice("webhook:pager", "escalation.r1.1", MESSAGE)]
ESCALATED = Escalated(T0, 1, "on-call", timedelta(0), ("#on-call", "webhook:pager"), Mention("usergroup", "S0TEAM"))
ENTRY = Entry([ESCALATED], [Post("escalated.1", Message(Tone.FIRING, "escalated"))], notices=NOTICES)
ENDED = Ended(T0, Outcome.TOLD, "told")


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store
    if request.param == "postgresql":
        settings = StoreSettings(url=request.getfixturevalue("new_database"), timeout=timedelta(seconds=20))
        made = PostgresStore(settings, clock=VirtualClock(T0), metrics=Metrics())
    else:
        made = SqliteStore(tmp_path / "store", clock=VirtualClock(T0), metrics=Metrics())
    await made.open()
    await made.remember_rules({RULE: {"pack": "p"}})
    yield made
    await made.close()


async def open_run(store: Store, run: str = "r1") -> Claim:
    alert = Alert(Fingerprint(run), AlertStatus.FIRING, {"alertname": run}, {}, T0)
    new = NewRun(RunId(run), RuleId("p/r"), RULE, "it is down", "#c", Message(Tone.FIRING, f"first of {run}"))
    opening = Opening(OccurrenceId(f"o-{run}"), (new,))
    await store.accept(Delivery((alert,), received_at=T0), lambda _a, _k: Verdict(Ruling.OPENED, open=opening), ME)
    return Claim(RunId(run), ME, 1, 0)


async def notices(store: Store) -> list[QueuedPost]:
    return [post for post in await store.waiting_posts(100) if post.run is None]


@pytest.mark.parametrize("write", ["learn", "park", "end", "start"])
async def test_notices_are_stored_with_every_write_of_a_run(store: Store, write: str) -> None:
    """What tells of a fact, in whatever channel, is there exactly when the fact is."""
    claim = await open_run(store)
    match write:
        case "learn":
            await store.learn(claim, ENTRY)
        case "park":
            assert await store.park(claim, ENTRY, None)
        case "end":
            assert await store.end(claim, Entry([*ENTRY.facts, ENDED], notices=NOTICES), ENDED, keep_locks_until=None)
        case _:
            started = Started(T0, 1, StepId("remediate.0.0"), 1, 1, T0)
            assert await store.start(claim, ENTRY, started, Reservation(("t",))) is None
    run = await store.read_run(claim.run)

    assert [("#on-call", MESSAGE), ("webhook:pager", MESSAGE)] == [(p.channel, p.message) for p in await notices(store)]
    assert run is not None
    assert ESCALATED in run.facts


async def test_the_same_notice_again_edits_the_earlier_one(store: Store) -> None:
    """Who was called reads how it stands in the message that called."""
    claim = await open_run(store)
    await store.learn(claim, ENTRY)
    for post in await notices(store):
        await store.note_sent(post.seq, post.version, f"ref {post.channel}")
    over = Message(Tone.GOOD, "it is over")
    await store.learn(claim, Entry(notices=[Notice("#on-call", "escalation.r1.1", over)]))
    (edited,) = await notices(store)

    assert (2, "ref #on-call", over) == (edited.version, edited.ref, edited.message)


async def test_who_does_not_own_the_run_tells_nobody(store: Store) -> None:
    """A process that was frozen must not call people over what another one has in hand."""
    claim = await open_run(store)
    await store.take(claim.run, OTHER)
    other = Claim(claim.run, OwnerId("third"), 1, 0)
    with pytest.raises(Fenced):
        await store.learn(other, ENTRY)

    assert [] == await notices(store)


async def test_a_start_that_is_refused_tells_nobody(store: Store) -> None:
    """Nothing of it was written, and the fact is noted anew with the next write."""
    claim = await open_run(store)
    started = Started(T0, 1, StepId("remediate.0.0"), 1, 1, T0)
    held = Reservation(judge=lambda _known: Refusal(Reason.PAUSED))
    refusal = await store.start(claim, ENTRY, started, held)

    assert refusal is not None
    assert [] == await notices(store)


async def test_a_run_that_has_ended_wakes_for_its_next_level(store: Store) -> None:
    """It is over for the run, and not for those who are still to be told; until then it is not forgotten."""
    claim = await open_run(store)
    await store.end(claim, Entry([ENDED]), ENDED, keep_locks_until=None, wake_at=T0 + timedelta(minutes=15))
    at_first = [(wake.run, wake.at) for wake in await store.wakes()]
    run = await store.take(claim.run, ME)
    assert run is not None
    held = Held(T0, 1, 1, Reason.PAUSED, "", T0)
    await store.learn(Claim(run.id, ME, run.epoch, 0), Entry([held], notices=NOTICES))

    assert [(claim.run, T0 + timedelta(minutes=15))] == at_first
    assert 2 == len(await notices(store))


async def test_what_was_forgotten_meanwhile_moves_nowhere(store: Store) -> None:
    """Housekeeping goes on beside whoever moves it, and is no reason to end the service."""
    await store.move_thread(999_999, "#other")

    assert () == await store.waiting_posts(10)

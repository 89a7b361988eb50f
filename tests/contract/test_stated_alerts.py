"""An alert that a person states is open as long as its run goes on; and how far the messages of a run are told."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest

from remediator.errors import Fenced
from remediator.model.alert import Alert, Delivery, by_hand_fingerprint
from remediator.model.ids import OccurrenceId, RunId
from remediator.model.message import PARENT, Message, Post, Tone
from remediator.model.occurrence import Occurrence, Ruling, Verdict
from remediator.model.run import Again
from remediator.storage.reading import PostState
from remediator.storage.retention import Retention
from remediator.storage.runs import Claim, Entry
from remediator.storage.store import Store
from tests.contract.opening import ENDED, ME, OTHER, T0, alert, open_run, opening

LABELS = {"alertname": "Down"}
STATED = dataclasses.replace(alert(), fingerprint=by_hand_fingerprint(LABELS))
AGAIN = Again(T0, "ann", "we need it", person="ann", by_hand=True, via="token", origin="192.0.2.1")


class Open(Exception):  # noqa: N818 - as intake's
    """It is open already."""


async def state(store: Store, run: str = "r1") -> Claim:
    """State the alert for a run, as long as neither it nor a sender's with its labels is open."""

    def judge(given: Alert, known: Occurrence | None) -> Verdict:
        if known is not None and known.closed_at is None:
            raise Open(known.id)
        if given.fingerprint != STATED.fingerprint:
            return Verdict(Ruling.NOT_OPEN)
        return Verdict(Ruling.OPENED, open=opening(run), again=AGAIN)

    await store.accept(Delivery((alert(), STATED), received_at=T0), judge, ME)
    return Claim(RunId(run), ME, 1, 1)


async def end(store: Store, claim: Claim) -> None:
    await store.end(claim, Entry([ENDED], closes=OccurrenceId(f"o-{claim.run}")), ENDED, keep_locks_until=None)


async def test_it_ends_with_its_run(store: Store) -> None:
    """In the same commit: a crash leaves neither an alert that nobody ends nor a run without its alert."""
    claim = await state(store)
    before = await store.newest_occurrence(STATED.fingerprint)
    with pytest.raises(Fenced):
        await end(store, dataclasses.replace(claim, owner=OTHER))
    still = await store.open_alerts_of(claim.run, limit=5)
    await end(store, claim)
    after = await store.newest_occurrence(STATED.fingerprint)

    assert before is not None
    assert after is not None
    assert (before.id,) == tuple(one.id for one in still)
    assert (None, T0) == (before.closed_at, after.closed_at)
    assert (AGAIN,) == await store.read_signals(claim.run)
    assert () == await store.open_alerts_of(claim.run, limit=5)
    assert await state(store, "r2")


async def test_its_run_can_be_forgotten_then(store: Store) -> None:
    """No alert of it is open."""
    await end(store, await state(store))
    for post in await store.waiting_posts(10):
        await store.note_sent(post.seq, post.version, "ref")
    late = T0 + timedelta(days=400)
    forgotten = await store.forget(Retention(late, 0, late), limit=10)

    assert 1 == forgotten.runs
    assert await store.read_run(RunId("r1")) is None


async def test_of_those_who_state_it_at_once_one_begins_a_run(store: Store) -> None:
    """Each sees what the others have committed."""
    results = await asyncio.gather(*(state(store, f"r{number}") for number in range(8)), return_exceptions=True)

    assert 7 == sum(isinstance(result, Open) for result in results)
    assert 1 == len(await store.list_runs(limit=20))


async def test_it_is_refused_while_a_sender_has_it_open(store: Store) -> None:
    """And what the sender has told stays as it is."""
    await open_run(store, "sent", "Down")
    before = await store.newest_occurrence("Down")
    with pytest.raises(Open):
        await state(store)

    assert before == await store.newest_occurrence("Down")
    assert ["sent"] == [run.id for run in await store.list_runs(limit=5)]


async def test_nobody_waits_to_hear_of_it(store: Store) -> None:
    """No sender ever tells of it again, so it is not given up like one of which nothing is heard."""
    await state(store)
    await open_run(store, "sent")

    assert ["sent"] == [one.fingerprint for one in await store.unheard(T0 + timedelta(days=99), 10)]


async def test_how_far_the_messages_of_a_run_are_told(store: Store) -> None:
    """What stands in the chat as it is now, and what still waits; those of other runs are none of it."""
    claim = await open_run(store, "r1")
    await open_run(store, "other")
    reply = Message(Tone.GOOD, "it is mended")
    await store.learn(claim, Entry((), [Post("reply", reply)]))
    (opened,) = [post for post in await store.waiting_posts(10) if (post.run, post.key) == ("r1", PARENT)]
    await store.note_sent(opened.seq, opened.version, "#c:1")
    await store.learn(claim, Entry((), [Post("later", reply)]))

    assert (
        PostState(PARENT, "first of r1", "#c", T0, True, "#c:1"),
        PostState("reply", "it is mended", "#c", T0, False, None),
        PostState("later", "it is mended", "#c", T0, False, None),
    ) == await store.posts_of(RunId("r1"), limit=10)
    assert 1 == len(await store.posts_of(RunId("r1"), limit=1))
    assert () == await store.posts_of(RunId("none"), limit=10)
    await store.learn(claim, Entry((), [Post(PARENT, Message(Tone.GOOD, "anew"))]))
    (parent, *_) = await store.posts_of(RunId("r1"), limit=10)
    assert ("anew", False, "#c:1") == (parent.title, parent.is_sent, parent.ref)
